"""Two branches on one trunk: what a person looks like on average, and what stands out most.

The stem and the first three stages are shared. The last stage exists once per branch, with weights
of its own. Shapes: B images, D width of a branch, C identities.

Source: a course report on Market-1501 (Barattin and Da Rold, University of Trento), whose idea is
from Chen et al. 2020, "Enhancing Diversity in Teacher-Student Networks via Asymmetric Branches for
Unsupervised Person Re-identification" (arXiv:2011.13776). Ours where the report is silent: the
stride of the last stage, how branches start, what is ranked, and the biases.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import Branches, chosen_neck, seeded, signed
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet10,
    resnet50,
    start_convolutions,
)
from reidlab.models.trunks import start_trunk

Branch = Literal["average", "max"]


def average_pool(x: Tensor) -> Tensor:
    """(B, D, h, w) -> (B, D), the mean over all places."""
    return x.mean(dim=(2, 3))


def max_pool(x: Tensor) -> Tensor:
    """(B, D, h, w) -> (B, D), the largest value of each channel wherever it is."""
    return x.amax(dim=(2, 3))


POOLS: dict[str, Callable[[Tensor], Tensor]] = {"average": average_pool, "max": max_pool}
EXTRA_BLOCKS = {"average": 0, "max": 1}  # after the last stage's own


class Classifier(nn.Module):
    """Batch norm with a bias, then one linear layer: the identity head of a branch.

    The layer starts from PyTorch's own numbers: where those of a BNNeck are so small that nothing
    reaches the trunk during the first hundred steps, these teach it from the first one.

    Args:
        dim: D, width of the feature.
        num_ids: C, number of training identities.
        bias: of the linear layer.
    """

    def __init__(self, dim: int, num_ids: int, *, bias: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.linear = nn.Linear(dim, num_ids, bias=bias)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, D) -> identity logits (B, C)."""
        return self.linear(self.norm(feature))


