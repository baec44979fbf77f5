"""IANet: a residual trunk with interaction-and-aggregation blocks between its stages.

Shapes: B images, D feature width, C training identities, N positions of a map.

Source: Hou et al. 2019, "Interaction-and-Aggregation Network for Person Re-identification" (CVPR;
arXiv:1907.08435), in the form of the authors' released code: one block after stage 2, one after
stage 3. Without blocks it is the plain network of the public project Simple-ReID.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.interaction import Fusion, IABlock, check_fusion
from reidlab.models.layers import (
    Branches,
    CosineClassifier,
    check_num_ids,
    chosen_neck,
    seeded,
    signed,
)
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import ResNet, resnet10, resnet50
from reidlab.models.trunks import start_trunk

CLASSIFIERS = ("linear", "cosine")
STAGES = (1, 2, 3)  # a block may follow these; the last stage goes to the pooling


class PostNormHead(nn.Module):
    """Batch norm whose output is the feature of all losses, and a classifier on it.

    Args:
        dim: D, width of the feature.
        num_ids: C, number of training identities.
        classifier: "linear" (with bias) gives logits; "cosine" gives cosines, for losses with a
            margin between angles.

    Raises:
        ValueError: an unknown classifier.
    """

    def __init__(self, dim: int, num_ids: int, classifier: str = "linear") -> None:
        super().__init__()
        if classifier not in CLASSIFIERS:
            listed = ", ".join(CLASSIFIERS)
            raise ValueError(f"classifier must be one of {listed}, got {classifier!r}")
        self.norm = nn.BatchNorm1d(dim)
        nn.init.normal_(self.norm.weight, 1.0, 0.02)
        if classifier == "cosine":
            self.classifier = CosineClassifier(dim, num_ids)
            return
        self.classifier = nn.Linear(dim, num_ids)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> feature (B, D), identity logits or cosines (B, C)."""
        feature = self.norm(pooled)
        return feature, self.classifier(feature)


class IANet(nn.Module):
    """Image -> one feature after its batch norm -> identity logits.

    `forward` gives that feature, unlike the strong baseline, whose triplet loss reads the one
    before the neck: here both losses of the recipe read the same.

    Args:
        trunk: image (B, 3, H, W) -> feature map (B, trunk.dim, h, w).
        num_ids: C, number of training identities.
        stages: after the last layer of these a block follows; () is the plain trunk, the control.
        fusion: of the blocks, "released" or "renormalised"; see `spatial_attention`.
        classifier: "linear" or "cosine"; see `PostNormHead`.
        preprocess: the eval transform that belongs to the weights; its size is that of all images.
        default_neck: side of the batch norm that `embed` reads: "before" or "after".

    Raises:
        ValueError: fewer than one identity, stages other than 1 to 3, or an unknown fusion,
            classifier or neck.
    """

    def __init__(
        self,
        trunk: ResNet,
        num_ids: int,
        *,
        stages: Sequence[int] = (2, 3),
        fusion: Fusion = "released",
        classifier: str = "linear",
        preprocess: EvalTransform,
        default_neck: str = "after",
    ) -> None:
        super().__init__()
        _check_stages(stages)
        self.num_ids, self.fusion = check_num_ids(num_ids), check_fusion(fusion)
        self.trunk = trunk
        self.blocks = nn.ModuleDict(
            {str(stage): _block(trunk, stage, preprocess.size, fusion) for stage in stages}
        )
        self.neck = PostNormHead(trunk.dim, num_ids, classifier)
        self.preprocess = preprocess
        self.default_neck = chosen_neck(default_neck, default_neck)
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> the feature after the batch norm (B, D) and its logits (B, C)."""
        feature, logits = self.neck(self._pool(images))
        return Branches([feature], [logits])

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> feature for retrieval (B, D), not L2-normalised; cameras are not used."""
        pooled = self._pool(images)
        after = chosen_neck(neck, self.default_neck) == "after"
        return self.neck.norm(pooled) if after else pooled

    def attention(self, images: Tensor, stage: int, fusion: Fusion | None = None) -> Tensor:
        """S (B, N, N) of the block after `stage`; `fusion` None is the network's own.

        Raises:
            ValueError: there is no block after this stage, or an unknown fusion.
        """
        if str(stage) not in self.blocks:
            there = ", ".join(self.blocks) or "none"
            raise ValueError(f"no block after stage {stage}; stages with a block: {there}")
        x = self.trunk.get_submodule(f"layer{stage}")(self._map(images, stage - 1))
        block: Any = self.blocks[str(stage)]
        return block.attention(x, fusion)

    def _map(self, images: Tensor, last: int) -> Tensor:
        """(B, 3, H, W) -> the map after stage `last` and its block."""
        trunk = self.trunk
        x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images))))  # (B, width, H / 4, W / 4)
        for stage in range(1, last + 1):
            x = trunk.get_submodule(f"layer{stage}")(x)
            if str(stage) in self.blocks:
                x = self.blocks[str(stage)](x)
        return x

    def _pool(self, images: Tensor) -> Tensor:
        return self._map(images, self.trunk.num_stages).mean(dim=(2, 3))  # -> (B, D)


