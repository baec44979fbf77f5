"""People into training and validation: nobody on both sides, rare attributes on each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from reidlab.data.attributes import AttributeTable
from reidlab.data.heads import COLUMNS, MEANINGS, Labels
from reidlab.data.samples import Sample, Samples
from reidlab.data.targets import labelled, people_of

Value = tuple[str, int]  # column and code


@dataclass(frozen=True, repr=False)
class AttributeSplit:
    """Who trains and who validates; `print(split)` shows how far each value was shared out.

    Args:
        train: person ids, sorted.
        validation: the other person ids, sorted.
        ratio: share of training people that was asked for.
        seed: of the shuffles.
        counts: (column, code) -> people in training, people in validation; values that somebody
            has, in the order of `COLUMNS`.

    Raises:
        ValueError: somebody is on both sides.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    ratio: float
    seed: int
    counts: Mapping[Value, tuple[int, int]]

    def __post_init__(self) -> None:
        if shared := sorted(set(self.train) & set(self.validation)):
            raise ValueError(f"expected every person on one side, {shared[0]} is on both")

    @property
    def reached(self) -> float:
        """Share of people who train. It drifts from `ratio` where values are rounded one by one."""
        return len(self.train) / (len(self.train) + len(self.validation))

    @property
    def reached_by_value(self) -> dict[Value, float]:
        """(column, code) -> share of the people with that code who train."""
        return {value: train / (train + held) for value, (train, held) in self.counts.items()}

    @property
    def missing_in_train(self) -> tuple[Value, ...]:
        """(column, code) that only people in validation have: nothing can learn them."""
        return tuple(value for value, (train, _) in self.counts.items() if not train)

    @property
    def missing_in_validation(self) -> tuple[Value, ...]:
        """(column, code) that only people in training have: nothing can check them."""
        return tuple(value for value, (_, held) in self.counts.items() if not held)

    def __repr__(self) -> str:
        """One short line."""
        return (
            f"AttributeSplit({len(self.train):,} train, {len(self.validation):,} validation, "
            f"ratio {self.reached:.3f}, asked {self.ratio:g}, seed {self.seed})"
        )

    def __str__(self) -> str:
        """The ratio asked for and reached, what is missing where, and a line per column."""
        lines = [
            f"{len(self.train):,} people train and {len(self.validation):,} validate: "
            f"{self.reached:.1%}, asked for {self.ratio:.1%} (seed {self.seed})",
            f"missing in train: {_named(self.missing_in_train)}",
            f"missing in validation: {_named(self.missing_in_validation)}",
        ]
        width = max(map(len, COLUMNS))
        for column in COLUMNS:
            parts = [
                f"{name} {train} + {held} ({train / (train + held):.0%})"
                for code, name in enumerate(MEANINGS[column], 1)
                for train, held in [self.counts.get((column, code), (0, 0))]
                if train + held
            ]
            lines.append(f"{column:<{width}}  {', '.join(parts)}")
        return "\n".join(lines)


def split_by_attributes(
    people: Mapping[int, Labels], ratio: float = 0.8, seed: int = 0
) -> AttributeSplit:
    """Training and validation people, each attribute value shared out by the same ratio.

    Greedy, rare values first: every (column, code) in ascending order of how many people have it,
    ties in the order of `COLUMNS` and codes; of those among them who have no side yet, shuffled,
    the first floor(ratio n) train and the rest validate. The only person with some value trains, so
    that this value is missing in validation. Nobody is on both sides.

    The rounding of each step goes to validation, so that the ratio reached may fall short of the
    one asked for; and a value may end on one side where people were placed because of a rarer one.
    The result says both.

    Args:
        people: an `AttributeTable`, or person id -> column -> code. Their order does not matter.
        ratio: share of training people, between 0 and 1.
        seed: of the shuffles.

    Raises:
        ValueError: a ratio outside (0, 1), fewer than two people, labels that are missing or not
            valid, or a side that stays empty.

    Source: the procedure of public student projects on the attributes of Market-1501, which put
    the only person with a value on both sides; here that person trains only.
    """
    table = _checked(people, ratio, seed)
    having: dict[Value, list[int]] = {}
    for pid, labels in table.items():
        for column, code in labels.items():
            having.setdefault((column, code), []).append(pid)
    rng = np.random.default_rng(seed)
    trains: dict[int, bool] = {}
    for value in sorted(having, key=lambda v: (len(having[v]), COLUMNS.index(v[0]), v[1])):
        free = [pid for pid in having[value] if pid not in trains]
        alone = len(having[value]) == 1
        first = 1 if alone else math.floor(ratio * len(free) + 1e-9)  # 0.29 * 100 is below 29
        for place, pid in enumerate(rng.permutation(free).tolist()):
            trains[pid] = place < first
    split = _record(table, trains, ratio, seed)
    if not split.train or not split.validation:
        side, why = "validation", "whoever is the only one with some value trains: give more people"
        if not split.train:
            side, why = "training", "shares are rounded down: give more people or a larger ratio"
        raise ValueError(
            f"nobody is left for {side}: {len(table)} people at a ratio of {ratio:g}; {why}"
        )
    return split


def split_samples(
    samples: Sequence[Sample], ratio: float = 0.8, seed: int = 0
) -> tuple[Samples, Samples, AttributeSplit]:
    """Images of training people, images of validation people, and who they are.

    Images keep their order, their cameras and the name of their dataset. Distractors and junk show
    nobody and are left out.

    Args:
        samples: labelled images, see `annotate`.
        ratio: see `split_by_attributes`.
        seed: see `split_by_attributes`.

    Raises:
        ValueError: an image without attributes, images of one person that disagree, and whatever
            `split_by_attributes` refuses.
    """
    real = labelled(samples)
    split = split_by_attributes(people_of(real), ratio, seed)
    known = real.cameras, real.source, real.views
    sides = set(split.train), set(split.validation)
    train, validation = (Samples([s for s in real if s.pid in side], *known) for side in sides)
    return train, validation, split


def _checked(people: Mapping[int, Labels], ratio: float, seed: int) -> AttributeTable:
    """The people as a table, sorted by id."""
    number = isinstance(ratio, Real) and not isinstance(ratio, bool)
    if not number or not 0 < ratio < 1:
        raise ValueError(f"expected a ratio between 0 and 1, for instance 0.8, got {ratio!r}")
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"expected a seed of 0 or more, a whole number, got {seed!r}")
    for pid, labels in people.items():
        if labels is None:
            raise ValueError(
                f"person {pid} has no labels; leave people without attributes out of the split"
            )
    if len(people) < 2:
        raise ValueError(f"expected two people or more to split, got {len(people)}")
    if isinstance(people, AttributeTable):
        return people
    return AttributeTable({pid: dict(labels) for pid, labels in people.items()})


def _record(
    table: AttributeTable, trains: Mapping[int, bool], ratio: float, seed: int
) -> AttributeSplit:
    """The two sides, counted."""
    sides = [tuple(pid for pid in table if trains[pid] is side) for side in (True, False)]
    found = [Counter(value for pid in side for value in table[pid].items()) for side in sides]
    values = [(c, code) for c in COLUMNS for code in range(1, len(MEANINGS[c]) + 1)]
    counts = {v: (found[0][v], found[1][v]) for v in values if found[0][v] + found[1][v]}
    return AttributeSplit(sides[0], sides[1], float(ratio), int(seed), counts)


def _named(values: Sequence[Value]) -> str:
    """`age 4 (old), downpurple 2 (yes)`."""
    named = [f"{column} {code} ({MEANINGS[column][code - 1]})" for column, code in values]
    return ", ".join(named) or "nothing"
