"""What the settings of an evaluation must be, said once."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def check_whole(name: str, value: Any, smallest: int | None = None) -> None:
    """Raise unless `value` is a whole number (numpy's too; no float, no bool), of at least so much.

    Raises:
        ValueError: it is something else, or below `smallest`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"expected {name} to be a whole number, got {value!r}")
    if smallest is not None and int(value) < smallest:
        raise ValueError(f"expected {name} of at least {smallest}, got {value}")