def _check_stages(stages: Sequence[int]) -> None:
    known = isinstance(stages, list | tuple) and all(type(s) is int and s in STAGES for s in stages)
    if not known or len(set(stages)) < len(stages):
        raise ValueError(
            f"stages must be different ones among 1, 2, 3, got {stages!r}; such as (2, 3), or () "
            "for no block"
        )


def _block(trunk: ResNet, stage: int, image_size: tuple[int, int], fusion: Fusion) -> IABlock:
    """The block that follows `stage`, whose map is 1 / 4, 1 / 8 or 1 / 16 of the image."""
    stride = 2 ** (stage + 1)
    height, width = (-(-side // stride) for side in image_size)  # rounded up, as convolutions do
    channels = trunk.dim // 2 ** (trunk.num_stages - stage)
    return IABlock(channels, (height, width), fusion=fusion)


def ianet_small(
    num_ids: int,
    *,
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    stages: Sequence[int] = (2, 3),
    fusion: Fusion = "released",
    classifier: str = "linear",
    last_stride: int = 1,
    pretrained: Literal[False] | str | Path = False,
    seed: int = 0,
) -> IANet:
    """The desk network: a half-width ResNet-10 with blocks, 1.2 million weights.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the feature has 8 times as many.
        image_size: (H, W) in pixels.
        stages: with a block behind them; () is the plain network.
        fusion: "released" or "renormalised"; see `spatial_attention`.
        classifier: "linear", or "cosine" for losses with a margin between angles.
        last_stride: 1 keeps an 8x4 map of a 128x64 image.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "crowd", a run's folder, or a file; see `load_trunk`.
        seed: of the other initial weights.

    Raises:
        ValueError: there is no such network, or its trunk has another shape.
    """
    own: dict[str, Any] = {"stages": stages, "fusion": fusion, "classifier": classifier}
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        model = IANet(trunk, num_ids, preprocess=EvalTransform(size=image_size), **own)
    start = start_trunk(trunk, pretrained, seed)
    own = {"num_ids": model.num_ids, **own, "stages": list(stages), "width": width}
    own |= {"image_size": list(image_size), "last_stride": last_stride}
    return signed(model, "ianet_small", own, start)


def ianet_resnet50(
    num_ids: int,
    *,
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    stages: Sequence[int] = (2, 3),
    fusion: Fusion = "released",
    classifier: str = "linear",
    last_stride: int = 1,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> IANet:
    """The published network: ResNet-50 with blocks, feature 2048 wide.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the feature has 32 times as many.
        image_size: (H, W) in pixels.
        stages: with a block behind them; () is the plain network.
        fusion: "released" or "renormalised"; see `spatial_attention`.
        classifier: "linear", or "cosine" for losses with a margin between angles.
        last_stride: 1 keeps a 16x8 map of a 256x128 image.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the initial weights.

    Raises:
        ValueError: the weights cannot be had, or do not fit.
    """
    own: dict[str, Any] = {"stages": stages, "fusion": fusion, "classifier": classifier}
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride)
        model = IANet(trunk, num_ids, preprocess=EvalTransform(size=image_size), **own)
    if pretrained:
        load_imagenet(trunk, pretrained)
    own = {"num_ids": model.num_ids, **own, "stages": list(stages), "width": width}
    own |= {"image_size": list(image_size), "last_stride": last_stride}
    start = {"seed": seed, "pretrained": str(pretrained)}
    return signed(model, "ianet_resnet50", own, start)
