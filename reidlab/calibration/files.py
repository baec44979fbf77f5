"""Thresholds in JSON files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from reidlab.calibration.intervals import Rate
from reidlab.calibration.place import Place
from reidlab.calibration.thresholds import Threshold
from reidlab.paths import atomic_write, make_folder

KIND = "reidlab_threshold"
VERSION = 1


def save_threshold(path: Path | str, threshold: Threshold) -> Path:
    """Write `threshold` to a JSON file, whole or not at all; its path.

    The same threshold gives the same bytes: nothing depends on when or where it is written.

    Args:
        path: the file, replaced if it is there; its folder is made.
        threshold: what `choose_threshold` found.

    Raises:
        ValueError: the file cannot be written.
    """
    path = Path(path).expanduser()
    make_folder(path.parent)
    content = {KIND: VERSION, **asdict(threshold)}
    atomic_write(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    return path


def load_threshold(path: Path | str) -> Threshold:
    """The threshold in a file of `save_threshold`.

    Raises:
        ValueError: the file is missing, or not such a file; the message names it and what is wrong.
    """
    path = Path(path).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror or error})") from None
    except ValueError as error:  # no JSON, or no text at all
        raise ValueError(
            f"{path}: expected a JSON file of save_threshold, got another one ({error})"
        ) from None
    if not isinstance(content, dict) or content.pop(KIND, None) != VERSION:
        raise ValueError(f"{path}: expected a file of save_threshold with {KIND!r}: {VERSION}")
    for name in ("false_accept", "true_accept"):
        content[name] = _record(Rate, content.get(name), f"{path}: {name}")
    content["place"] = _record(Place, content.get("place"), f"{path}: place")
    threshold = _record(Threshold, content, str(path))
    if not 0 < threshold.confidence < 1 or threshold.false_accept.value <= 0:
        raise ValueError(
            f"{path}: expected a confidence between 0 and 1 and a false accept rate above 0, got "
            f"{threshold.confidence} and {threshold.false_accept.value}"
        )
    return threshold


def _record(kind: type[Any], content: Any, at: str) -> Any:
    """A dataclass from a JSON object that has its fields, no more, each of its type."""
    wanted = {field.name: str(field.type) for field in fields(kind)}
    if not isinstance(content, dict) or set(content) != set(wanted):
        got = ", ".join(sorted(content)) if isinstance(content, dict) else repr(content)
        raise ValueError(f"{at}: expected the fields {', '.join(sorted(wanted))}; got {got}")
    for name, expected in wanted.items():
        value = content[name]
        if isinstance(value, list):  # JSON has no tuples
            value = content[name] = tuple(value)
        if not _fits(value, expected):
            raise ValueError(f"{at}: expected {name} to be a {expected}, got {value!r}")
    return kind(**content)


def _fits(value: Any, expected: str) -> bool:
    """Whether a value from JSON is of a field's type; records were looked at already."""
    if expected == "float":
        return isinstance(value, float | int) and type(value) is not bool and math.isfinite(value)
    if expected == "int":
        return type(value) is int
    if expected == "str":
        return isinstance(value, str)
    if expected == "tuple[float, ...]":
        return isinstance(value, tuple) and all(_fits(each, "float") for each in value)
    return True
