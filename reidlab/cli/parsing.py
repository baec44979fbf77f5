"""Flags from dataclasses, the same way for every command; what several commands check."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from reidlab.paths import make_folder

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


def checked_picture(picture: Path | None) -> Path | None:
    """Where the picture goes; complains before the work, not after it."""
    if picture is None:
        return None
    picture = picture.expanduser()
    if picture.is_dir():
        raise ValueError(
            f"--picture {picture} is a folder; name a file, such as {picture / 'hits.png'}"
        )
    if picture.suffix.lower() not in (".png", ".jpg", ".jpeg", ".pdf", ".svg"):
        raise ValueError(
            f"--picture {picture}: expected a name that ends in .png, .jpg, .pdf, .svg"
        )
    make_folder(picture.parent)
    return picture
