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
    version = content.pop(KIND, None) if isinstance(content, dict) else None
    if type(version) is not int or version != VERSION:
        raise ValueError(f"{path}: expected a file of save_threshold with {KIND!r}: {VERSION}")
    for name in ("false_accept", "true_accept"):
        content[name] = _record(Rate, content.get(name), f"{path}: {name}")
    content["place"] = _record(Place, content.get("place"), f"{path}: place")
    threshold = _record(Threshold, content, str(path))
    _check_ranges(threshold, path)
    return threshold


def _check_ranges(threshold: Threshold, path: Path) -> None:
    """Raise if a value makes no sense, so that what reads it need not look."""
    place, accept = threshold.place, threshold.false_accept
    sound = {
        "distance, low and high": 0 <= threshold.low <= threshold.high <= 4
        and 0 <= threshold.distance <= 4,
        "target": 0 < threshold.target < 1,
        "confidence": 0 < threshold.confidence < 1,
        "place": min(place.people, place.images_per_person, place.centre_spread) > 0
        and place.share_spread > 0
        and 0 < place.level < 1,
        "false_accept": 0 < accept.value <= 1,
    }
    for name in ("false_accept", "true_accept"):
        rate = getattr(threshold, name)
        whole = 0 <= rate.low <= rate.value <= rate.high <= 1
        sound[name] = sound.get(name, True) and whole and min(rate.people, rate.pairs) > 0
        sound[name] = sound[name] and rate.deviation >= 0
    if wrong := [name for name, fine in sound.items() if not fine]:
        raise ValueError(f"{path}: values out of range in {', '.join(wrong)}; choose it again")


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
        whole = type(value) is int and abs(value) < 2**53
        return whole or (type(value) is float and math.isfinite(value))
    if expected == "int":
        return type(value) is int
    if expected == "str":
        return isinstance(value, str)
    if expected == "tuple[float, ...]":
        return isinstance(value, tuple) and all(_fits(each, "float") for each in value)
    return True
