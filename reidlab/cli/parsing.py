"""Flags from dataclasses, the same way for every command."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

T = TypeVar("T")


def parse(
    kind: type[T], name: str, argv: Sequence[str], *, examples: str, default: T | None = None
) -> T:
    """An instance of the dataclass `kind` from `argv`; its docstring and `examples` are the help.

    Nested dataclasses give flags without a prefix, so that `--epochs` is enough.
    """
    text = "\n".join([str(inspect.getdoc(kind)), "", "examples:", examples.strip("\n")])
    options: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        kind,
        prog=f"reidlab {name}",
        description=text,
        args=list(argv),
        **options,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
