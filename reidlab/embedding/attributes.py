"""Model + samples -> what the model believes about the attributes of each image.

Shapes: N images, n classes of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from reidlab.data.heads import HEADS
from reidlab.data.samples import Sample
from reidlab.embedding.run import embed
from reidlab.models.layers import preprocess_of


@dataclass(frozen=True, eq=False, repr=False)
class AttributePredictions:
    """Logits of N images, one table per head; `probabilities` and `answers` follow from them.

    Args:
        logits: head -> (N, n) floating point and finite, n the classes of `HEADS[head]`, in order.
        pids: (N,) int64, person ids as on disk.
        camids: (N,) int64, camera ids as on disk.
        paths: N image files, or empty.
        source: shown in tables.

    Raises:
        ValueError: no heads or an unknown one, shapes that disagree, or logits that are not finite.
    """

    logits: Mapping[str, Tensor]
    pids: Tensor
    camids: Tensor
    paths: tuple[Path, ...] = field(default=())
    source: str = ""

    def __post_init__(self) -> None:
        if self.pids.ndim != 1:
            raise ValueError(f"expected person ids of shape (N,), got {tuple(self.pids.shape)}")
        count = len(self.pids)
        if not self.logits or any(head not in HEADS for head in self.logits):
            raise ValueError(f"expected some of {', '.join(HEADS)}; got {', '.join(self.logits)}")
        for head, table in self.logits.items():
            if not isinstance(table, Tensor) or not table.is_floating_point():
                kind = getattr(table, "dtype", type(table).__name__)
                raise ValueError(f"{head}: expected a tensor of floating point logits, got {kind}")
            if tuple(table.shape) != (count, len(HEADS[head])):
                raise ValueError(
                    f"{head}: expected logits of shape {(count, len(HEADS[head]))}, one per image "
                    f"and class, got {tuple(table.shape)}"
                )
            if not bool(torch.isfinite(table).all()):
                raise ValueError(f"{head}: some logits are not finite; did the training diverge?")
        if len(self.camids) != count or len(self.paths) not in (0, count):
            raise ValueError(
                f"expected {count} camera ids and paths, got {len(self.camids)} and "
                f"{len(self.paths)}"
            )
        object.__setattr__(self, "logits", dict(self.logits))
        object.__setattr__(self, "paths", tuple(Path(path) for path in self.paths))

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that were asked."""
        return tuple(self.logits)

    @property
    def probabilities(self) -> dict[str, Tensor]:
        """Head -> (N, n), rows that sum to 1."""
        return {head: table.softmax(dim=1) for head, table in self.logits.items()}

    @property
    def answers(self) -> dict[str, Tensor]:
        """Head -> (N,) index of the most likely class; the first of equally likely ones."""
        return {head: table.argmax(dim=1) for head, table in self.logits.items()}

    def names(self, image: int) -> dict[str, tuple[str, float]]:
        """Head -> name of the most likely class and its probability, of one image."""
        found = {}
        for head, table in self.logits.items():
            chances = table[image].softmax(dim=0)
            best = int(chances.argmax())
            found[head] = HEADS[head][best], float(chances[best])
        return found

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.pids)

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> AttributePredictions:
        """The predictions of some images, in the order asked for; of one image for a number."""
        positions = torch.arange(len(self))[rows].reshape(-1).tolist()
        logits = {head: table[positions] for head, table in self.logits.items()}
        paths = tuple(self.paths[i] for i in positions) if self.paths else ()
        pids, camids = self.pids[positions], self.camids[positions]
        return replace(self, logits=logits, pids=pids, camids=camids, paths=paths)

    def __repr__(self) -> str:
        """One short line."""
        return f"AttributePredictions({len(self):,} images, {len(self.logits)} heads)"


def predict_attributes(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    flip: bool = False,
    batch_size: int = 128,
    device: str | torch.device | None = None,
    on_error: str = "raise",
    progress: bool = False,
) -> AttributePredictions:
    """What `model` believes about each of `samples`, in their order.

    Args:
        model: an `AttributeNet`; left in the mode it came in.
        samples: images with labels as on disk; their attributes, if any, are not looked at.
        flip: the mean of the logits of each image and its mirror.
        batch_size: images per step; it does not change the result beyond rounding.
        device: None is CUDA, then MPS, then the CPU.
        on_error: "raise" at the first bad image, or "skip" them all with a warning.
        progress: show a bar.

    Raises:
        ValueError: a model without attribute heads, no samples, or a bad image.
    """
    sizes = {head: len(names) for head, names in classes_of(model).items()}
    found = embed(
        _LogitsAsFeatures(model),
        samples,
        flip=flip,
        batch_size=batch_size,
        device=device,
        on_error=on_error,
        progress=progress,
    )
    tables = found.features.split(list(sizes.values()), dim=1)
    logits = dict(zip(sizes, tables, strict=True))
    return AttributePredictions(logits, found.pids, found.camids, found.paths, found.source)


def classes_of(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Head -> names of the classes that `model` tells apart.

    Raises:
        ValueError: it has no attribute heads.
    """
    classes = getattr(model, "classes", None)
    if not isinstance(classes, dict) or not set(classes) <= set(HEADS):
        raise ValueError(
            f"{type(model).__name__} has no attribute heads; train a network that has: "
            "reidlab train attributes, or attributes_small()"
        )
    return classes


class _LogitsAsFeatures(nn.Module):
    """A network whose features are all logits in a row, so that `embed` collects them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.preprocess = model, preprocess_of(model)
        self.training = model.training

    def embed(
        self, images: Tensor, camids: Tensor, viewids: Tensor | None, neck: str | None
    ) -> Tensor:
        """(B, 3, H, W) -> logits of all heads (B, sum of n)."""
        return torch.cat(list(self.model(images, camids, viewids).logits.values()), dim=1)
