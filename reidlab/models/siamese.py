"""A Siamese network: the same weights see both images of a pair, and only distances are learnt.

Shapes: B images, D width of the embedding.

Source: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping"
(CVPR), for two copies with shared weights. Differs from it in: a residual trunk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import Branches, check_no_neck, seeded, signed
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import ResNet, resnet10, resnet50
from reidlab.models.trunks import start_trunk


class Siamese(nn.Module):
    """Image -> one embedding; no classes, so that new people need no new weights.

    Args:
        trunk: image (B, 3, H, W) -> feature map (B, trunk.dim, h, w).
        dim: D, width of a linear layer after the pooling; None for the pooled feature itself.
        preprocess: the eval transform that belongs to the weights.

    Raises:
        ValueError: a width below 1.
    """

    default_neck = "before"

    def __init__(self, trunk: ResNet, *, dim: int | None = None, preprocess: EvalTransform) -> None:
        super().__init__()
        if dim is not None and dim < 1:
            raise ValueError(f"dim must be at least 1, or None for no linear layer, got {dim}")
        self.trunk = trunk
        # a bias would be lost in every distance
        self.head = nn.Identity() if dim is None else nn.Linear(trunk.dim, dim, bias=False)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> one embedding (B, D), and no logits; cameras are not used."""
        return Branches([self.embed(images)], [])

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> embedding (B, D), not L2-normalised; neck "after" is refused."""
        check_no_neck(neck)
        pooled = self.trunk(images).mean(dim=(2, 3))  # (B, trunk.dim, h, w) -> (B, trunk.dim)
        return self.head(pooled)


def siamese_small(
    *,
    dim: int | None = None,
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    last_stride: int = 1,
    pretrained: Literal[False] | str | Path = False,
    seed: int = 0,
) -> Siamese:
    """The desk network: a half-width ResNet-10, 1.2 million weights.

    Args:
        dim: D, width of a linear layer after the pooling; None for none.
        width: channels of the first stage; the pooled feature has 8 times as many.
        image_size: (H, W) in pixels.
        last_stride: 1 keeps an 8x4 map of a 128x64 image.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "crowd", a run's folder, or a file; see `load_trunk`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `Siamese`; there is no such trained network, or it does not fit.
    """
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        model = Siamese(trunk, dim=dim, preprocess=EvalTransform(size=image_size))
    start = start_trunk(trunk, pretrained, seed)
    arguments = {"dim": dim, "width": width, "image_size": list(image_size)}
    return signed(model, "siamese_small", arguments | {"last_stride": last_stride}, start)


def siamese_resnet50(
    *,
    dim: int | None = None,
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    last_stride: int = 2,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> Siamese:
    """The full-size network: ResNet-50, embedding 2048 wide.

    Args:
        dim: D, width of a linear layer after the pooling; None for none.
        width: channels of the first stage; the pooled feature has 32 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 as on ImageNet, 1 keeps a 16x8 map of a 256x128 image.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `Siamese`; the weights cannot be had, or do not fit.
    """
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride)
        model = Siamese(trunk, dim=dim, preprocess=EvalTransform(size=image_size))
    if pretrained:
        load_imagenet(trunk, pretrained)
    arguments = {"dim": dim, "width": width, "image_size": list(image_size)}
    start = {"seed": seed, "pretrained": str(pretrained)}
    return signed(model, "siamese_resnet50", arguments | {"last_stride": last_stride}, start)
