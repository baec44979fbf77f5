"""What losses refuse, each by the name of its setting."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn

from reidlab.models.layers import CosineClassifier


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """`value`, one of `choices`.

    Raises:
        ValueError: it is none of them.
    """
    known = tuple(choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value


def not_negative(**settings: float | None) -> None:
    """Refuse settings that are below 0, infinite or NaN; None passes.

    Raises:
        ValueError: one of them is.
    """
    for name, value in settings.items():
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more and finite, got {value}")


def positive(**settings: float) -> None:
    """Refuse settings that are 0 or below, infinite or NaN.

    Raises:
        ValueError: one of them is.
    """
    for name, value in settings.items():
        if not value > 0 or value == math.inf:
            raise ValueError(f"{name} must be above 0 and finite, got {value}")


def check_head(model: nn.Module, loss: str, *, cosine: bool) -> None:
    """Refuse a network whose classifiers are not of the kind that a loss reads.

    Args:
        model: with classifiers.
        loss: for the message.
        cosine: whether it reads cosines; a softmax of cosines would be nearly flat, and logits are
            no cosines.

    Raises:
        ValueError: the network gives the other kind.
    """
    found = any(isinstance(module, CosineClassifier) for module in model.modules())
    if found != cosine:
        has, wants = ("cosine", "linear") if found else ("linear", "cosine")
        raise ValueError(
            f"{loss} reads a {wants} head, this network has a {has} one; build it with "
            f"head={wants!r} (--head {wants})"
        )


def check_classes(pids: Tensor, count: int) -> None:
    """Refuse people who are no class; on a CPU alone, since elsewhere looking would mean waiting.

    Args:
        pids: (B,), classes expected in 0..count-1.
        count: classes there are.

    Raises:
        ValueError: a class below 0, or of `count` or more.
    """
    if pids.device.type != "cpu" or not len(pids):
        return
    lowest, highest = (int(value) for value in pids.aminmax())
    if lowest < 0 or highest >= count:
        raise ValueError(
            f"expected classes in 0..{count - 1}, got {lowest if lowest < 0 else highest}; number "
            "people from 0, as fit does, and construct the network with num_ids of all of them"
        )
