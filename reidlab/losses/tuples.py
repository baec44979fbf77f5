"""Losses on pairs that were drawn before the batch was made, and the layout of such batches.

A batch of pairs holds x, y, x, y, ... and one of triplets a, p, n, a, p, n, ... in its rows.
Shapes: B images, T tuples, D embedding width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.contrastive import contrastive_loss


def split_tuples(rows: Tensor, length: int) -> tuple[Tensor, ...]:
    """(T * length, ...) -> `length` tensors (T, ...): all first members, all second ones, ...

    Raises:
        ValueError: the rows are no whole number of tuples.
    """
    if not len(rows) or len(rows) % length:
        kind = {2: "pairs", 3: "triplets"}.get(length, f"tuples of {length}")
        raise ValueError(
            f"expected a batch of {kind}, images of each in a row, got {len(rows)} images; set "
            f"sampler={kind!r} (--sampler {kind})"
        )
    return rows.unflatten(0, (-1, length)).unbind(1)  # (T, length, ...) -> length x (T, ...)


def check_triplets(pids: Tensor) -> None:
    """Raise unless person ids (B,) go anchor, the same person, somebody else, anchor, ...

    Raises:
        ValueError: they do not.
    """
    anchor, positive, negative = split_tuples(pids, 3)
    wrong = (anchor != positive) | (anchor == negative)  # (T,)
    if bool(wrong.any()):
        raise ValueError(
            f"{int(wrong.sum())} of {len(wrong)} triplets are not (anchor, same person, other "
            "person): given triplets need sampler='triplets' (--sampler triplets); batches of "
            "sampler 'pk' or 'groups' need another mining"
        )


def pair_loss(
    model: nn.Module,
    batch: Batch,
    *,
    margin: float = 1.0,
    squared: bool = True,
    halves: bool = True,
) -> dict[str, Tensor]:
    r"""Contrastive loss of given pairs, in two terms that sum to its mean: `{"same", "different"}`.

    .. math:: L = \frac{1}{T} \sum_t \tfrac{1}{2} \big( y_t d_t^2 + (1 - y_t) [m - d_t]_+^2 \big)

    The distance is between features as they are, so the margin is in their units. A network with
    several branches counts the mean over them.

    Args:
        model: returns features per branch.
        batch: of sampler "pairs", images of a pair in a row. A batch of another sampler cannot be
            told from an unlucky one of pairs; `fit` refuses the sampler instead.
        margin: m; people farther apart than this no longer count.
        squared: penalties are squared; otherwise the distances themselves.
        halves: the factor 1/2.

    Raises:
        ValueError: an odd number of images.

    Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping"
    (CVPR), eq. 4.
    """
    first, second = split_tuples(batch.pids, 2)
    settings: dict[str, Any] = {"margin": margin, "squared": squared, "halves": halves}
    branches = model(batch.images, batch.camids, batch.viewids).features
    found = [pair_terms(x, first == second, **settings) for x in branches]
    return {name: torch.stack([terms[name] for terms in found]).mean() for name in found[0]}


def pair_terms(rows: Tensor, same: Tensor, **settings: Any) -> dict[str, Tensor]:
    """The mean contrastive loss of pairs in two parts: of the same person, and of different people.

    Args:
        rows: (2 T, D), features of a pair in a row.
        same: (T,) bool.
        settings: of `contrastive_loss`.
    """
    x, y = split_tuples(rows, 2)
    terms = {}
    for name, chosen in (("same", same), ("different", ~same)):
        share = chosen.float().mean()
        terms[name] = (
            share * contrastive_loss(x[chosen], y[chosen], same[chosen], **settings)
            if bool(chosen.any())
            else 0 * rows.sum()  # none of them in this batch: a zero that has a gradient
        )
    return terms
