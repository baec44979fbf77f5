"""Measuring an experiment run by run, so that an interruption loses one run at most."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from reidlab.claims.experiment import Experiment, Run
from reidlab.claims.files import grouped, read_claims, write_claims
from reidlab.claims.locking import turn
from reidlab.claims.record import judge
from reidlab.claims.staleness import compare
from reidlab.claims.table import ClaimTable
from reidlab.data.samples import Splits
from reidlab.paths import make_folder
from reidlab.recipes import Recipe

PACKAGES = ("numpy", "torch", "torchvision")

log = logging.getLogger(__name__)


def run_experiment(
    experiment: Experiment,
    *,
    out: str | os.PathLike[str],
    seeds: Sequence[int] | None = None,
    only: Iterable[str] = (),
    splits: Splits | None = None,
    progress: bool = False,
) -> ClaimTable:
    """Measure every run that `out/NAME.json` lacks, and the claims that follow.

    Each run is written as soon as it is done; called again after an interruption, the experiment
    continues. Runs of an arm whose settings have changed, or of other data, are left out with a
    warning and measured anew. Several processes may measure different arms into one file: they
    take turns to change it.

    Args:
        experiment: arms and statements.
        out: folder of the file.
        seeds: those of the experiment unless given; runs with other seeds stay in the file.
        only: arms to run now, all unless given.
        splits: the dataset, if it was read already.
        progress: show a bar.

    Raises:
        ValueError: unknown arms, bad seeds, a folder that cannot be written, a damaged file, or
            `only` and `seeds` leave out runs that no longer count and would be lost.
    """
    chosen = (only,) if isinstance(only, str) else tuple(only)
    arms, narrowed = chosen or tuple(experiment.arms), bool(chosen) or seeds is not None
    experiment.check_arms(arms)
    seeds = check_seeds(experiment.seeds if seeds is None else seeds)
    results = Results(make_folder(out) / f"{experiment.name}.json", experiment)
    wanted = [(arm, seed) for seed in seeds for arm in arms]  # by seed: pairs are soon complete
    if narrowed:
        results.refuse_loss(wanted)
    if any(isinstance(experiment.arms[arm], Recipe) for arm, _ in results.lacks(wanted)):
        splits = experiment.read(progress=progress) if splits is None else splits
    if splits is not None:
        results.fingerprint = splits.fingerprint
        if narrowed:
            results.refuse_loss(wanted)
    results.warn()
    missing = results.lacks(wanted)
    with tqdm(missing, desc=experiment.name, unit="run", disable=not progress) as bar:
        for arm, seed in bar:
            bar.set_postfix_str(f"{arm}, seed {seed}")
            start = time.process_time()
            measures = experiment.run(arm, seed, splits)
            results.add(Run(arm, seed, measures, round(time.process_time() - start, 1)))
    return results.add()


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Different whole numbers from 0 on.

    Raises:
        ValueError: they are something else, or there are none.
    """
    found = tuple(seeds)
    whole = all(type(seed) is int and 0 <= seed < 2**32 for seed in found)
    if not found or not whole or len(set(found)) < len(found):
        raise ValueError(f"expected different seeds such as 0, 1, 2; got {list(found)}")
    return found


class Results:
    """The file of an experiment while it is measured; what is stale in it does not count.

    Args:
        path: the file, which may be missing.
        experiment: decides what is stale.
    """

    def __init__(self, path: Path, experiment: Experiment) -> None:
        self.path, self.experiment = path, experiment
        self.fingerprint: str | None = None  # of the data, once they are read

    def stored(self) -> ClaimTable | None:
        """What the file holds now, by this process or another."""
        return read_claims(self.path) if self.path.exists() else None

    def good(self, table: ClaimTable | None) -> list[Run]:
        """The runs that still count, and hold all that the statements ask for by now."""
        if table is None:
            return []
        state, needs = compare(table, self.experiment, self.fingerprint), self.experiment.needs
        return [r for r in table.runs if state.reuses(r.arm) and needs(r.arm) <= set(r.measures)]

    def lacks(self, wanted: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those of the (arm, seed) that are still to be measured."""
        have = {(run.arm, run.seed) for run in self.good(self.stored())}
        return [pair for pair in wanted if pair not in have]

    def stale(self, table: ClaimTable) -> list[Run]:
        """The runs that no longer count; the next run that is written drops them."""
        good = {(run.arm, run.seed) for run in self.good(table)}
        return [run for run in table.runs if (run.arm, run.seed) not in good]

    def refuse_loss(self, wanted: Sequence[tuple[str, int]]) -> None:
        """Raise if runs would be dropped that are not among the `wanted` (arm, seed)."""
        table = self.stored()
        if table is None:
            return
        lost = [run for run in self.stale(table) if (run.arm, run.seed) not in wanted]
        if not lost:
            return
        seeds = {run.arm: [str(r.seed) for r in lost if r.arm == run.arm] for run in lost}
        named = "; ".join(f"{arm}, seeds {', '.join(own)}" for arm, own in seeds.items())
        raise ValueError(
            f"{self.path}: runs that no longer count would be lost without being measured again: "
            f"{named} ({self._reasons(table)}); measure without --only and --seeds, or into "
            "another folder with --out"
        )

    def warn(self) -> None:
        """Say which runs will be dropped, and why."""
        table = self.stored()
        if table is not None and (dropped := self.stale(table)):
            log.warning(
                "%s: %d of %d runs no longer count (%s)",
                self.path, len(dropped), len(table.runs), self._reasons(table),
            )  # fmt: skip

    def _reasons(self, table: ClaimTable) -> str:
        reasons = compare(table, self.experiment, self.fingerprint).reasons
        return "; ".join(reasons[:4]) or "measures that claims ask for by now are missing"

    def add(self, run: Run | None = None) -> ClaimTable:
        """Write the file with one more run, or only with what follows from those it has."""
        with turn(self.path):
            return self._add(run)

    def _add(self, run: Run | None) -> ClaimTable:
        table, own = self.stored(), self.experiment
        kept = self.good(table)
        found = {(each.arm, each.seed): each for each in (*kept, *([run] if run else []))}
        order = list(own.arms)
        runs = tuple(sorted(found.values(), key=lambda each: (order.index(each.arm), each.seed)))
        before = table.data.get("fingerprint", "") if table is not None and kept else ""
        data = {
            "name": own.dataset,
            "options": dict(own.options),
            "fingerprint": before if self.fingerprint is None else self.fingerprint,
        }
        versions = dict(table.versions) if table is not None and kept else {}
        result = ClaimTable(
            own.name,
            own.title,
            tuple(judge(statement, grouped(runs)) for statement in own.statements),
            runs,
            {arm: own.settings[arm] for arm in order if any(r.arm == arm for r in runs)},
            data,
            own.version,
            merged(versions, installed()) if run else versions,
        )
        write_claims(self.path, result)
        return result


def installed() -> dict[str, list[str]]:
    """Package -> version here."""
    from reidlab import __version__

    found = {"python": platform.python_version(), "reidlab": __version__}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    return {name: [version] for name, version in found.items()}


def merged(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """All versions of both, sorted."""
    names = sorted({*one, *other})
    return {name: sorted({*one.get(name, ()), *other.get(name, ())}) for name in names}
