"""What the readers of annotation files share: the bytes of a file, names and numbers in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Rows = dict[int, dict[str, int]]
Places = dict[int, str]  # person id -> file, row and column of that id

ADVICE = "get the file again, or write it anew"


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); expected a .mat or a .csv file"
        ) from None


def check_names(where: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Raise unless both hold the same names; the message lists those that differ."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    parts = [f"{what} {', '.join(missing)} missing"] if missing else []
    parts += [f"unknown {what} {', '.join(map(repr, unknown))}"] if unknown else []
    if parts:
        raise ValueError(f"{where}: {'; '.join(parts)}; expected those of Market-1501's attributes")


def integer(text: str) -> int | None:
    """Digits as a number; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
