r"""Probabilities of attributes that mean what they say: class weights undone, one temperature each.

A cross-entropy in which class c weighs :math:`w_c` is least for probabilities that are proportional
to :math:`w_c p_c`, not to :math:`p_c`: a network trained so overstates rare classes on purpose. And
networks are too sure of themselves. Dividing by the weights is exact only at the optimum of that
loss: a network that has overfitted to its training images is not there, and rare answers then stay
a little too likely. Both are mended per head, on images that were not trained on:

.. math:: p = \mathrm{softmax}\big( (z - \log w) / T \big)

with the temperature T that makes the true classes most likely.

Shapes: N images, n classes of a head.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), temperature
scaling. Differs from it in: class weights are undone before, and T is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab.calibration.pairs import Floats, Integers
from reidlab.calibration.tables import aligned
from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation.attributes import true_classes
from reidlab.evaluation.attributes.truth import Targets
from reidlab.paths import atomic_write, make_folder

KIND = "reidlab_attribute_calibration"
VERSION = 1
LOWEST, HIGHEST = 0.25, 10.0  # of T: a few images that are all right would ask for 0
UNSEEN = 1e4  # below the largest logit: probability 0, and still finite


@dataclass(frozen=True)
class AttributeCalibration:
    """What turns the logits of a network into probabilities; `print(calibration)` shows a table.

    Args:
        temperatures: head -> T, above 1 where the network was too sure of itself.
        weights: head -> weight of each class in the loss that the network was trained with, all 1
            without weights; 0 is a class that nobody had, which gets probability 0.
        images: how many it was fitted on.
        people: how many these show.
        notes: head -> what is unusual about its temperature.

    Raises:
        ValueError: an unknown head, another number of weights, or a number out of range.
    """

    temperatures: Mapping[str, float]
    weights: Mapping[str, Sequence[float]]
    images: int
    people: int
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("temperatures", "weights", "notes"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"expected {name} by head, got {getattr(self, name)!r}")
        if not self.temperatures or set(self.temperatures) != set(self.weights):
            raise ValueError(
                "expected temperatures and weights of the same heads, got "
                f"{', '.join(self.temperatures) or 'none'} and {', '.join(self.weights) or 'none'}"
            )
        for head, temperature in self.temperatures.items():
            if head not in HEADS:
                raise ValueError(f"unknown attribute {head!r}; expected some of {', '.join(HEADS)}")
            real = isinstance(temperature, Real) and not isinstance(temperature, bool)
            if not real or not LOWEST <= temperature <= HIGHEST:
                raise ValueError(
                    f"{head}: expected a temperature from {LOWEST} to {HIGHEST}, got {temperature}"
                )
            _check_weights(head, self.weights[head])
        weights = {head: tuple(map(float, row)) for head, row in self.weights.items()}
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "temperatures", dict(self.temperatures))
        object.__setattr__(self, "notes", dict(self.notes))

    def apply(self, predictions: AttributePredictions) -> AttributePredictions:
        """The same predictions with calibrated logits: their `probabilities` can be trusted.

        Without weights the answers stay what they were. Undoing weights changes answers: fewer rare
        ones, so that accuracy grows and balanced accuracy falls.

        Raises:
            ValueError: a head was not calibrated.
        """
        if missing := [head for head in predictions.heads if head not in self.temperatures]:
            raise ValueError(
                f"expected predictions of {', '.join(self.temperatures)}, got {', '.join(missing)} "
                "besides; calibrate these heads as well"
            )
        logits = {
            head: _cooled(table, self.weights[head], self.temperatures[head])
            for head, table in predictions.logits.items()
        }
        return replace(predictions, logits=logits)

    def as_dict(self) -> dict[str, Any]:
        """All of it for a JSON file or a model's card."""
        return {
            KIND: VERSION,
            "images": self.images,
            "people": self.people,
            "temperatures": dict(self.temperatures),
            "weights": {head: list(row) for head, row in self.weights.items()},
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Any, source: str = "calibration") -> AttributeCalibration:
        """What `as_dict` gave.

        Args:
            content: the dictionary, as it comes from JSON.
            source: begins the messages.

        Raises:
            ValueError: it is something else, or a value makes no sense.
        """
        version = content.get(KIND) if isinstance(content, dict) else None
        if type(version) is not int or version != VERSION:
            raise ValueError(f"{source}: expected attributes' calibration with {KIND!r}: {VERSION}")
        _check_fields(content, source)
        try:
            return cls(**{name: value for name, value in content.items() if name != KIND})
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def save(self, path: Path | str) -> Path:
        """Write it to a JSON file, whole or not at all; its path.

        Raises:
            ValueError: the file cannot be written.
        """
        path = Path(path).expanduser()
        make_folder(path.parent)
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)
        atomic_write(path, text + "\n")
        return path

    @classmethod
    def load(cls, path: Path | str) -> AttributeCalibration:
        """What `save` wrote.

        Raises:
            ValueError: the file is missing, or not such a file; the message names it.
        """
        path = Path(path).expanduser()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"cannot read {path} ({error.strerror or error})") from None
        except ValueError as error:  # no JSON, or no text at all
            raise ValueError(
                f"{path}: expected a JSON file of AttributeCalibration.save, got another one "
                f"({error})"
            ) from None
        return cls.from_dict(content, str(path))

    def __str__(self) -> str:
        """A row per head."""
        rows = [("attribute", "temperature", "largest weight undone", "note")]
        for head, temperature in self.temperatures.items():
            largest = max(self.weights[head])
            undone = f"{largest:.3g}" if set(self.weights[head]) != {1.0} else "-"
            rows.append((head, f"{temperature:.2f}", undone, self.notes.get(head, "")))
        return f"{aligned(rows)}\nfitted on {self.images:,} images of {self.people:,} people"


