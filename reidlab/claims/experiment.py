"""An experiment: arms that differ in one thing each, run with several seeds on one dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reidlab.claims.record import Statement
from reidlab.claims.settings import Arm, Settings, settings_of
from reidlab.data.packs import read_manifest
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Splits
from reidlab.data.synthetic.dataset import cache_folder, validate
from reidlab.data.synthetic.plan import SyntheticOptions
from reidlab.data.variants import with_variant
from reidlab.recipes import Recipe

Measures = Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """What one arm measured with one seed.

    Args:
        arm: its name.
        seed: of initial weights, batches and dropout.
        measures: name -> value.
        cpu_seconds: that it took, of all threads together.
    """

    arm: str
    seed: int
    measures: Measures
    cpu_seconds: float


@dataclass(frozen=True)
class Experiment:
    """Which runs there are, and which statements they decide.

    Args:
        name: of the file of results, and on the command line.
        title: one line on what is asked.
        arms: name -> a recipe, or a function from a seed to measures.
        statements: what the runs are to decide.
        measure: (recipe, splits, seed) -> measures: trains and measures an arm that is a recipe.
        dataset: name that `read_dataset` takes; empty when no arm is a recipe.
        options: of `read_dataset`.
        seeds: with which every arm is run.
        version: raised by hand when code changes what is measured, but no setting does.

    Raises:
        ValueError: a statement names an unknown arm, or recipes come without `measure` and dataset.
    """

    name: str
    title: str
    arms: Mapping[str, Arm]
    statements: tuple[Statement, ...]
    measure: Callable[[Recipe, Splits, int], Measures] | None = None
    dataset: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    version: int = 1

    def __post_init__(self) -> None:
        names = [statement.name for statement in self.statements]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: expected different statements, got {names}")
        for statement in self.statements:
            self.check_arms((statement.treatment, statement.control))
        recipes = any(isinstance(arm, Recipe) for arm in self.arms.values())
        if recipes and not (self.measure and self.dataset):
            raise ValueError(f"{self.name}: recipes need `measure` and `dataset`")

    def check_arms(self, names: tuple[str, ...]) -> None:
        """Raise unless all of them are arms."""
        if unknown := [name for name in names if name not in self.arms]:
            raise ValueError(
                f"{self.name} has no arm {', '.join(unknown)}; its arms: {', '.join(self.arms)}"
            )

    def needs(self, arm: str) -> set[str]:
        """The measures that the statements read in the runs of an arm."""
        found = set()
        for own in self.statements:
            for one in own.measures:
                found |= {one.name} if own.treatment == arm else set()
                found |= {one.against or one.name} if own.control == arm else set()
        return found

    @cached_property  # weights that an arm starts from are hashed
    def settings(self) -> dict[str, Settings]:
        """Arm -> all that decides its result besides seed, data and code."""
        return {name: settings_of(arm) for name, arm in self.arms.items()}

    def read(self, *, progress: bool = False) -> Splits | None:
        """The dataset, rendered if need be; None where no arm needs one."""
        if not self.dataset:
            return None
        return read_dataset(self.dataset, **self.options, progress=progress)

    def cached_fingerprint(self) -> str | None:
        """The fingerprint of the dataset if a synthetic one lies ready; nothing is rendered."""
        if self.dataset != "synthetic":
            return None
        options = SyntheticOptions(**with_variant(self.options))
        folder = cache_folder(options)
        if validate(folder, options):
            return None
        manifest = read_manifest(folder)
        return None if manifest is None else str(manifest.content["fingerprint"])

    def run(self, name: str, seed: int, splits: Splits | None = None) -> dict[str, float]:
        """The measures of one arm with one seed.

        Raises:
            ValueError: an unknown arm, no data for a recipe, a measure that is no finite number, or
                one that a statement needs and that is missing.
        """
        self.check_arms((name,))
        arm = self.arms[name]
        if isinstance(arm, Recipe):
            if splits is None or self.measure is None:
                raise ValueError(f"{self.name}, arm {name}: expected the splits of {self.dataset}")
            found = self.measure(arm, splits, seed)
        else:
            found = arm(seed)
        values = {key: float(value) for key, value in found.items()}
        if wrong := [key for key, value in values.items() if not math.isfinite(value)]:
            raise ValueError(
                f"{self.name}, arm {name}, seed {seed}: {', '.join(wrong)} not finite; leave out "
                "what cannot be measured, or lower the learning rate if the training diverged"
            )
        if missing := sorted(self.needs(name) - set(values)):
            raise ValueError(
                f"{self.name}, arm {name}, seed {seed}: no {', '.join(missing)}, which its claims "
                f"are about; measured: {', '.join(values)}"
            )
        return values
