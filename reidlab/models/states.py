"""State dicts of other projects: found in what a file holds, compared key by key.

A state dict maps names to tensors. It may lie in a file under one more name ("state_dict",
"model", ...), and its names may carry the prefix that data-parallel training adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

SHOWN = 8  # keys per kind of disagreement
COUNTER = "num_batches_tracked"  # of batch norms; it plays no part in what a network computes
PARALLEL = "module."


def find_state(
    content: Mapping[Any, Any], fits: Callable[[Mapping[str, Any]], bool], where: str
) -> dict[str, Any]:
    """The state dict in `content`: that itself, or one that lies in it under a name.

    Args:
        content: of a weights file.
        fits: whether a state dict looks like those wanted; it decides where several lie.
        where: the file, for messages.

    Raises:
        ValueError: there is none, or more than one that fits.
    """
    inner = {str(name): value for name, value in content.items() if _has_tensors(value)}
    found = {"": content, **inner} if _has_tensors(content) else inner
    if not found:
        kinds = [f"{key} ({type(value).__name__})" for key, value in content.items()]
        listed = shorten(kinds) or "nothing"
        raise ValueError(f"{where} holds no state dict: expected names and tensors, found {listed}")
    states = {name: _without_prefix(state, where) for name, state in found.items()}
    fitting = [name for name, state in states.items() if fits(state)] or list(states)
    if len(fitting) > 1:
        names = ", ".join(repr(name) if name else "the outermost" for name in fitting)
        raise ValueError(
            f"{where} holds several state dicts ({names}); pass the one you mean instead of the "
            f"file: torch.load(FILE, weights_only=True)[{fitting[-1]!r}]"
        )
    return states[fitting[0]]


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _without_prefix(state: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """`state` without the prefix of data-parallel training."""
    plain = {str(key).removeprefix(PARALLEL): value for key, value in state.items()}
    if len(plain) < len(state):
        twice = [key for key in map(str, state) if PARALLEL + key in state]
        raise ValueError(f"{where} holds keys with and without {PARALLEL!r}: {shorten(twice)}")
    return plain


def mismatch(
    expected: Mapping[str, Tensor], found: Mapping[str, Any], ignored: Iterable[str] = ()
) -> list[str]:
    """One line per kind of disagreement between a network's keys and those found; [] is a fit.

    Counters of batch norms may be missing, `ignored` keys may be there.
    """
    missing = [key for key in expected if key not in found and not key.endswith(COUNTER)]
    unknown = [
        key if isinstance(found[key], Tensor) else f"{key} (a {type(found[key]).__name__})"
        for key in found
        if key not in expected and key not in set(ignored)
    ]
    other = [
        f"{key} is {_describe(found[key])}{_odd(found[key])}, expected {_describe(expected[key])}"
        for key in expected.keys() & found.keys()
        if _describe(found[key]) != _describe(expected[key]) or _odd(found[key])
    ]
    kinds = {"missing": missing, "unknown": unknown, "of another shape": other}
    return [f"{len(keys)} {kind}: {shorten(keys)}" for kind, keys in kinds.items() if keys]


def _describe(value: Any) -> str:
    """Shape of a tensor, and its type where that is not a floating one."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    shape = str(tuple(value.shape))
    return shape if value.is_floating_point() else f"{shape} of integers"


def _odd(value: Any) -> str:
    """What is odd about a tensor that cannot be copied as it is: no plain block of real numbers."""
    if not isinstance(value, Tensor):
        return ""
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_complex()
    if not plain or value.is_meta:
        kind = "without values" if value.is_meta else f"{value.dtype}, {value.layout}"
        return f" of an odd kind ({kind})"
    repeated = value.numel() > 1_000_000 and 0 in value.stride()
    return " (one value, repeated)" if repeated else ""


def shorten(keys: Sequence[str]) -> str:
    """The first few of `keys` in order, and how many more there are."""
    more = f", ... ({len(keys) - SHOWN} more)" if len(keys) > SHOWN else ""
    return ", ".join(sorted(keys)[:SHOWN]) + more
