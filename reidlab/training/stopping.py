"""Stop when validation no longer improves, and go back to the epoch that was best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from reidlab.training.config import TrainConfig


def best_epoch(rows: Sequence[Mapping[str, float]], config: TrainConfig) -> int:
    """Number of the best epoch so far, from 1; 0 before the first one.

    Of equally good epochs the first is the best; NaN is never good.

    Raises:
        ValueError: a row lacks the number that is watched.
    """
    name, found, best = config.monitor, 0, math.inf
    for number, row in enumerate(rows, start=1):
        if name not in row:
            raise ValueError(
                f"patience={config.patience} watches {name!r}, which epoch {number} does not have: "
                f"it has {', '.join(row)}. Set monitor (--monitor) to one of these, or let "
                "on_epoch return it"
            )
        value = row[name] if config.lower_is_better else -row[name]
        if value < best:
            found, best = number, value
    return found


def check_watched(config: TrainConfig, judged: bool) -> None:
    """Raise before the first epoch when nobody can give the number that is watched.

    Args:
        config: says what is watched.
        judged: whether there is an `on_epoch`.

    Raises:
        ValueError: a patience for a number about validation people, and no `on_epoch`.
    """
    if config.patience is not None and config.monitor.startswith("val_") and not judged:
        raise ValueError(
            f"patience={config.patience} watches {config.monitor!r}, which only on_epoch can give; "
            "pass on_epoch, such as attribute_validation(held_out, weights=...), "
            "triplet_validation(held_out) or pair_validation(held_out), or set "
            "patience=None to train all epochs"
        )


class Patience:
    """The weights of the best epoch, and whether waiting for a better one still makes sense.

    Without `config.patience` it does nothing: all epochs are trained, the last one is kept.

    Args:
        config: patience, and which column of the log it watches.
        weights: of the best epoch of a run that goes on.
    """

    def __init__(self, config: TrainConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        self.config = config
        self.weights = None if weights is None else dict(weights)

    def is_over(self, rows: Sequence[Mapping[str, float]]) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        patience = self.config.patience
        return patience is not None and len(rows) - best_epoch(rows, self.config) >= patience

    def note(self, model: nn.Module, rows: Sequence[Mapping[str, float]]) -> None:
        """Keep a copy of the weights when the last row is the best one."""
        if self.config.patience is not None and best_epoch(rows, self.config) == len(rows):
            self.weights = {name: t.detach().clone() for name, t in model.state_dict().items()}

    def restore(self, model: nn.Module) -> None:
        """Put the weights of the best epoch back."""
        if self.weights is not None:
            model.load_state_dict(self.weights)
