"""What is known of the weights of another project: names, sizes, what the user has to say."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.models.catalog import build
from reidlab.models.states import COUNTER

State = Mapping[str, Any]  # their key -> tensor, or whatever else a file holds


def pixels(name: str, value: Any) -> tuple[int, int]:
    """(H, W) of an image."""
    if not _is_pair(value):
        raise ValueError(f"{name} must be (height, width) in whole pixels, got {value!r}")
    return value[0], value[1]


def steps(name: str, value: Any) -> int | tuple[int, int]:
    """Pixels from one patch to the next: one number, or (down, across)."""
    if _is_pair(value):
        return value[0], value[1]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be 1 or more pixels, or (down, across), got {value!r}")
    return value


def count(name: str, value: Any) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be 0 or more, got {value!r}")
    return value


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return value


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(side, int) and side > 0 for side in value)
    )


@dataclass(frozen=True)
class Setting:
    """A keyword of `load_official`: what shapes cannot tell.

    Args:
        default: as published.
        choices: allowed values; empty where `rule` decides.
        rule: (name, value) -> value, or a `ValueError` that says what is expected.
    """

    default: Any
    choices: tuple[Any, ...] = ()
    rule: Callable[[str, Any], Any] = pixels

    def check(self, name: str, value: Any) -> Any:
        """`value`, or a `ValueError` that says what is expected."""
        if not self.choices:
            return self.rule(name, value)
        if value not in self.choices:
            listed = " or ".join(map(str, self.choices))
            raise ValueError(f"{name} must be {listed}, got {value!r}")
        return value


def _nothing(state: State) -> Mapping[str, Any]:
    return {}


def _no_hint(state: State, settings: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True)
class Layout:
    """One network of one project: how its keys are called, and how ours is constructed.

    Args:
        source: name of the project.
        network: the network, in words.
        model: our constructor's name in the catalogue.
        keys: our key -> their key; `*` stands for the same words on both sides.
        sizes: argument of the constructor -> (their key, axis) that tell it; most votes win, so
            that one odd tensor is named instead of all others.
        tell: state -> arguments of the constructor that no single axis tells, such as a depth; of
            an empty state, those of the published network.
        adapt: state -> fields of this layout that depend on it, such as `keys` that name the last
            of any number of blocks.
        arguments: arguments of the constructor that belong to the project.
        settings: keywords that the user may give.
        ignored: their keys that play no part in what the network computes.
        hint: (state, settings) -> the reason for a disagreement of which the cause is known.
        released: what the project's published files are, for messages.
    """

    source: str
    network: str
    model: str
    keys: Mapping[str, str]
    sizes: Mapping[str, tuple[tuple[str, int], ...]]
    tell: Callable[[State], Mapping[str, Any]] = _nothing
    adapt: Callable[[State], Mapping[str, Any]] = _nothing
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    hint: Callable[[State, Mapping[str, Any]], str | None] = _no_hint
    released: str = ""

    def adapted(self, state: State) -> Layout:
        """This layout as it is for `state`."""
        changes = self.adapt(state)
        return replace(self, **changes) if changes else self

    def theirs(self, key: str) -> str:
        """What the project calls our `key`."""
        return translate(key, self.keys)

    def ours(self, key: str) -> str:
        """What we call their `key`."""
        return translate(key, {theirs: ours for ours, theirs in self.keys.items()})

    def construct(self, state: State, settings: Mapping[str, Any]) -> nn.Module:
        """Our network in the sizes that the shapes in `state` tell."""
        sizes = {name: elected(state, places) for name, places in self.sizes.items()}
        sizes |= self.tell(state)
        return build(self.model, **sizes, **self.arguments, **settings)

    def expected(self, state: State, settings: Mapping[str, Any]) -> dict[str, Tensor]:
        """Their keys with tensors of the right shapes, which hold no numbers."""
        with torch.device("meta"):
            model = self.construct(state, settings)
        return {self.theirs(key): tensor for key, tensor in model.state_dict().items()}

    @cached_property
    def needed(self) -> frozenset[str]:
        """Their keys that must be there, in the published network."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return frozenset(key for key in self.expected({}, defaults) if not key.endswith(COUNTER))

    def share(self, state: Collection[str]) -> float:
        """How much the keys of `state` are those of the published network, 0 to 1.

        Keys in both, of all that are in either; so that a part does not pass for the whole.
        """
        own = self.adapted(state) if isinstance(state, Mapping) else self
        found = {key for key in map(str, state) if not key.endswith(COUNTER)} - {*own.ignored}
        return len(found & self.needed) / len(found | self.needed)


def translate(key: str, table: Mapping[str, str]) -> str:
    """`key` under the first template of `table` that it fits.

    Raises:
        ValueError: it fits none.
    """
    for template, other in table.items():
        pattern = re.escape(template).replace(r"\*", "(.+)")
        if match := re.fullmatch(pattern, key):
            return other.replace("*", "{}").format(*match.groups())
    raise ValueError(f"the table has no template for {key}")


def numbered(state: Iterable[str], pattern: str) -> int:
    """The highest number in keys that begin with `pattern`, plus 1; 0 where there is none."""
    found = (re.match(pattern, key) for key in state)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def elected(state: State, places: Iterable[tuple[str, int]], otherwise: int = 1) -> int:
    """The commonest length among (key, axis) `places`; `otherwise` when no tensor there has any."""
    tensors = ((state.get(key), axis) for key, axis in places)
    votes = Counter(
        tensor.shape[axis]
        for tensor, axis in tensors
        if isinstance(tensor, Tensor) and tensor.ndim > axis and tensor.shape[axis]
    )
    return votes.most_common(1)[0][0] if votes else otherwise
