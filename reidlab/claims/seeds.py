"""One seed measured again, next to the stored ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from reidlab.claims.table import ClaimTable
from reidlab.evaluation.record import aligned


@dataclass(frozen=True)
class Row:
    """One measure.

    Args:
        name: of the measure.
        measured: here.
        stored: with the same seed, None where that seed was not run.
        low: least that is accepted, the lowest stored value minus the tolerance.
        high: most that is accepted.
    """

    name: str
    measured: float
    stored: float | None
    low: float
    high: float

    @property
    def fine(self) -> bool:
        """Whether the value lies in the range, ends included."""
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class SeedCheck:
    """A run of one arm compared with the stored ones; `assert check, check` in a notebook.

    Args:
        arm: which.
        seed: of the new run.
        seeds: of the stored ones.
        rows: one per measure.
    """

    arm: str
    seed: int
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def outside(self) -> tuple[str, ...]:
        """Measures that lie outside what is accepted."""
        return tuple(row.name for row in self.rows if not row.fine)

    def __bool__(self) -> bool:
        """Whether every measure lies inside."""
        return not self.outside

    def __str__(self) -> str:
        """A line per measure."""
        cells = [
            {
                "measure": row.name,
                f"seed {self.seed}, here": f"{row.measured:.4f}",
                "stored": "-" if row.stored is None else f"{row.stored:.4f}",
                "accepted": f"{row.low:.4f} to {row.high:.4f}",
                "": "inside" if row.fine else "OUTSIDE",
            }
            for row in self.rows
        ]
        stored = ", ".join(map(str, self.seeds))
        note = (
            f"arm {self.arm}; accepted: the range of stored seeds ({stored}), wider by a tolerance"
        )
        return "\n".join([aligned(cells), note])

    __repr__ = __str__


def check_seed(
    claims: ClaimTable,
    arm: str,
    seed: int,
    measured: Mapping[str, float],
    tolerance: float | Mapping[str, float],
) -> SeedCheck:
    """Whether one run, made here, belongs to the stored runs of the same arm.

    Another processor rounds differently and training amplifies that, so the same seed is expected
    to land among the stored seeds, not on its own value.

    Args:
        claims: stored results.
        arm: which the run belongs to.
        seed: that it was made with; it need not be a stored one.
        measured: measures of the run, all or some.
        tolerance: how far outside the range of the stored seeds a value may lie, in the unit of the
            measure; or a value for each measure.

    Raises:
        ValueError: the arm was not run, a measure is unknown or not finite, nothing was measured,
            or a tolerance is missing or negative.
    """
    if not measured:
        raise ValueError("expected at least one measure to compare, got none")
    rows = []
    for name, value in measured.items():
        stored = claims.values(arm, name)
        if isinstance(tolerance, Mapping) and name not in tolerance:
            raise ValueError(f"no tolerance for {name}; given are {', '.join(tolerance)}")
        width = tolerance[name] if isinstance(tolerance, Mapping) else tolerance
        if not (math.isfinite(value) and 0 <= width < math.inf):
            raise ValueError(
                f"{name}: expected a finite value and a tolerance of 0 or more, got {value} and "
                f"{width}"
            )
        low, high = min(stored.values()) - width, max(stored.values()) + width
        rows.append(Row(name, float(value), stored.get(seed), low, high))
    return SeedCheck(arm, seed, tuple(claims.runs_of(arm)), tuple(rows))
