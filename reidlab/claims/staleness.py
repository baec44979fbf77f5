"""Whether stored results are still those of the code: settings, data and statements compared."""

from __future__ import annotations

from dataclasses import dataclass

from reidlab.claims.experiment import Experiment
from reidlab.claims.settings import changed, flat
from reidlab.claims.table import ClaimTable


class StaleClaims(ValueError):
    """Stored claims were measured with other settings, other data or other statements."""


@dataclass(frozen=True)
class Staleness:
    """How a table differs from its experiment.

    Args:
        data: what differs for all runs: dataset, its options or fingerprint, the version.
        arms: arm -> its settings that differ.
        statements: claims that are worded or measured differently; no run has to be repeated.
        missing: (arm, seed) of the experiment without a run.
        beyond: seeds of runs that are not among those of the experiment; claims count them, too.
    """

    data: tuple[str, ...]
    arms: dict[str, list[str]]
    statements: tuple[str, ...]
    missing: tuple[tuple[str, int], ...]
    beyond: tuple[int, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """Why the table is stale; empty when it is not."""
        own = [f"arm {arm}: {change}" for arm, found in self.arms.items() for change in found]
        return [*self.data, *own, *(f"claim {name} reads differently" for name in self.statements)]

    @property
    def state(self) -> str:
        """In one word: "stale", "incomplete" or "fresh"."""
        return "stale" if self.reasons else "incomplete" if self.missing else "fresh"

    def reuses(self, arm: str) -> bool:
        """Whether the runs of an arm are still good."""
        return not self.data and arm not in self.arms

    def complain(self, experiment: str) -> None:
        """Raise `StaleClaims` if the table is stale."""
        if reasons := self.reasons:
            shown = "\n  ".join(reasons[:8])
            more = f"\n  ... and {len(reasons) - 8} more" if len(reasons) > 8 else ""
            raise StaleClaims(
                f"the claims on {experiment} are not those of this code any more:\n  {shown}{more}"
                f"\nmeasure them again: reidlab claims {experiment} --run"
            )


def compare(table: ClaimTable, experiment: Experiment, fingerprint: str | None = None) -> Staleness:
    """How `table` differs from what `experiment` would measure now.

    Args:
        table: from a file.
        experiment: from the code.
        fingerprint: of the dataset; None leaves that out, as reading it may mean rendering it.
    """
    now = experiment.settings
    arms = {
        arm: changed(settings, now[arm]) if arm in now else ["no longer part of the experiment"]
        for arm, settings in table.arms.items()
    }
    stored = {claim.name: claim.statement for claim in table.claims}
    wanted = {statement.name: statement for statement in experiment.statements}
    names = [name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name)]
    have = {(run.arm, run.seed) for run in table.runs}
    pairs = [(arm, seed) for arm in experiment.arms for seed in experiment.seeds]
    return Staleness(
        tuple(_data(table, experiment, fingerprint)),
        {arm: found for arm, found in arms.items() if found},
        tuple(names),
        tuple(pair for pair in pairs if pair not in have),
        tuple(sorted({run.seed for run in table.runs} - set(experiment.seeds))),
    )


def _data(table: ClaimTable, experiment: Experiment, fingerprint: str | None) -> list[str]:
    """What differs for all runs."""
    if table.experiment != experiment.name:
        return [f"experiment: {table.experiment} there, {experiment.name} here"]
    then = {"version": table.version, "data": table.data.get("name", ""),
            **flat(table.data.get("options", {}), "data.")}  # fmt: skip
    now = {"version": experiment.version, "data": experiment.dataset,
           **flat(experiment.options, "data.")}  # fmt: skip
    found = changed(then, now)
    stored = table.data.get("fingerprint", "")
    if fingerprint is not None and fingerprint != stored:
        found.append(f"fingerprint of the data: {stored or 'none'} then, {fingerprint} now")
    return found
