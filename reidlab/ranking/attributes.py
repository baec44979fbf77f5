"""Searching by description: which images most likely show somebody who has what is wanted.

Shapes: Q wishes, N images, K places kept, n classes of a head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.data.wishes import Wish, wish_of
from reidlab.embedding.attributes import AttributePredictions
from reidlab.ranking.checks import check_count
from reidlab.ranking.topk import nearest

BLOCK = 2_000_000  # scores held at once

Wanted = Wish | str | Mapping[str, str | Collection[str]]


@dataclass(frozen=True, eq=False, repr=False)
class AttributeRanking:
    """The K images that most likely fulfil each of Q wishes.

    Args:
        order: (Q, K) int64, positions in `predictions`, most likely first.
        score: (Q, K) probability that all that is wanted holds, falling along each row. It is the
            product over the wanted heads, as if they were independent of each other given the
            image, and as good as the probabilities of the model are calibrated.
        predictions: of the N images.
        wishes: the Q wishes.

    Raises:
        ValueError: the shapes do not belong together, or a position is outside the images.
    """

    order: Tensor
    score: Tensor
    predictions: AttributePredictions
    wishes: tuple[Wish, ...]

    def __post_init__(self) -> None:
        if self.order.ndim != 2 or len(self.order) != len(self.wishes):
            raise ValueError(
                f"expected order of shape ({len(self.wishes)}, K), got {tuple(self.order.shape)}"
            )
        if self.score.shape != self.order.shape:
            shapes = f"{tuple(self.order.shape)} and {tuple(self.score.shape)}"
            raise ValueError(f"expected order and score of one shape, got {shapes}")
        if bool(((self.order < 0) | (self.order >= len(self.predictions))).any()):
            raise ValueError(f"expected positions below {len(self.predictions)}, got others")

    def chances(self, wish: int) -> dict[str, Tensor]:
        """Head -> (K,) probability that the images found have a wanted class, for one wish.

        `score` is the product of these.
        """
        found = self.predictions[self.order[wish].cpu()]
        wanted = self.wishes[wish].wanted
        return {head: _log_chance(found.logits[head], wanted[head]).exp() for head in wanted}

    def __len__(self) -> int:
        """Q, the number of wishes."""
        return len(self.wishes)

    def __repr__(self) -> str:
        """One short line."""
        wishes, places = self.order.shape
        images = f"{places:,} of {len(self.predictions):,} images"
        return f"AttributeRanking({wishes:,} wishes, {images})"


def rank_by_attributes(
    predictions: AttributePredictions, wish: Wanted | Sequence[Wanted], k: int | None = None
) -> AttributeRanking:
    r"""The k images that most likely fulfil a wish, nothing filtered; ties in gallery order.

    .. math:: \log p(\text{wish}) = \sum_{h} \log \sum_{c \in W_h} p_h(c)

    with :math:`W_h` the wanted classes of head h. Heads are taken as independent of each other
    given the image; ranking is by the logarithm, so that many or unlikely wants do not vanish.

    Args:
        predictions: of N images; from calibrated logits where probabilities are to be believed.
        wish: a `Wish`, plain words ("red top, backpack"), or head -> class name or names; or a
            sequence of these, one row of the result each.
        k: places to keep, 1..N; all when not given.

    Returns:
        A ranking with Q rows, one for a single wish. Memory beside it stays below some 50 MB: the
        wishes are ranked in blocks of about two million scores, one wish at the least.

    Raises:
        ValueError: a wish that cannot be read, or about a head that the model does not predict;
            no wish or no image; k outside 1..N.
    """
    wishes = wishes_of(wish)
    if not wishes or not len(predictions):
        raise ValueError(
            f"expected wishes and images to rank, got {len(wishes)} and {len(predictions)}"
        )
    k = len(predictions) if k is None else k
    check_count("k", k, len(predictions), ", the number of images")
    rows = max(1, BLOCK // len(predictions))
    blocks = [wishes[start : start + rows] for start in range(0, len(wishes), rows)]
    parts = [nearest(-log_chances(predictions, block), k) for block in blocks]
    order, score = (torch.cat(found) for found in zip(*parts, strict=True))  # (Q, K) each
    return AttributeRanking(order, (-score).exp(), predictions, wishes)


def log_chances(predictions: AttributePredictions, wishes: Sequence[Wish]) -> Tensor:
    """(Q, N) log-probability that an image shows somebody who fulfils a wish; at most 0.

    Raises:
        ValueError: a wish is about a head that the model does not predict.
    """
    check_predicted(predictions, wishes)
    known: dict[tuple[str, frozenset[int]], Tensor] = {}
    for head, classes in (item for wish in wishes for item in wish.wanted.items()):
        if (head, classes) not in known:
            known[head, classes] = _log_chance(predictions.logits[head], classes)
    rows = [torch.stack([known[item] for item in w.wanted.items()]).sum(dim=0) for w in wishes]
    return torch.stack(rows)  # (Q, N)


def wishes_of(wish: Wanted | Sequence[Wanted]) -> tuple[Wish, ...]:
    """One wish or several, each as `wish_of` takes it.

    Raises:
        ValueError: a wish that cannot be read, or no wish at all such as None.
    """
    single = isinstance(wish, (Wish, str, Mapping))
    if not single and not isinstance(wish, Iterable):
        raise ValueError(f"expected a wish such as 'red top', or several, got {wish!r}")
    return tuple(map(wish_of, [wish] if single else wish))  # pyright: ignore[reportArgumentType]


def check_predicted(predictions: AttributePredictions, wishes: Sequence[Wish]) -> None:
    """Raise unless the model predicts all heads that are asked for.

    Raises:
        ValueError: a wish is about another head.
    """
    for wish in wishes:
        if missing := [head for head in wish.heads if head not in predictions.logits]:
            raise ValueError(
                f"{str(wish)!r} asks for {', '.join(missing)}, which the model does not predict; "
                f"it knows {', '.join(predictions.heads)}"
            )


def _log_chance(logits: Tensor, wanted: frozenset[int]) -> Tensor:
    """(N,) log-probability of the wanted classes, from logits (N, n)."""
    exact = torch.float32 if logits.device.type == "mps" else torch.float64
    table = logits.to(exact)
    mask = torch.zeros(table.shape[1], dtype=torch.bool, device=table.device)
    mask[sorted(wanted)] = True
    odds = table[:, mask].logsumexp(dim=1) - table[:, ~mask].logsumexp(dim=1)
    return F.logsigmoid(odds)  # a sum of log-softmax rounds chances near 1 to 1, which ties them
