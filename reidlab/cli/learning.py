"""What `reidlab train` does differently for methods that learn people and for attributes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from reidlab.calibration.temperature import calibrate_attributes
from reidlab.data.attribute_split import AttributeSplit, split_samples
from reidlab.data.images import check_images
from reidlab.data.samples import Sample, Samples, Splits
from reidlab.data.targets import labelled, targets_of
from reidlab.embedding import embed, predict_attributes
from reidlab.evaluation import evaluate
from reidlab.evaluation.attributes import evaluate_attributes
from reidlab.evaluation.attributes.validation import attribute_validation
from reidlab.evaluation.triplets import OnEpoch, pair_validation, triplet_validation
from reidlab.losses.multibranch import multibranch_loss
from reidlab.losses.tuples import pair_loss
from reidlab.recipes import Recipe
from reidlab.training import TrainConfig
from reidlab.training.stopping import best_epoch

# losses that exist for people who are no class of the network, and what measures them
VALIDATIONS: Mapping[Callable[..., Any], Callable[..., OnEpoch]] = {
    multibranch_loss: triplet_validation,
    pair_loss: pair_validation,
}


class Lesson(Protocol):
    """Who trains, how an epoch is judged, and what to say when all is done."""

    train: list[Sample]

    def judge(self, epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        """Numbers about an epoch, from people who do not train."""
        ...

    def card(self, model: nn.Module, config: TrainConfig) -> dict[str, Any]:
        """What the model's card should say of it."""
        ...

    def closing(self, folder: Path, rows: list[dict[str, float]], config: TrainConfig) -> list[str]:
        """The last lines."""
        ...


