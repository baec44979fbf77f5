"""Attributes of a person: one trunk, one small classifier per attribute.

A head is dropout and one linear layer on the pooled feature; nothing is normalised, a loss on
logits does that. Shapes: B images, D feature width, n classes of a head.

Source: Lin et al. 2019, "Improving Person Re-identification by Attribute and Identity Learning"
(arXiv:1703.07220), for attributes as heads on a ResNet-50. Differs from it in: no identity branch,
age is one head of four classes, a garment's colour is one head with a class for several colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from reidlab.data.heads import HEADS
from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import check_no_neck, seeded, signed
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import ResNet, resnet10, resnet50
from reidlab.models.trunks import start_trunk


class AttributeLogits(NamedTuple):
    """What `AttributeNet.forward` returns, in training and evaluation alike.

    `features[0]` (B, D) is what all heads read, `logits[head]` (B, n) the scores of its classes.
    """

    features: list[Tensor]
    logits: dict[str, Tensor]


class SeparateHeads(nn.ModuleDict):
    """A dropout and a linear layer per head: each head loses features of its own.

    Args:
        dim: D, width of the feature.
        sizes: head -> number of classes.
        dropout: share of features that a head does not see while it learns.
    """

    def __init__(self, dim: int, sizes: Mapping[str, int], dropout: float) -> None:
        super().__init__(
            {
                head: nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, size))
                for head, size in sizes.items()
            }
        )

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """(B, D) -> head -> logits (B, n)."""
        return {head: layers(feature) for head, layers in self.items()}


class JointHead(nn.Module):
    """The control: one dropout and one linear layer with all logits, cut into the same heads.

    Its weights are those of `SeparateHeads` stacked. The one thing that differs is dropout: all
    attributes lose the same features of an image.

    Args:
        dim: D, width of the feature.
        sizes: head -> number of classes.
        dropout: share of features that are not seen while learning.
    """

    def __init__(self, dim: int, sizes: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        self.sizes = dict(sizes)
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, sum(sizes.values())))

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """(B, D) -> head -> logits (B, n)."""
        logits = self.layers(feature)  # (B, sum of n)
        parts = logits.split(list(self.sizes.values()), dim=1)
        return dict(zip(self.sizes, parts, strict=True))


class AttributeNet(nn.Module):
    """Image -> logits of the classes of each attribute.

    Args:
        trunk: image (B, 3, H, W) -> feature map (B, trunk.dim, h, w).
        heads: which of the twelve heads, all by default.
        joint: one layer for all heads, the control, instead of one layer each.
        dropout: share of features dropped before a linear layer while training.
        preprocess: the eval transform that belongs to the weights.

    Raises:
        ValueError: no heads or unknown ones, or a dropout outside [0, 1).
    """

    default_neck = "before"

    def __init__(
        self,
        trunk: ResNet,
        heads: Iterable[str] = tuple(HEADS),
        *,
        joint: bool = False,
        dropout: float = 0.2,
        preprocess: EvalTransform,
    ) -> None:
        super().__init__()
        names = tuple(dict.fromkeys(heads))
        if not names or any(head not in HEADS for head in names):
            raise ValueError(f"expected heads among {', '.join(HEADS)}; got {', '.join(names)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.classes = {head: HEADS[head] for head in names}
        self.trunk = trunk
        sizes = {head: len(classes) for head, classes in self.classes.items()}
        self.heads = (JointHead if joint else SeparateHeads)(trunk.dim, sizes, dropout)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> AttributeLogits:
        """(B, 3, H, W) -> one feature (B, D) and head -> logits (B, n); cameras are not used."""
        feature = self._pool(images)
        return AttributeLogits([feature], self.heads(feature))

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> the feature that all heads read (B, D), not L2-normalised; no neck."""
        check_no_neck(neck)
        return self._pool(images)

    def _pool(self, images: Tensor) -> Tensor:
        return self.trunk(images).mean(dim=(2, 3))  # (B, D, h, w) -> (B, D)


def attributes_small(
    *,
    heads: Iterable[str] = tuple(HEADS),
    joint: bool = False,
    dropout: float = 0.2,
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    last_stride: int = 2,
    pretrained: Literal[False] | str | Path = False,
    seed: int = 0,
) -> AttributeNet:
    """The desk network: a half-width ResNet-10 under the heads, 1.2 million weights.

    Args:
        heads: which of the twelve.
        joint: one layer for all heads; see `JointHead`.
        dropout: before each linear layer.
        width: channels of the first stage; the feature has 8 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 leaves a 4x2 map of a 128x64 image, 1 keeps 8x4.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "crowd", a run's folder, or a file; see `load_trunk`.
        seed: of the other initial weights.

    Raises:
        ValueError: there is no such network, or its trunk has another shape.
    """
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        own = {"joint": joint, "dropout": dropout, "preprocess": EvalTransform(size=image_size)}
        model = AttributeNet(trunk, heads, **own)
    start = start_trunk(trunk, pretrained, seed)
    arguments = {"joint": joint, "dropout": dropout, "width": width}
    arguments |= {"image_size": list(image_size), "last_stride": last_stride}
    return _signed(model, "attributes_small", arguments, start)


def attributes_resnet50(
    *,
    heads: Iterable[str] = tuple(HEADS),
    joint: bool = False,
    dropout: float = 0.2,
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    last_stride: int = 2,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> AttributeNet:
    """The published network: ImageNet's ResNet-50 without its last layer, feature 2048 wide.

    Args:
        heads: which of the twelve.
        joint: one layer for all heads; see `JointHead`.
        dropout: before each linear layer.
        width: channels of the first stage; the feature has 32 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 as on ImageNet.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the initial weights.

    Raises:
        ValueError: the weights cannot be had, or do not fit.
    """
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride)
        own = {"joint": joint, "dropout": dropout, "preprocess": EvalTransform(size=image_size)}
        model = AttributeNet(trunk, heads, **own)
    if pretrained:
        load_imagenet(trunk, pretrained)
    arguments = {"joint": joint, "dropout": dropout, "width": width}
    arguments |= {"image_size": list(image_size), "last_stride": last_stride}
    start = {"seed": seed, "pretrained": str(pretrained)}
    return _signed(model, "attributes_resnet50", arguments, start)


def _signed(
    model: AttributeNet, name: str, arguments: dict[str, Any], start: dict[str, Any]
) -> AttributeNet:
    """`signed`, and what the logits mean."""
    classes = {head: list(names) for head, names in model.classes.items()}
    arguments = {"heads": list(model.classes), **arguments}
    return signed(model, name, arguments, start, classes=classes)