def calibrate_attributes(
    predictions: AttributePredictions,
    targets: Targets,
    *,
    weights: Mapping[str, Sequence[float]] | None = None,
) -> AttributeCalibration:
    """The temperature of each head that makes the true classes of these images most likely.

    Args:
        predictions: of N images that the network was not trained on, nor is tested on.
        targets: head -> (N,) class indices, or the N samples with attributes, in the same order.
        weights: head -> class weights of the loss, as `class_weights` gives them; None where the
            loss had none. Images of a class of weight 0 are left out of the fit.

    Returns:
        Temperatures from 0.25 to 10. Where all images are of one class nothing can be fitted: the
        geometric mean of the other heads' is taken, 1 without any, and `notes` says so, as it does
        of a temperature at the end of the range.

    Raises:
        ValueError: targets or weights do not fit.
    """
    truth = true_classes(predictions, targets)
    heads = predictions.heads
    if missing := [head for head in heads if weights is not None and head not in weights]:
        raise ValueError(f"expected class weights of every head, {', '.join(missing)} missing")
    chosen = {head: (weights or {}).get(head, [1.0] * len(HEADS[head])) for head in heads}
    fitted: dict[str, float] = {}
    for head in heads:
        _check_weights(head, chosen[head])
        known = np.asarray(chosen[head])[truth[head]] > 0  # (N,)
        if len(np.unique(truth[head][known])) > 1:
            plain = _cooled(predictions.logits[head], chosen[head], 1.0).numpy()
            fitted[head] = _fit(plain[known], truth[head][known])
    mean = np.exp(np.mean(np.log(list(fitted.values())))) if fitted else 1.0
    usual = float(np.clip(mean, LOWEST, HIGHEST))  # rounding may lead just beyond
    others = "the mean of the other heads" if fitted else "left at 1"
    notes = {head: f"one class only: {others}" for head in heads if head not in fitted}
    notes |= {h: "at the end of the range" for h, t in fitted.items() if t in (LOWEST, HIGHEST)}
    return AttributeCalibration(
        {head: fitted.get(head, usual) for head in heads},
        chosen,
        len(predictions),
        len(torch.unique(predictions.pids)),
        notes,
    )


def _fit(logits: Floats, truth: Integers) -> float:
    """T of logits (N, n): the loss is convex in 1 / T, so that it has one lowest place."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = torch.from_numpy(logits / np.exp(log_temperature))
        return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(truth)))

    ends = float(np.log(LOWEST)), float(np.log(HIGHEST))
    inside: Any = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-5})
    named = {LOWEST: ends[0], HIGHEST: ends[1], 1.0: 0.0, float(np.exp(inside.x)): inside.x}
    return min(named, key=lambda temperature: loss(named[temperature]))


def _cooled(table: Tensor, weights: Sequence[float], temperature: float) -> Tensor:
    """Logits (N, n) float64 without what the class weights added, divided by T."""
    weight = torch.tensor(weights, dtype=torch.float64)
    seen = weight > 0
    scaled = (table.cpu().double() - weight.where(seen, 1.0).log()) / temperature
    floor = scaled[:, seen].amax(dim=1, keepdim=True) - UNSEEN
    return scaled.where(seen, floor)


def _check_weights(head: str, weights: Sequence[float]) -> None:
    """Raise unless there is a finite weight of 0 or more per class, not all of them 0."""
    names = HEADS[head]
    try:
        row = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):  # no numbers, or rows of different lengths
        row = np.empty(0)
    fine = row.shape == (len(names),) and np.isfinite(row).all() and row.min() >= 0
    if not fine or row.max() == 0:
        raise ValueError(
            f"{head}: expected a weight of 0 or more for each of {', '.join(names)}, not all 0, "
            f"got {weights!r}"
        )


def _check_fields(content: dict[str, Any], source: str) -> None:
    """Raise unless a dictionary from JSON has the fields of the record, each of its type."""
    wanted = ["images", "people", "temperatures", "weights", "notes"]
    if set(content) != {KIND, *wanted}:
        got = ", ".join(str(name) for name in content if name != KIND)
        raise ValueError(f"{source}: expected the fields {', '.join(wanted)}; got {got}")

    def number(value: Any) -> bool:
        return type(value) in (int, float)

    fits = {
        "images": lambda v: type(v) is int and v > 0,
        "people": lambda v: type(v) is int and v > 0,
        "temperatures": lambda v: isinstance(v, dict) and all(map(number, v.values())),
        "weights": lambda v: (
            isinstance(v, dict)
            and all(isinstance(row, list) and all(map(number, row)) for row in v.values())
        ),
        "notes": lambda v: isinstance(v, dict) and all(isinstance(t, str) for t in v.values()),
    }
    if wrong := [name for name in wanted if not fits[name](content[name])]:
        raise ValueError(f"{source}: {wrong[0]} is {str(content[wrong[0]])[:60]}, of a wrong type")
