"""Which samplers give batches that a loss can use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from reidlab.losses.aligned import aligned_loss
from reidlab.losses.attributes import attribute_loss
from reidlab.losses.center import ReidCenterLoss
from reidlab.losses.deep_cosine import cosine_softmax_loss, soft_triplet_loss
from reidlab.losses.flip import flip_loss
from reidlab.losses.la_transformer import la_loss
from reidlab.losses.multibranch import multibranch_loss
from reidlab.losses.mutual import mutual_loss
from reidlab.losses.paired import NOTHING, id_and_pairwise_loss
from reidlab.losses.reid import reid_loss
from reidlab.losses.transreid import transreid_loss
from reidlab.losses.tuples import pair_loss

GROUPED = ("pk", "groups")  # K images each of several people: positives and negatives in a batch
PLAIN = (*GROUPED, "shuffle")  # each image counts for itself

SAMPLERS: Mapping[Any, tuple[str, ...]] = {
    reid_loss: GROUPED,
    transreid_loss: GROUPED,
    ReidCenterLoss: GROUPED,
    aligned_loss: GROUPED,
    mutual_loss: GROUPED,
    soft_triplet_loss: GROUPED,
    multibranch_loss: GROUPED,
    id_and_pairwise_loss: GROUPED,
    la_loss: GROUPED,
    flip_loss: GROUPED,
    pair_loss: ("pairs",),
    cosine_softmax_loss: PLAIN,
    attribute_loss: PLAIN,
}
EXCEPTIONS: Mapping[Any, tuple[str, Mapping[Any, tuple[str, ...]]]] = {
    multibranch_loss: ("mining", {"given": ("triplets",)}),
    id_and_pairwise_loss: ("pairwise", {NOTHING: PLAIN, None: PLAIN}),
    la_loss: ("triplet", {0.0: PLAIN}),
}


def check_sampler(loss: Callable[..., Any], sampler: str) -> None:
    """Refuse a sampler whose batches a loss of this package cannot use; other losses pass.

    Args:
        loss: as `fit` takes it: a function, a `functools.partial` of one, or a module.
        sampler: of `TrainConfig`.

    Raises:
        ValueError: such a sampler; the message names those that do.
    """
    inner, settings = getattr(loss, "func", loss), getattr(loss, "keywords", {})
    inner = inner if inspect.isroutine(inner) or isinstance(inner, type) else type(inner)
    if inner not in SAMPLERS:
        return
    usable, what, flag = SAMPLERS[inner], inner.__name__, ""
    if inner in EXCEPTIONS:
        name, exceptions = EXCEPTIONS[inner]
        value = settings.get(name, inspect.signature(inner).parameters[name].default)
        usable = exceptions.get(value, usable)
        what, flag = f"{name} {value}", f"--{name} {value} "
    if sampler not in usable:
        raise ValueError(
            f"{what} needs sampler {' or '.join(usable)}, got {sampler} "
            f"({flag}--sampler {usable[0]})"
        )
