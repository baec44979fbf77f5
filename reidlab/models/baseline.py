"""The strong baseline: a residual trunk, global average pooling and a batch-norm neck.

Source: Luo et al. 2019, "Bag of Tricks and a Strong Baseline for Deep Person
Re-Identification" (arXiv:1903.07071).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import BNNeck, Branches, check_num_ids, chosen_neck, seeded, signed
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import ResNet, resnet10, resnet50


class Baseline(nn.Module):
    """Image -> one feature -> identity logits.

    Args:
        trunk: image (B, 3, H, W) -> feature map (B, trunk.dim, h, w).
        num_ids: C, number of training identities.
        preprocess: the eval transform that belongs to the weights.
        default_neck: side of the neck that `embed` reads: "before" or "after".

    Raises:
        ValueError: fewer than one identity, or an unknown neck.
    """

    def __init__(
        self,
        trunk: ResNet,
        num_ids: int,
        *,
        preprocess: EvalTransform,
        default_neck: str = "after",
    ) -> None:
        super().__init__()
        self.num_ids = check_num_ids(num_ids)
        self.trunk = trunk
        self.neck = BNNeck(trunk.dim, num_ids)
        self.preprocess = preprocess
        self.default_neck = chosen_neck(default_neck, default_neck)
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> one feature (B, D) and its logits (B, C); cameras are not used."""
        feature = self._pool(images)
        return Branches([feature], [self.neck(feature)[1]])

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> feature for retrieval (B, D), not L2-normalised."""
        feature = self._pool(images)
        if chosen_neck(neck, self.default_neck) == "before":
            return feature
        return self.neck.norm(feature)

    def _pool(self, images: Tensor) -> Tensor:
        return self.trunk(images).mean(dim=(2, 3))  # (B, D, h, w) -> (B, D)


def baseline_small(
    num_ids: int,
    *,
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    last_stride: int = 1,
    seed: int = 0,
) -> Baseline:
    """The desk network: a half-width ResNet-10, 1.2 million weights, trained from scratch.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the feature has 8 times as many.
        image_size: (H, W) in pixels.
        last_stride: 1 keeps an 8x4 map of a 128x64 image.
        seed: of the initial weights.
    """
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        model = Baseline(trunk, num_ids, preprocess=EvalTransform(size=image_size))
    arguments = {"num_ids": model.num_ids, "width": width, "image_size": list(image_size)}
    arguments |= {"last_stride": last_stride}
    return signed(model, "baseline_small", arguments, {"seed": seed})


def baseline_resnet50(
    num_ids: int,
    *,
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    last_stride: int = 1,
    stem_relu: bool = False,
    pool: str = "3x3",
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> Baseline:
    """The published network: ResNet-50, feature 2048 wide, read after the neck.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the feature has 32 times as many.
        image_size: (H, W) in pixels.
        last_stride: 1 keeps a 16x8 map of a 256x128 image.
        stem_relu: see `ResNet`; the published baseline has none.
        pool: "3x3" as published, "2x2" as TransReID's copy has it.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the initial weights.

    Raises:
        ValueError: the weights cannot be had, or do not fit.
    """
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride, stem_relu=stem_relu, pool=pool)
        model = Baseline(trunk, num_ids, preprocess=EvalTransform(size=image_size))
    if pretrained:
        load_imagenet(trunk, pretrained)
    arguments = {
        "num_ids": model.num_ids,
        "width": width,
        "image_size": list(image_size),
        "last_stride": last_stride,
        "stem_relu": stem_relu,
        "pool": pool,
    }
    start = {"seed": seed, "pretrained": str(pretrained)}
    return signed(model, "baseline_resnet50", arguments, start)
