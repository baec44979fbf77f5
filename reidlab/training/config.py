"""How to train: one dataclass, from which the command line derives its flags."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from reidlab.data.transforms import TrainTransform
from reidlab.data.tuples import LENGTHS


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the desk recipe of the baseline.

    Raises:
        ValueError: values out of range, or settings that contradict each other.
    """

    epochs: int = 10
    """Passes over the sampler."""
    max_steps: int | None = None
    """Stop after so many optimiser steps in all, in the middle of an epoch if need be; rates stay
    those of the whole training. None: all epochs."""
    seed: int = 0
    """With the epoch it decides batches, augmentation and dropout."""
    sampler: Literal["pk", "groups", "shuffle", "pairs", "triplets"] = "pk"
    """"pk": P identities x K images per batch; "groups": P groups of K, where an identity may occur
    twice; "shuffle": a plain permutation; "pairs", "triplets": drawn at random, P x K of them."""
    ids_per_batch: int = 8
    """P."""
    images_per_id: int = 4
    """K; the batch size is P x K, for every sampler."""
    transform: TrainTransform = field(default_factory=lambda: TrainTransform(pad=5))
    """Random flip, crop and erasing; 5 pixels of padding suit 128x64 images."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """Fused where the device has it."""
    lr: float = 2e-3
    """Base learning rate."""
    weight_decay: float = 5e-4
    """For all parameters; coupled in adam and sgd, decoupled in adamw."""
    bias_lr_factor: float = 1.0
    """Parameters whose name contains "bias" learn at lr times this."""
    momentum: float = 0.9
    """Of sgd."""
    schedule: Literal["cosine", "multistep", "constant"] = "cosine"
    """Shape of the learning rate after the warm-up."""
    schedule_by: Literal["step", "epoch"] = "step"
    """Move the learning rate after every step, or once per epoch as most publications do."""
    warmup_epochs: float = 1.0
    """Linear warm-up."""
    warmup_factor: float = 0.01
    """Where the warm-up starts, as a share of lr."""
    min_lr_factor: float = 0.002
    """Where the cosine ends, as a share of lr."""
    milestones: tuple[int, ...] = (40, 70)
    """Epochs (counted from 0) at which multistep multiplies by gamma."""
    gamma: float = 0.1
    """See milestones."""
    loss_lr: float = 0.5
    """Learning rate of what the loss itself learns, such as class centres; plain SGD."""
    freeze_norm: bool = False
    """Batch norm uses its running statistics while training, and does not change them."""
    unfreeze_every: int | None = None
    """Epochs until one more block of a transformer is trained, from the last two on; None: all."""
    clip_norm: float | None = None
    """Largest gradient norm."""
    patience: int | None = None
    """Stop after so many epochs without a better one, and keep the best; None: train them all."""
    monitor: str = "val_loss"
    """The column of the log that says how good an epoch is, when there is a patience."""
    monitor_best: Literal["lowest", "highest", None] = None
    """Whether less or more of it is better; None: more of a val_ column, val_loss apart."""
    amp: bool | None = None
    """bfloat16 autocast; None: on CUDA only."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU."""
    in_memory: bool | None = None
    """Keep images as uint8 in memory; None: when they need less than 2 GiB."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images, or leave them out with a warning; decided before the first epoch."""
    out: Path | None = None
    """Folder for checkpoint and log; a run that was interrupted there is continued."""
    tensorboard: bool | None = None
    """Log for TensorBoard below `out`; None: when TensorBoard is installed."""
    restart: bool = False
    """Start again even if `out` holds a checkpoint."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        object.__setattr__(self, "out", None if self.out is None else Path(self.out))
        for name, hint in get_type_hints(TrainConfig).items():
            _check_kind(name, getattr(self, name), hint)
        positive = ("epochs", "ids_per_batch", "images_per_id", "lr", "loss_lr")
        not_negative = (
            "weight_decay",
            "warmup_epochs",
            "momentum",
            "min_lr_factor",
            "warmup_factor",
        )
        not_negative += ("bias_lr_factor", "gamma", "seed")
        for names, fine, rule in (
            (positive, lambda x: x > 0, "above 0"),
            (not_negative, lambda x: x >= 0, "0 or more"),
        ):
            for name in names:
                if not fine(getattr(self, name)):
                    raise ValueError(f"{name} must be {rule}, got {getattr(self, name)}")
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32, got {self.seed}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be above 0 or None, got {self.clip_norm}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be 1 or more, or None, got {self.patience}")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps must be 1 or more, or None, got {self.max_steps}")
        if self.unfreeze_every is not None and self.unfreeze_every < 1:
            raise ValueError(
                f"unfreeze_every must be 1 or more, or None, got {self.unfreeze_every}"
            )
        if self.sampler in ("pk", "groups") and self.ids_per_batch < 2:
            raise ValueError("ids_per_batch must be at least 2: a triplet needs a negative")
        if self.images_per_batch < 2:
            raise ValueError("a batch needs at least 2 images: batch norm cannot train on one")

    @property
    def batch_size(self) -> int:
        """P x K: images, or pairs or triplets of them."""
        return self.ids_per_batch * self.images_per_id

    @property
    def images_per_batch(self) -> int:
        """P x K, times the images of a pair or of a triplet."""
        return self.batch_size * LENGTHS.get(self.sampler, 1)

    def identity(self) -> dict[str, Any]:
        """Every setting that changes the result, as plain JSON values."""
        neutral = ("device", "in_memory", "out", "restart", "tensorboard")
        neutral += ("monitor", "monitor_best") if self.patience is None else ()
        neutral += tuple(n for n in ("unfreeze_every", "max_steps") if getattr(self, n) is None)
        found = asdict(self) | {"monitor_best": "lowest" if self.lower_is_better else "highest"}
        return {key: value for key, value in found.items() if key not in neutral}

    @property
    def lower_is_better(self) -> bool:
        """Whether the best epoch is the one with the least of `monitor`."""
        if self.monitor_best is not None:
            return self.monitor_best == "lowest"
        return not self.monitor.startswith("val_") or self.monitor == "val_loss"


def _check_kind(name: str, value: Any, hint: Any) -> None:
    """Refuse a choice that there is not, and what is no number where one belongs."""
    kinds = get_args(hint) or (hint,)
    if get_origin(hint) is Literal:
        if value not in kinds:
            choices = ", ".join(map(str, kinds))
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")
        return
    if (value is None and type(None) in kinds) or get_origin(hint) is tuple:
        return
    if int in kinds and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if float in kinds and not number:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
