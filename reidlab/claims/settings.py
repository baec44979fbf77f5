"""What decides the result of an arm, as plain values that can be compared and hashed."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from reidlab.paths import shipped
from reidlab.recipes import Recipe
from reidlab.training import TrainConfig

Settings = dict[str, Any]
Arm = Recipe | Callable[[int], Mapping[str, float]]


def settings_of(arm: Arm) -> Settings:
    """Setting -> plain value: `{"train.epochs": 20, "loss": "reidlab.losses.reid_loss", ...}`.

    A recipe is its network, loss and training, without the seed, which each run has of its own. A
    function is its name and, for `functools.partial`, its arguments; what happens inside it is not
    seen, so an experiment has a `version` to raise.

    Raises:
        ValueError: a setting is no plain value, so that nobody could tell whether it changed.
    """
    if isinstance(arm, Recipe):
        found = {
            "model": arm.model,
            "arguments": dict(arm.arguments),
            "loss": arm.loss,
            "loss_arguments": dict(arm.loss_arguments),
            "prepare": arm.prepare,
            "train": _training(arm.train),
        }
        if arm.learns == "distances":
            found["classes"] = False
        if arm.counts:
            found["counts"] = list(arm.counts)
        if start := _start(arm.arguments.get("pretrained")):
            found["start"] = start
    else:
        given = dict(enumerate(getattr(arm, "args", ()))) | dict(getattr(arm, "keywords", {}))
        found = {"function": arm, "arguments": {str(name): value for name, value in given.items()}}
    return flat(found)


def _start(pretrained: Any) -> str:
    """Short hash of the shipped weights that a network starts from; empty without any."""
    file = shipped(f"checkpoints/{pretrained}.safetensors") if isinstance(pretrained, str) else None
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file else ""


def _training(config: TrainConfig) -> Settings:
    return {name: value for name, value in config.identity().items() if name != "seed"}


def flat(values: Mapping[str, Any], at: str = "") -> Settings:
    """Nested mappings as one, with dots in the names; sequences as lists."""
    found: Settings = {}
    for name, value in values.items():
        key = f"{at}{name}"
        value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(value, Mapping):
            found |= flat(value, f"{key}.")
        else:
            found[key] = _plain(value, key)
    return found


def _plain(value: Any, key: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each, key) for each in value]
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, functools.partial):
        return _plain(value.func, key)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{_public(value)}.{value.__qualname__}"
    raise ValueError(
        f"setting {key} is {value!r}; expected numbers, texts, functions or lists of them, which "
        "can be compared with those of another day"
    )


def _public(value: Any) -> str:
    """The package of a function, where it offers it: which of its files holds it says nothing."""
    package = ".".join(value.__module__.split(".")[:2])
    offered = getattr(sys.modules.get(package), value.__qualname__, None)
    return package if offered is value else value.__module__


def fingerprint(settings: Settings) -> str:
    """Short hash of settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changed(then: Settings, now: Settings) -> list[str]:
    """`train.epochs: 20 then, 25 now` for every setting that differs.

    A setting of training that did not exist then, and has its default now, changes nothing.
    """
    neutral = flat({"train": _training(TrainConfig()), "prepare": None})
    found = []
    for name in sorted(then.keys() | now.keys()):
        if name not in then and name in neutral and now[name] == neutral[name]:
            continue
        old, new = (repr(side[name]) if name in side else "absent" for side in (then, now))
        if old != new:
            found.append(f"{name}: {old} then, {new} now")
    return found