class MultiBranch(nn.Module):
    """Image -> one feature per branch -> identity logits per branch.

    Args:
        trunk: a whole residual network; its last stage becomes the start of every branch.
        num_ids: C, number of training identities; None or 0 for branches without classifiers.
        branches: "average" (the last stage as it is, global average pooling), "max" (one block
            more, global max pooling), or both.
        descriptor: what `embed` gives: "both", every branch side by side, or one of them.
        classifier_bias: a bias in the linear layers.
        preprocess: the eval transform that belongs to the weights.
        default_neck: side of the batch norm that `embed` reads: "before" or "after".

    Raises:
        ValueError: unknown or no branches, a descriptor that is not among them, a negative number
            of identities, or features after a norm that a network without classifiers lacks.
    """

    def __init__(
        self,
        trunk: ResNet,
        num_ids: int | None = None,
        *,
        branches: tuple[Branch, ...] = ("average", "max"),
        descriptor: str = "both",
        classifier_bias: bool = True,
        preprocess: EvalTransform,
        default_neck: str = "before",
    ) -> None:
        super().__init__()
        names = _check_branches(branches, descriptor)
        if num_ids is not None and num_ids < 0:
            raise ValueError(
                f"num_ids must be 1 or more, or None for no classifiers, got {num_ids}"
            )
        self.num_ids = num_ids or None
        self.descriptor, self.default_neck = descriptor, chosen_neck(default_neck, default_neck)
        self.dim = trunk.dim
        parts = dict(trunk.named_children())
        last = cast(nn.Sequential, parts.popitem()[1])
        self.shared = nn.Sequential()
        for name, part in parts.items():
            self.shared.add_module(name, part)
        self.stages = nn.ModuleDict({name: grow(last, EXTRA_BLOCKS[name]) for name in names})
        heads = names if self.num_ids else ()
        self.classifiers = nn.ModuleDict(
            {name: Classifier(self.dim, num_ids or 0, bias=classifier_bias) for name in heads}
        )
        self._check_side(default_neck)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> a feature (B, D) per branch, and logits (B, C) where there are classes.

        Cameras are not used. Without classifiers the list of logits is empty.
        """
        features = {name: POOLS[name](x) for name, x in self.maps(images).items()}
        logits = [head(features[name]) for name, head in self.classifiers.items()]
        return Branches(list(features.values()), logits)

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> features side by side (B, D x branches chosen), not L2-normalised."""
        side = chosen_neck(neck, self.default_neck)
        self._check_side(side)
        found = []
        for name, x in self.maps(images).items():
            if self.descriptor in ("both", name):
                feature = POOLS[name](x)
                found.append(self._norm(name)(feature) if side == "after" else feature)
        return torch.cat(found, dim=1)

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) -> branch -> feature map (B, D, h, w), as it is before pooling."""
        shared = self.shared(images)
        return {name: stage(shared) for name, stage in self.stages.items()}

    def _norm(self, name: str) -> nn.Module:
        return cast(Classifier, self.classifiers[name]).norm

    def _check_side(self, side: str) -> None:
        if side == "after" and not self.classifiers:
            raise ValueError(
                "neck 'after' needs the batch norm of a classifier, which a network without "
                "identities has not; read the features 'before' it"
            )


def _check_branches(branches: Iterable[str], descriptor: str) -> tuple[str, ...]:
    if isinstance(branches, str):
        raise ValueError(f'branches must be a list of names, ("{branches}",), got {branches!r}')
    names = tuple(dict.fromkeys(branches))
    if not names or not set(names) <= set(POOLS):
        got = ", ".join(names) or "none"
        raise ValueError(f"branches must be some of {', '.join(POOLS)}, got {got}")
    if descriptor not in ("both", *names):
        choices = ", ".join(("both", *names))
        raise ValueError(f"descriptor must be one of {choices}, got {descriptor!r}")
    return names


def grow(stage: nn.Sequential, extra: int) -> nn.Sequential:
    """A copy of `stage` with `extra` blocks after it, which at first pass on what they get."""
    grown = copy.deepcopy(stage)
    for _ in range(extra):
        last = cast(BasicBlock | Bottleneck, grown[-1])
        width = last.conv1.out_channels
        block = type(last)(width * last.expansion, width)
        start_convolutions(block)
        nn.init.zeros_(_last_norm(block).weight)
        grown.append(block)
    return grown


def _last_norm(block: BasicBlock | Bottleneck) -> nn.BatchNorm2d:
    """The norm before the sum: at scale 0 a block after a ReLU is the identity."""
    return block.bn3 if isinstance(block, Bottleneck) else block.bn2


def multibranch_small(
    num_ids: int | None = None,
    *,
    branches: tuple[Branch, ...] = ("average", "max"),
    descriptor: str = "both",
    classifier_bias: bool = True,
    default_neck: str = "before",
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    last_stride: int = 2,
    pretrained: Literal[False] | str | Path = False,
    seed: int = 0,
) -> MultiBranch:
    """The desk network: a half-width ResNet-10, its last stage twice; 3.2 million weights.

    Args:
        num_ids: C, number of training identities; None for no classifiers.
        branches: "average", "max" or both; see `MultiBranch`.
        descriptor: what is ranked: "both" or one branch.
        classifier_bias: a bias in the linear layers.
        default_neck: side of the batch norm that is ranked.
        width: channels of the first stage; the feature of a branch has 8 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 leaves a 4x2 map of a 128x64 image, 1 keeps 8x4.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "crowd", a run's folder, or a file; see `load_trunk`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `MultiBranch`; there is no such trained network, or it does not fit.
    """
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        start = start_trunk(trunk, pretrained, seed)
        own = {"descriptor": descriptor, "classifier_bias": classifier_bias}
        own |= {"branches": branches, "default_neck": default_neck}
        model = MultiBranch(trunk, num_ids, **own, preprocess=EvalTransform(size=image_size))
    own = {"num_ids": model.num_ids, **own, "branches": list(model.stages)}
    sizes = {"width": width, "image_size": list(image_size), "last_stride": last_stride}
    return signed(model, "multibranch_small", own | sizes, start)


def multibranch_resnet50(
    num_ids: int | None = None,
    *,
    branches: tuple[Branch, ...] = ("average", "max"),
    descriptor: str = "both",
    classifier_bias: bool = True,
    default_neck: str = "before",
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    last_stride: int = 2,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> MultiBranch:
    """The reported network: ResNet-50 with two last stages, features 2 x 2048 wide.

    Args:
        num_ids: C, number of training identities; None for no classifiers.
        branches: "average", "max" or both; see `MultiBranch`.
        descriptor: what is ranked: "both" or one branch.
        classifier_bias: a bias in the linear layers.
        default_neck: side of the batch norm that is ranked.
        width: channels of the first stage; the feature of a branch has 32 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 as on ImageNet, 1 keeps a 16x8 map of a 256x128 image.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `MultiBranch`; the weights cannot be had, or do not fit.
    """
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride)
        if pretrained:
            load_imagenet(trunk, pretrained)
        own = {"descriptor": descriptor, "classifier_bias": classifier_bias}
        own |= {"branches": branches, "default_neck": default_neck}
        model = MultiBranch(trunk, num_ids, **own, preprocess=EvalTransform(size=image_size))
    own = {"num_ids": model.num_ids, **own, "branches": list(model.stages)}
    sizes = {"width": width, "image_size": list(image_size), "last_stride": last_stride}
    start = {"seed": seed, "pretrained": str(pretrained)}
    return signed(model, "multibranch_resnet50", own | sizes, start)
