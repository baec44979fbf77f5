"""All claims of an experiment as one table, with the runs they come from."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, overload

from reidlab.claims.effects import ABOUT, Effect
from reidlab.claims.experiment import Run
from reidlab.claims.record import Claim
from reidlab.claims.settings import Settings
from reidlab.evaluation.record import aligned

if TYPE_CHECKING:
    import pandas

FIGURES = ("treatment", "control", "better by", "interval")  # columns


@dataclass(frozen=True, eq=False, repr=False)
class ClaimTable(Sequence[Claim]):
    """The claims of one experiment: `print(table)` aligns them, notebooks draw them.

    Args:
        experiment: its name.
        title: what it asks.
        claims: in the order of the experiment's statements.
        runs: all that was measured, sorted by arm and seed.
        arms: arm -> the settings with which it was run.
        data: name, options and fingerprint of the dataset; empty values where there is none.
        version: of the experiment.
        versions: package -> the versions that the runs were made with.
    """

    experiment: str
    title: str
    claims: tuple[Claim, ...]
    runs: tuple[Run, ...]
    arms: Mapping[str, Settings]
    data: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def claim(self, name: str) -> Claim:
        """One claim by its name.

        Raises:
            ValueError: there is none of this name.
        """
        for claim in self.claims:
            if claim.name == name:
                return claim
        known = ", ".join(claim.name for claim in self.claims)
        raise ValueError(f"{self.experiment} has no claim {name!r}; its claims: {known}")

    def runs_of(self, arm: str) -> dict[int, Mapping[str, float]]:
        """Seed -> measures of one arm.

        Raises:
            ValueError: the arm has no runs.
        """
        found = {run.seed: run.measures for run in self.runs if run.arm == arm}
        if not found:
            known = ", ".join(dict.fromkeys(run.arm for run in self.runs)) or "none"
            raise ValueError(
                f"{self.experiment} has no runs of arm {arm!r}; arms with runs: {known}"
            )
        return found

    def values(self, arm: str, measure: str) -> dict[int, float]:
        """Seed -> one measure of one arm.

        Raises:
            ValueError: the arm has no runs, or they do not have this measure.
        """
        runs = self.runs_of(arm)
        if any(measure not in run for run in runs.values()):
            known = ", ".join(sorted(set.intersection(*map(set, runs.values()))))
            raise ValueError(f"{arm} has no measure {measure!r}; it has {known}")
        return {seed: run[measure] for seed, run in runs.items()}

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that occur."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def cpu_seconds(self) -> float:
        """That all runs took together."""
        return sum(run.cpu_seconds for run in self.runs)

    def frame(self) -> pandas.DataFrame:
        """A DataFrame with one row per claim and measure; values and differences are not scaled."""
        import pandas

        return pandas.DataFrame(
            {
                "claim": claim.name,
                "measure": effect.measure.name,
                "treatment": fmean(effect.treated),
                "control": fmean(effect.controls),
                "difference": effect.mean,
                "low": effect.interval[0],
                "high": effect.interval[1],
                "seeds": len(effect.seeds),
                "verdict": effect.verdict,
            }
            for claim in self.claims
            for effect in claim.effects
        )

    def __len__(self) -> int:
        """How many claims."""
        return len(self.claims)

    @overload
    def __getitem__(self, index: int) -> Claim: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Claim, ...]: ...
    def __getitem__(self, index: int | slice) -> Claim | tuple[Claim, ...]:
        """One claim, or some."""
        return self.claims[index]

    def __iter__(self) -> Iterator[Claim]:
        """The claims in order."""
        return iter(self.claims)

    def __repr__(self) -> str:
        """The table itself, so that a console shows it too."""
        return str(self)

    def __str__(self) -> str:
        """A row per claim, one below it per measure, and how it was measured."""
        return "\n".join([aligned(self._cells()), *self.notes()])

    def _repr_html_(self) -> str:
        """The same table for notebooks."""
        cells = self._cells()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in cells[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{_escaped(text)}</td>" for text in row.values()) + "</tr>"
            for row in cells
        )
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in self.notes())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def notes(self) -> list[str]:
        """Data, seeds and the meaning of the intervals, printed below the rows."""
        seeds = ", ".join(map(str, self.seeds)) or "none"
        data = self.data.get("fingerprint") or "none"
        minutes = self.cpu_seconds / 60
        return [
            f"{self.title}; seeds {seeds}; data {self.data.get('name') or 'none'}, fingerprint "
            f"{data}; {len(self.runs)} runs, {minutes:.1f} CPU minutes",
            "arms are treatment : control; better by: seed against the same seed of the control",
            "intervals: Student's t over seeds, wider where a claim has many measures (Bonferroni)",
            ABOUT,
        ]

    def _cells(self) -> list[dict[str, str]]:
        """The text of every row: a claim with its arms and verdict, then its measures, indented."""
        rows = []
        for claim in self.claims:
            own = claim.statement
            heading = {"claim": f"{claim.name} ({own.treatment} : {own.opponent})"}
            rows.append(heading | dict.fromkeys(FIGURES, "") | {"verdict": claim.verdict})
            rows += [_row(effect) for effect in claim.effects]
        return rows


def _escaped(text: str) -> str:
    """Text for HTML, which would drop the spaces of an indent."""
    return html.escape(text).replace("  ", "&emsp;")


def _row(effect: Effect) -> dict[str, str]:
    measure = effect.measure
    low, high = map(measure.scaled, effect.interval)
    return {
        "claim": f"  {measure.title}",
        "treatment": measure.text(fmean(effect.treated)),
        "control": measure.text(fmean(effect.controls)),
        "better by": f"{measure.scaled(effect.mean):+z.2f} {measure.points}",
        "interval": f"{low:+z.2f} to {high:+z.2f}",
        "verdict": effect.verdict,
    }