class PeopleLesson:
    """People are told apart; judged by ranking the validation people every so many epochs.

    Where the loss compares images, it is also measured on the validation people after every epoch.

    Args:
        splits: the dataset.
        chosen: the recipe.
        config: how to train.
        every: epochs between two rankings, 0 for none.

    Raises:
        ValueError: judgements are wanted and there is nobody to judge on, or a bad image.
    """

    def __init__(self, splits: Splits, chosen: Recipe, config: TrainConfig, every: int) -> None:
        self.splits, self.every, self.config = splits, every, config
        self.train: list[Sample] = splits.train
        self.settings: dict[str, Any] = {"flip": chosen.flip, "device": config.device}
        self.query, self.gallery = splits.validation
        compares = chosen.loss in VALIDATIONS
        measured = ("val_loss",) if compares and self.query else ()
        _check_monitor(config, (*measured, *(("val_mAP", "val_rank1") if every else ())))
        ranked = config.monitor.startswith("val_") and config.monitor != "val_loss"
        if config.patience is not None and ranked and every != 1:
            raise ValueError("--patience looks at every epoch; add --validate-every 1")
        if every and not self.query:
            raise ValueError(
                f"{splits.name} has no validation people; add --validation-ids N, or leave out "
                "--validate-every"
            )
        if every:
            self.query, self.gallery = (  # now, not in the middle of the training
                check_images(part, on_error=config.on_error) for part in splits.validation
            )
        self.validate = validation_of(chosen, splits, config) if measured else None

    def judge(self, epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        """Validation loss; and mAP and rank-1, when this epoch has its turn."""
        found = self.validate(epoch, model, row) if self.validate else {}
        if not self.every or (epoch % self.every and epoch != self.config.epochs):
            return found
        scores = evaluate(*(embed(model, p, **self.settings) for p in (self.query, self.gallery)))
        return found | {"val_mAP": scores.mean_ap, "val_rank1": scores.rank(1)}

    def card(self, model: nn.Module, config: TrainConfig) -> dict[str, Any]:
        """Nothing beyond the log."""
        return {}

    def closing(self, folder: Path, rows: list[dict[str, float]], config: TrainConfig) -> list[str]:
        """How to go on."""
        return [f"next: reidlab evaluate {folder}"] if self.splits.query else []


def validation_of(chosen: Recipe, splits: Splits, config: TrainConfig) -> OnEpoch:
    """What measures the loss of a recipe on the validation people after an epoch."""
    watch = VALIDATIONS[chosen.loss]
    names = inspect.signature(watch).parameters
    own = {name: value for name, value in chosen.loss_arguments.items() if name in names}
    held = [*splits.validation[0], *splits.validation[1]]
    people = Samples(held, splits.cameras, splits.name, splits.views)
    return watch(people, **own, device=config.device, on_error=config.on_error)


class AttributeLesson:
    """Twelve heads; judged after every epoch, which decides when to stop.

    The dataset's validation people judge; where it has none, a share of the training people is held
    out so that rare attributes stand on both sides.

    Args:
        splits: the dataset, its people annotated.
        config: how to train.
        settings: of the loss, its class weights apart.
        share: of the training people who train, where the dataset has no validation people.

    Raises:
        ValueError: people without attributes, or too few of them to hold some out.
    """

    def __init__(
        self,
        splits: Splits,
        config: TrainConfig,
        settings: Mapping[str, Any],
        share: float = 0.8,
    ) -> None:
        _check_monitor(config, ("val_loss", "val_accuracy", "val_balanced"))
        self.config, self.settings = config, dict(settings)
        self.split: AttributeSplit | None = None
        self.train: list[Sample] = labelled(splits.train)
        held = labelled([*splits.validation[0], *splits.validation[1]])
        self.held = Samples(held, splits.cameras, splits.name, splits.views)
        if not held:
            self.train, self.held, self.split = split_samples(splits.train, share, config.seed)

    def bind(self, weights: Mapping[str, Any]) -> None:
        """Remember the class weights of the loss, and look at the validation images now."""
        self.weights = weights
        self.validate = attribute_validation(
            self.held,
            weights=weights or None,
            device=self.config.device,
            on_error=self.config.on_error,
            **self.settings,
        )

    def judge(self, epoch: int, model: nn.Module, row: Mapping[str, float]) -> dict[str, float]:
        """Validation loss, mean accuracy and mean balanced accuracy."""
        return self.validate(epoch, model, row)

    def card(self, model: nn.Module, config: TrainConfig) -> dict[str, Any]:
        """Temperatures for calibrated probabilities, validation scores, who was held out."""
        settings: dict[str, Any] = {"device": config.device, "on_error": config.on_error}
        found = predict_attributes(model, self.held, **settings)
        kept = {sample.path: sample for sample in self.held}
        truth = targets_of([kept[path] for path in found.paths])
        calibration = calibrate_attributes(found, truth, weights=self.weights or None)
        scores = evaluate_attributes(found, truth, train=self.train)
        held_out = [] if self.split is None else list(self.split.validation)
        return {
            "calibration": calibration.as_dict(),
            "validation": scores.as_dict(),
            "held_out": held_out,
        }

    def closing(self, folder: Path, rows: list[dict[str, float]], config: TrainConfig) -> list[str]:
        """Which epoch was kept, what it reached, how to go on."""
        number = kept_epoch(rows, config)
        kept = rows[number - 1]
        return [
            f"kept epoch {number}; on validation people mean accuracy "
            f"{100 * kept['val_accuracy']:.1f} %, balanced {100 * kept['val_balanced']:.1f} %",
            f"next: reidlab attributes --model {folder} crop.jpg, or --data for test people",
        ]


def kept_epoch(rows: list[dict[str, float]], config: TrainConfig) -> int:
    """The epoch, from 1, whose weights a finished training has: the best, or the last one."""
    return (best_epoch(rows, config) if config.patience is not None else 0) or len(rows)


def _check_monitor(config: TrainConfig, columns: tuple[str, ...]) -> None:
    """Raise before the training when it watches a number about validation that nobody measures."""
    if config.patience is None or not config.monitor.startswith("val_"):
        return
    if config.monitor not in columns:
        known = (
            ", ".join(columns)
            or "none, for lack of --validate-every 1 or of such people (--validation-ids N)"
        )
        raise ValueError(
            f"--monitor {config.monitor}: no such number about validation people; there are: "
            f"{known}. A term of the loss, or loss itself, can be watched, too"
        )
