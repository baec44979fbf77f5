"""A claim: what somebody says about a mechanism, and what seeds with their controls say.

Every seed of the treatment is paired with the run of the control that has the same seed. Seeds
change the initial weights, the batches and the dropout; the images stay the same. So an interval
over seeds is about training, not about other people or cameras.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from reidlab.calibration.intervals import check_confidence
from reidlab.claims.effects import ABOUT, Effect, Measure, Verdict

WIDTH = 100  # of a printed line


@dataclass(frozen=True)
class Statement:
    """What is claimed, before anything is measured.

    Args:
        name: short, unique within an experiment.
        sentence: the claim in words.
        source: who says so.
        mechanism: what differs between the arms, and why that should matter.
        treatment: the arm that should be better.
        control: the arm it is compared with.
        measures: in which it should be better; several are claimed all at once.
        versus: what the control is called where it is no arm but `against` of the measures, such as
            "guessing".

    Raises:
        ValueError: no measures, one twice, or an arm compared with itself in the same measure.
    """

    name: str
    sentence: str
    source: str
    mechanism: str
    treatment: str
    control: str
    measures: tuple[Measure, ...]
    versus: str = ""

    def __post_init__(self) -> None:
        names = [measure.name for measure in self.measures]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{self.name}: expected different measures, got {names}")
        for measure in self.measures:
            if self.treatment == self.control and measure.against in ("", measure.name):
                raise ValueError(f"{self.name}: {measure.name} is compared with itself")

    @property
    def opponent(self) -> str:
        """What the treatment is compared with, in words: `versus`, an arm, or other measures."""
        if self.versus or self.control != self.treatment:
            return self.versus or self.control
        return ", ".join(dict.fromkeys(measure.against for measure in self.measures))


@dataclass(frozen=True)
class Claim:
    """A statement with what was found; `print(claim)` explains it.

    Args:
        statement: what is claimed.
        effects: one per measure of the statement, in its order; none while runs are missing.
        confidence: that all intervals hold at once.
    """

    statement: Statement
    effects: tuple[Effect, ...] = ()
    confidence: float = 0.95

    @property
    def name(self) -> str:
        """Short name."""
        return self.statement.name

    @property
    def sentence(self) -> str:
        """The claim in words."""
        return self.statement.sentence

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that both arms have."""
        return self.effects[0].seeds if self.effects else ()

    @property
    def verdict(self) -> Verdict:
        """All effects must hold; one that is contradicted contradicts the claim."""
        found: list[Verdict] = [effect.verdict for effect in self.effects]
        if not found:
            return "not measured"
        if "contradicted" in found:
            return "contradicted"
        return found[0] if len(set(found)) == 1 else "not visible"

    @property
    def summary(self) -> str:
        """The verdict, and of several effects how many have which."""
        found = [effect.verdict for effect in self.effects]
        if len(found) < 2 or len(set(found)) == 1:
            return self.verdict
        counts = [(found.count(kind), kind) for kind in get_args(Verdict) if kind in found]
        words = [f"{n} {'hold' if n > 1 and kind == 'holds' else kind}" for n, kind in counts]
        return f"{self.verdict} ({', '.join(words)})"

    def effect(self, measure: str) -> Effect:
        """The effect on one measure.

        Raises:
            ValueError: it is not part of the claim, or was not measured.
        """
        for effect in self.effects:
            if effect.measure.name == measure:
                return effect
        known = ", ".join(effect.measure.name for effect in self.effects) or "nothing yet"
        raise ValueError(f"{self.name}: no effect on {measure!r}; measured: {known}")

    @property
    def explained(self) -> str:
        """Verdict, sentence, source, mechanism, arms and the kind of interval, without numbers."""
        own = self.statement
        rows = {
            "claim": f"{own.sentence} ({own.source})",
            "mechanism": own.mechanism,
            "arms": f"{own.treatment} against {own.opponent}",
            "intervals": how(self),
        }
        lines = [f"{self.name}: {self.summary}"]
        for name, text in rows.items():
            lines += textwrap.wrap(f"  {name:<9}  {text}", WIDTH, subsequent_indent=" " * 13)
        return "\n".join(lines)

    def __str__(self) -> str:
        """The explanation, and a line per effect."""
        return "\n".join([self.explained, *(f"  {line(effect)}" for effect in self.effects)])


def line(effect: Effect) -> str:
    """One effect in words."""
    measure, (low, high) = effect.measure, effect.interval
    mean, low, high = (measure.scaled(value) for value in (effect.mean, low, high))
    arms = f"{measure.text(fmean(effect.treated))} against {measure.text(fmean(effect.controls))}"
    sign = "" if measure.better == "higher" else " lower"
    return (
        f"{measure.title}: {arms}, {mean:+z.3g} {measure.points}{sign} "
        f"({low:+z.3g} to {high:+z.3g}), {effect.verdict}"
    )


def how(claim: Claim) -> str:
    """How the intervals of a claim were made."""
    if not claim.effects:
        return "not measured yet: both arms need two seeds in common"
    count, parts = len(claim.seeds), len(claim.effects)
    many = (
        f" for {parts} measures simultaneously (Bonferroni; stricter than a claim that all of them "
        "hold would need)"
    )
    return (
        f"{claim.confidence:.0%}{many if parts > 1 else ''}, of the paired difference over {count} "
        f"seeds, Student's t with {count - 1} degree{'s' * (count > 2)} of freedom; {ABOUT}"
    )


def judge(
    statement: Statement,
    runs: Mapping[str, Mapping[int, Mapping[str, float]]],
    confidence: float = 0.95,
) -> Claim:
    """The statement with its effects over all seeds that both arms have.

    With k measures each interval has confidence 1 - (1 - confidence) / k (Bonferroni), so that all
    of them hold at once with `confidence`.

    Args:
        statement: what is claimed.
        runs: arm -> seed -> measures.
        confidence: of all intervals together.

    Returns:
        A claim without effects when fewer than two seeds are in both arms.

    Raises:
        ValueError: a run lacks a measure.
    """
    treated, controls = (runs.get(arm, {}) for arm in (statement.treatment, statement.control))
    seeds = tuple(sorted(treated.keys() & controls.keys()))
    check_confidence(confidence)
    if len(seeds) < 2:
        return Claim(statement, (), confidence)
    each = 1 - (1 - confidence) / len(statement.measures)
    effects = []
    for measure in statement.measures:
        pair = ((statement.treatment, treated, measure.name),
                (statement.control, controls, measure.against or measure.name))  # fmt: skip
        values = [[_value(own, seed, name, arm) for seed in seeds] for arm, own, name in pair]
        effects.append(Effect(measure, seeds, tuple(values[0]), tuple(values[1]), each))
    return Claim(statement, tuple(effects), confidence)


def _value(runs: Mapping[int, Mapping[str, float]], seed: int, name: str, arm: str) -> float:
    if name not in runs[seed]:
        known = ", ".join(sorted(runs[seed]))
        raise ValueError(f"arm {arm}, seed {seed}: no measure {name!r}; it has {known}")
    return float(runs[seed][name])
