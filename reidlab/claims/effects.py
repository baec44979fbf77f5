"""One measure under two treatments, seed by seed, and what the differences say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, get_args

from reidlab.calibration.intervals import check_confidence, student

Verdict = Literal["holds", "contradicted", "not visible", "all seeds alike", "not measured"]
Direction = Literal["higher", "lower"]

NOISE = 1e-9  # differences below are rounding
ABOUT = "same test people in all runs: the interval is about seeds, not about other people"


@dataclass(frozen=True)
class Measure:
    """A number that every run has.

    Args:
        name: its key in the measures of a run.
        title: shown in tables.
        unit: "share" for numbers in [0, 1], shown in percent; else a word such as "epochs".
        better: the direction that is claimed.
        against: what is read in the run of the control, when it has another name; then treatment
            and control may be the same arm.

    Raises:
        ValueError: another direction.
    """

    name: str
    title: str
    unit: str = "share"
    better: Direction = "higher"
    against: str = ""

    def __post_init__(self) -> None:
        if self.better not in get_args(Direction):
            raise ValueError(f"{self.name}: better must be higher or lower, got {self.better!r}")

    def text(self, value: float) -> str:
        """A value with its unit: "81.2 %", "13 epochs"."""
        return f"{100 * value:z.1f} %" if self.unit == "share" else f"{value:z.4g} {self.unit}"

    def scaled(self, value: float) -> float:
        """A value as it is printed, without the unit: shares times 100."""
        return 100 * value if self.unit == "share" else value

    @property
    def points(self) -> str:
        """The unit of a difference of two values."""
        return "points" if self.unit == "share" else self.unit


@dataclass(frozen=True)
class Effect:
    """One measure in both arms, seed by seed.

    Args:
        measure: what was measured.
        seeds: S seeds that both arms have, at least two.
        treated: S values of the treatment.
        controls: S values of the control, of the same seeds.
        confidence: of the interval; of several effects of one claim, each has a higher one.

    Raises:
        ValueError: fewer than two seeds, a number of values that differs, values that are not
            finite, or a confidence outside (0, 1).
    """

    measure: Measure
    seeds: tuple[int, ...]
    treated: tuple[float, ...]
    controls: tuple[float, ...]
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        sizes = len(self.seeds), len(self.treated), len(self.controls)
        if len(set(sizes)) > 1 or sizes[0] < 2:
            raise ValueError(
                f"{self.measure.name}: expected one value per arm for each of two seeds or more, "
                f"got {sizes[0]} seeds, {sizes[1]} and {sizes[2]} values"
            )
        if not all(map(math.isfinite, (*self.treated, *self.controls))):
            raise ValueError(f"{self.measure.name}: expected finite values, got {self}")

    @property
    def differences(self) -> tuple[float, ...]:
        """Per seed, how much better the treatment is; negative where it is worse.

        What is only rounding counts as 0.
        """
        sign = 1 if self.measure.better == "higher" else -1
        found = [sign * (t - c) for t, c in zip(self.treated, self.controls, strict=True)]
        return tuple(0.0 if abs(value) < NOISE else value for value in found)

    @property
    def mean(self) -> float:
        """Mean of the differences."""
        return fmean(self.differences)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end for the mean difference; see `paired_interval`."""
        return paired_interval(self.differences, self.confidence)

    @property
    def verdict(self) -> Verdict:
        """Where the interval lies: above 0, below 0, or around it.

        Seeds that are all alike tell nothing about how others would differ, so their interval has
        no width and decides nothing.
        """
        if max(self.differences) - min(self.differences) < NOISE:
            return "all seeds alike"
        low, high = self.interval
        return "holds" if low > 0 else "contradicted" if high < 0 else "not visible"


def paired_interval(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    r"""Interval for the mean of n paired differences, by Student's t with n - 1 degrees of freedom.

    .. math:: \bar d \pm t_{n-1} \, s_d / \sqrt{n}

    Three seeds leave two degrees of freedom: a quantile of 4.3 at 95 %, of 6.2 where two measures
    share the error and 15.4 where twelve do. Only effects several times as large as the spread
    between seeds are visible.

    Raises:
        ValueError: fewer than two differences.
    """
    count = len(differences)
    if count < 2:
        raise ValueError(f"expected at least two paired differences, got {count}")
    half = student(confidence, count - 1) * stdev(differences) / math.sqrt(count)
    return fmean(differences) - half, fmean(differences) + half
