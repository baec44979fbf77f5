"""Flags for the settings of one method: those of its network, and those of its loss."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Annotated, Any, get_type_hints

import tyro

from reidlab.models.catalog import BUILDERS
from reidlab.recipes import Recipe

# other flags, the data, Python only
ELSEWHERE = ("seed", "pretrained", "weights", "heads", "sizes")


@dataclass(frozen=True)
class NoSettings:
    """Nothing to set."""


def with_settings(kind: type[Any], chosen: Recipe) -> type[Any]:
    """`kind` with two more fields, `network` and `loss`: the keyword arguments of a recipe's.

    Help and types are those of the constructor and of the loss; the defaults are the recipe's.
    """
    network = settings_of("Network", BUILDERS[chosen.model], chosen.arguments, chosen.counts)
    loss = settings_of("Loss", chosen.loss, chosen.loss_arguments)
    added = [
        (name, own, field(default_factory=own))
        for name, own in (("network", network), ("loss", loss))
    ]
    found = make_dataclass(kind.__name__, added, bases=(kind,), frozen=True)
    found.__doc__ = kind.__doc__
    return found


def settings_of(
    name: str, function: Callable[..., Any], given: Mapping[str, Any], counts: Collection[str] = ()
) -> type[Any]:
    """A dataclass of the keyword-only arguments of `function`; `given` replaces their defaults.

    Those in `counts` are decided by the dataset: None, so that 0 and none at all can be asked for.
    """
    whole = function.__init__ if isinstance(function, type) else function
    hints, helps = get_type_hints(whole), explained(inspect.getdoc(function) or "")
    found = []
    for each in inspect.signature(whole).parameters.values():
        if each.kind is not each.KEYWORD_ONLY or each.name in ELSEWHERE:
            continue
        counted = each.name in counts
        words = helps.get(each.name, "") + (" By default as the dataset says." if counted else "")
        default = None if counted else given.get(each.name, each.default)
        hint = hints[each.name] | None if counted else hints[each.name]
        kind = Annotated[hint, tyro.conf.arg(help=words)]
        found.append((each.name, kind, field(default_factory=lambda default=default: default)))
    return make_dataclass(name, found, frozen=True) if found else NoSettings


def explained(doc: str) -> dict[str, str]:
    """Argument -> what a docstring says about it under `Args:`."""
    section = re.search(r"^Args:\n(.*?)(?:\n\n\S|\Z)", doc, re.DOTALL | re.MULTILINE)
    entries = re.findall(
        r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section[1] if section else "", re.DOTALL | re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in entries}


def changed(settings: Any) -> dict[str, Any]:
    """Setting -> value, for those that differ from their default."""
    usual = type(settings)()
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}


def with_loss(chosen: Recipe, settings: Any) -> Recipe:
    """The recipe with the settings of its loss that were asked for."""
    return replace(chosen, loss_arguments={**chosen.loss_arguments, **changed(settings)})
