"""`reidlab claims [NAME ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from reidlab.claims.catalog import EXPERIMENTS, FOLDER, claims_file, find_experiment
from reidlab.claims.experiment import Experiment
from reidlab.claims.files import read_claims
from reidlab.claims.running import check_seeds, run_experiment
from reidlab.claims.staleness import compare
from reidlab.claims.table import ClaimTable
from reidlab.cli.parsing import parse
from reidlab.paths import CHECKOUT, in_checkout

EXAMPLES = """
  reidlab claims
  reidlab claims attributes
  reidlab claims attributes --run
  reidlab claims attributes --run --seeds 0,1,2,3,4 --only one-head --out my-claims
  reidlab claims --check

--run takes minutes to hours. Every run is written as soon as it is done: stopped or killed, the
same command continues. Two of them with different --only arms may share a folder.
"""


@dataclass(frozen=True)
class Claims:
    """Show what was measured about the claims of the course, or measure it again.

    Every experiment is listed as fresh, stale (settings, statements or data have changed since),
    incomplete (runs are missing) or missing, with the table of its claims.
    """

    names: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAME ...]")]
    ] = ()
    """Experiments; all of them unless given."""
    run: bool = False
    """Measure the runs that are missing or stale."""
    check: bool = False
    """Print states only; the exit status is 1 unless all are fresh."""
    seeds: str | None = None
    """Of --run: seeds separated by commas; by default those of the experiment."""
    only: str | None = None
    """Of --run: arms separated by commas; by default all of them."""
    out: Path | None = None
    """Folder of the JSON files; by default what travels with the package, a clone's data/claims."""


def main(argv: Sequence[str]) -> None:
    """Parse, measure if asked to, print."""
    options = parse(Claims, "claims", argv, examples=EXAMPLES)
    _check(options)
    experiments = [find_experiment(name) for name in dict.fromkeys(options.names or EXPERIMENTS)]
    if options.run:
        for experiment in experiments:
            _run(experiment, options)
    states = [_show(experiment, options) for experiment in experiments]
    if options.check and set(states) != {"fresh"}:
        raise SystemExit(1)


def _check(options: Claims) -> None:
    """Complain about flags that do not go together, before any work."""
    given = [f"--{name}" for name in ("seeds", "only") if getattr(options, name) is not None]
    if given and not options.run:
        raise ValueError(f"{' and '.join(given)} say what to measure; add --run")
    if options.run and options.check:
        raise ValueError("--check prints states and measures nothing; leave out --check or --run")
    if options.run and options.out is None and not in_checkout():
        raise ValueError("this is no clone of the repository; say where to write with --out FOLDER")
    if options.out is not None and not options.run and not options.out.expanduser().is_dir():
        raise ValueError(f"--out {options.out}: no such folder; --run makes it")


def _run(experiment: Experiment, options: Claims) -> None:
    run_experiment(
        experiment,
        out=options.out or CHECKOUT / "data" / FOLDER,
        seeds=None if options.seeds is None else _seeds(options.seeds),
        only=() if options.only is None else _arms(options.only),
        progress=sys.stderr.isatty(),
    )


def _seeds(text: str) -> tuple[int, ...]:
    """Whole numbers from "0,1,2"."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in parts):
        raise ValueError(f"--seeds {text}: expected whole numbers and commas, such as 0,1,2")
    return check_seeds([int(part) for part in parts])


def _arms(text: str) -> list[str]:
    """Names from "one,other"."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"--only {text}: expected arms and commas, such as one,other")
    return parts


def _show(experiment: Experiment, options: Claims) -> str:
    """Print the state of an experiment, and its table unless only states are wanted; the state."""
    path = claims_file(experiment.name, options.out)
    if path is None:
        print(f"{experiment.name}: missing; `reidlab claims {experiment.name} --run` measures it")
        return "missing"
    table = read_claims(path)
    found = compare(table, experiment, experiment.cached_fingerprint())
    print(f"{experiment.name}: {found.state}, {path}")
    for reason in found.reasons:
        print(f"  {reason}")
    if found.missing:
        runs = len(experiment.arms) * len(experiment.seeds)
        print(f"  {len(found.missing)} of {runs} runs are missing")
    if found.beyond:
        print(f"  with seeds beyond those of the experiment: {', '.join(map(str, found.beyond))}")
    if found.state != "fresh":
        out = "" if options.out is None else f" --out {options.out}"
        command = f"reidlab claims {experiment.name} --run{out}"
        print(f"  `{command}` measures what is missing or stale")
    if not options.check:
        _print(table)
    return found.state


def _print(table: ClaimTable) -> None:
    """The table, and what each claim means."""
    print("\n".join(["", str(table), *(f"\n{claim.explained}" for claim in table), ""]))
