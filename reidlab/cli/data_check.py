"""`reidlab data check NAME`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from reidlab.cli.parsing import parse
from reidlab.data.inspection import inspect
from reidlab.data.readers import scan_dataset
from reidlab.paths import atomic_write, make_folder

EXAMPLES = """
  reidlab data check people
  reidlab data check market1501 --root ~/datasets --json findings.json
  reidlab data check veri776 --strict --all
"""


@dataclass(frozen=True)
class Check:
    """Everything that is wrong with a dataset, at once; every image is decoded.

    Errors are what the reader refuses, images that cannot be read, and labels that contradict
    themselves: exit status 1. Warnings make scores wrong or break on another system; with --strict
    they count as errors. Notes are good to know.
    """

    data: tyro.conf.Positional[str]
    """A dataset's name, or a folder."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    layout: str | None = None
    """How a folder is laid out, when it is not recognised: persons, unlabelled, market, ..."""
    strict: bool = False
    """Warnings, too, give exit status 1."""
    all: bool = False
    """Print every finding, not the first ten of a kind."""
    json: Path | None = None
    """Also write every finding into this file."""


def main(argv: Sequence[str]) -> None:
    """Parse, look at everything, print; exit with 1 when something is wrong."""
    options = parse(Check, "data check", argv, examples=EXAMPLES)
    if options.json is not None:  # complain before the work, not after it
        make_folder(options.json.parent)
    watched = sys.stderr.isatty()
    given = reader_options(options.variant, options.layout)
    scan = scan_dataset(options.data, options.root, progress=watched, **given)
    report = inspect(scan, progress=watched)
    if options.json is not None:
        atomic_write(options.json, report.as_json())
    print(report.text(everything=options.all))
    if report.is_cut() and not options.all:
        written = f"; all are in {options.json}" if options.json else ", --json FILE writes it"
        print(f"--all prints the full list{written}")
    grave = ("error", "warning") if options.strict else ("error",)
    if any(report.count(level) for level in grave):
        raise ValueError(f"{scan.name} has {report.summary(grave)}, listed above")


def reader_options(variant: str | None, layout: str | None) -> dict[str, Any]:
    """Options of the reader that were given; a variant that is a number is passed as one."""
    given: dict[str, Any] = {} if layout is None else {"layout": layout}
    if variant is not None:
        given["variant"] = int(variant) if variant.isdecimal() else variant
    return given
