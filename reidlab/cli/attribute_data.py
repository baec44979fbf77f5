"""The part of `reidlab attributes` that is about datasets: who is asked, what is right, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.cli.annotations import annotated
from reidlab.cli.attribute_output import flat_rows, say, write_json, write_picture, write_table
from reidlab.cli.reading import Reading
from reidlab.cli.search import printable
from reidlab.data.attributes import read_attributes
from reidlab.data.samples import DISTRACTOR, Sample, Samples, Splits, people
from reidlab.data.targets import targets_of
from reidlab.embedding.attributes import AttributePredictions, predict_attributes
from reidlab.evaluation.attributes import (
    evaluate_attributes,
    evaluate_official,
    official_matrix,
    write_official,
)


@dataclass(frozen=True)
class Asked:
    """Images of a dataset to look at.

    Args:
        samples: these images.
        splits: the dataset, annotated.
    """

    samples: Samples
    splits: Splits


@dataclass(frozen=True, eq=False)
class Labelled:
    """Predictions with what is right.

    Args:
        predictions: of the N images that could be read.
        samples: the same images.
        asked: all that should have been looked at.
    """

    predictions: AttributePredictions
    samples: list[Sample]
    asked: Asked

    @classmethod
    def predict(
        cls, net: nn.Module, asked: Asked, calibration: Any, settings: dict[str, Any]
    ) -> Labelled:
        """What the model says about the images of `asked`."""
        found = predict_attributes(net, asked.samples, **settings)
        found = found if calibration is None else calibration.apply(found)
        by_path = {sample.path: sample for sample in asked.samples}
        return cls(found, [by_path[path] for path in found.paths], asked)

    @property
    def truth(self) -> dict[str, Tensor]:
        """Head -> (N,) class index; -1 where nobody says which attributes a person has."""
        heads = self.predictions.heads
        rows = [i for i, sample in enumerate(self.samples) if sample.attributes is not None]
        right = {head: torch.full((len(self.samples),), -1) for head in heads}
        for head, classes in targets_of([self.samples[i] for i in rows], heads).items():
            right[head][rows] = classes
        return right


def read_labelled(
    data: str,
    root: Path | None,
    variant: str | None,
    annotations: Path | None,
    card: dict[str, Any],
    searched: bool,
) -> Asked:
    """The test images of a dataset: those to search, or those whose people are annotated.

    Args:
        data: what --data says.
        root: folder of named datasets.
        variant: which one.
        annotations: a table of attributes that takes the place of the dataset's own.
        card: of the model; the people that its training held out are held out here, too.
        searched: people of the gallery; else those of query and gallery, who must be annotated.
            Distractors and junk, of whom nobody says anything, are left out of both.

    Raises:
        ValueError: no such dataset; one without test images or annotations; test people who were
            trained on.
    """
    table = None if annotations is None else read_attributes(annotations)
    trained, named = Reading.of_card(card), Reading.of(data, root, variant=variant)
    if (
        trained is not None
        and variant is None
        and (trained.read, trained.root)
        == (
            named.read,
            named.root,
        )
    ):
        named = replace(named, variant=trained.variant)  # of the same set, the one it has learnt
    splits = named.like(trained).splits()
    test = [*splits.query, *splits.gallery]
    if not test:
        raise ValueError(
            f"{splits.name} has no query and no gallery, so there is nobody to ask about; name the "
            "folder of images without --data"
        )
    if trained is not None and named.same_place(trained):
        _check_strangers(test, card["data"].get("ids", []))
    needed = () if searched else ("train", "query", "gallery")
    splits = annotated(splits, table, needed, unused="ignore")  # who has no image is not asked
    asked = splits.gallery if searched else [*splits.query, *splits.gallery]
    chosen = [sample for sample in asked if sample.pid > DISTRACTOR]
    return Asked(Samples(chosen, splits.cameras, splits.name, splits.views), splits)


def _check_strangers(test: Sequence[Sample], learnt: Sequence[int]) -> None:
    """Raise when people of the test were trained on: the score would mean nothing."""
    asked = people(test)
    if known := sorted(asked & set(learnt)):
        raise ValueError(
            f"{len(known)} of {len(asked)} test people, for instance {known[0]}, were trained on; "
            "hold them out of training (train --test-ids N)"
        )


def evaluate_on(labelled: Labelled, targets: dict[str, Path]) -> None:
    """Print the scores, write what the flags ask for."""
    found, splits = labelled.predictions, labelled.asked.splits
    train = [sample for sample in splits.train if sample.pid > DISTRACTOR]
    scores = evaluate_attributes(found, labelled.samples, train=train)
    lines = [str(scores)]
    if "official" in targets:
        lines += ["", _official(labelled, targets["official"])]
    if "csv" in targets:
        write_table(targets["csv"], flat_rows(found))
    if "json" in targets:
        write_json(targets["json"], scores.as_dict())
    if "out" in targets:
        from reidlab.calibration import attribute_margins
        from reidlab.plots.attributes import attribute_bars

        margins = attribute_margins(found, labelled.samples, train)
        write_picture(attribute_bars(scores, margins), targets["out"])
    names = {"out": "picture", "csv": "answers", "json": "scores", "official": "matrix"}
    lines += [f"{names[flag]}: {printable(path)}" for flag, path in targets.items()]
    say("\n".join(lines))


def _official(labelled: Labelled, path: Path) -> str:
    """Write the gallery's rows for Market-1501's evaluator; its scores as text."""
    gallery = [s for s in labelled.asked.splits.gallery if s.pid > DISTRACTOR]
    row = {sample.path: i for i, sample in enumerate(labelled.samples)}
    if missing := [sample.path for sample in gallery if sample.path not in row]:
        raise ValueError(
            f"--official: {len(missing)} gallery images, for instance {missing[0]}, could not be "
            "read, and the evaluator wants a row for each; repair them, or leave out --official"
        )
    matrix = official_matrix(labelled.predictions[[row[sample.path] for sample in gallery]])
    write_official(path, matrix)
    return f"Market-1501's evaluator, gallery alone:\n{evaluate_official(matrix, gallery)}"
