"""An identity loss and a pairwise loss side by side, both on the same feature.

Shapes: B images, D embedding width, C training identities. `pids` (B,) are person ids.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.identity import branch_mean, id_loss
from reidlab.losses.margins import CLASSIFICATIONS
from reidlab.losses.pairwise import PAIRWISE
from reidlab.losses.processes import gathered
from reidlab.models.layers import Branches, CosineClassifier

CROSS_ENTROPY, NOTHING = "cross-entropy", "none"


def id_and_pairwise_loss(
    model: nn.Module,
    batch: Batch,
    *,
    classification: str = CROSS_ENTROPY,
    pairwise: str | None = "triplet",
    smoothing: float = 0.0,
    class_scale: float | None = None,
    class_margin: float | None = None,
    pair_scale: float | None = None,
    pair_margin: float | None = None,
) -> dict[str, Tensor]:
    """Classification plus pairwise loss, weight 1 each: `{"id", "pairwise"}`.

    Both read `features[0]` of the network, in `ianet_small` and its kin the feature after the batch
    norm. Pairs are all those in the batch, of all training processes together.

    Args:
        model: returns features and logits per branch. "cross-entropy" needs a linear classifier,
            the others one that gives cosines.
        batch: with several images of each of several people, as samplers "pk" and "groups" give.
        classification: "cross-entropy", or one of `CLASSIFICATIONS`: "cosface", "arcface", ...
        pairwise: one of `PAIRWISE`: "triplet", "contrastive", "cosface", "circle"; None or "none"
            leaves the classification alone, the control.
        smoothing: of the cross-entropy.
        class_scale: factor on cosines of the classification; None: as in Simple-ReID.
        class_margin: of the classification.
        pair_scale: factor on cosines of the pairwise loss.
        pair_margin: of the pairwise loss.

    Raises:
        ValueError: an unknown loss, a setting that it does not have, or a classifier of the other
            kind.

    Source: the public project Simple-ReID (github.com/guxinqian/Simple-ReID), whose numbers are the
    defaults.
    """
    images = model(batch.images, batch.camids, batch.viewids)
    chosen = {"scale": class_scale, "margin": class_margin}
    judge = _classification(model, classification, smoothing, chosen)
    terms = {"id": branch_mean(lambda x: judge(x, batch.pids), images.logits)}
    chosen = {"scale": pair_scale, "margin": pair_margin}
    if pairwise is not None and pairwise != NOTHING:
        terms["pairwise"] = _pairwise(images, batch, pairwise, chosen)
    elif given := _given(chosen):
        raise ValueError(f"without a pairwise loss there is no {', '.join(given)} of one")
    return terms


def _classification(
    model: nn.Module, name: str, smoothing: float, chosen: Mapping[str, float | None]
) -> Callable[[Tensor, Tensor], Tensor]:
    """(logits or cosines (B, C), pids) -> scalar; the classifier is of the right kind."""
    cosines = any(isinstance(module, CosineClassifier) for module in model.modules())
    if name == CROSS_ENTROPY:
        if cosines:
            raise ValueError(
                "cross-entropy needs logits, and this network gives cosines; construct it with "
                'classifier="linear" (--classifier linear), or choose one of '
                + ", ".join(CLASSIFICATIONS)
            )
        if given := _given(chosen):
            raise ValueError(f"cross-entropy has no {', '.join(given)}; leave it out")
        return lambda logits, pids: id_loss(logits, pids, smoothing)
    _check_name("classification", name, (CROSS_ENTROPY, *CLASSIFICATIONS))
    if not cosines:
        raise ValueError(
            f"{name} needs cosines, and this network gives logits; construct it with "
            'classifier="cosine" (--classifier cosine)'
        )
    if smoothing:
        raise ValueError(f"label smoothing belongs to cross-entropy, not to {name}")
    settings = _settings(name, CLASSIFICATIONS[name], chosen)
    return lambda cosines, pids: CLASSIFICATIONS[name](cosines, pids, **settings)


def _pairwise(
    images: Branches, batch: Batch, name: str, chosen: Mapping[str, float | None]
) -> Tensor:
    """The pairwise loss of all features, branch by branch."""
    _check_name("pairwise", name, (*PAIRWISE, NOTHING))
    settings = _settings(name, PAIRWISE[name], chosen)
    pids = gathered(batch.pids)
    return branch_mean(lambda x: PAIRWISE[name](gathered(x), pids, **settings), images.features)


def _settings(
    name: str, loss: Callable[..., Tensor], chosen: Mapping[str, float | None]
) -> dict[str, float]:
    """The settings that the user gave; the others are the defaults of the function."""
    given = _given(chosen)
    if unknown := given.keys() - inspect.signature(loss).parameters:
        raise ValueError(f"the loss {name} has no {', '.join(sorted(unknown))}; leave it out")
    return given


def _given(chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if value is not None}


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; choose one of {', '.join(known)}")
