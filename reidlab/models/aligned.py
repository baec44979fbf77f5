"""AlignedReID: one feature of the whole image, and one of each horizontal stripe.

`losses/alignment.py` compares stripes. Shapes: B images, D trunk width, (h, w) feature map, H = h
stripes, d width of a stripe while training, C identities.

Sources: Zhang et al. 2017, "AlignedReID" (arXiv:1711.08184); Luo et al. 2019, "AlignedReID++:
Dynamically matching local information for person re-identification" (Pattern Recognition 94).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import Branches, check_num_ids, chosen_neck, seeded, signed
from reidlab.models.pretrained import load_imagenet
from reidlab.models.resnet import ResNet, resnet10, resnet50, start_convolutions
from reidlab.models.trunks import start_trunk

SIDES = ("global", "local")  # what `embed` can give
DOWNSCALE = 16  # of a trunk whose last stride is 1


class Parts(NamedTuple):
    """What the losses of AlignedReID read.

    `feature` (B, D) is the global one, `stripes` (B, H, d) have length 1, `logits` are (B, C).
    """

    feature: Tensor
    stripes: Tensor
    logits: Tensor


class MaxStripes(nn.Module):
    """AlignedReID++: batch norm, ReLU, the maximum of each row of the map, a 1x1 convolution.

    It serves the training alone: `evaluated` are the maxima of the map itself.

    Args:
        dim: D, channels of the map.
        width: d, of a stripe.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)
        self.project = nn.Conv2d(dim, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> unit stripes (B, h, d)."""
        rows = F.relu(self.norm(features)).amax(dim=3, keepdim=True)  # (B, D, h, 1)
        return unit_stripes(self.project(rows))

    def evaluated(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> unit stripes (B, h, D), without a weight of their own."""
        return unit_stripes(features.amax(dim=3, keepdim=True))


class MeanStripes(nn.Module):
    """The first public implementation: the mean of each row, a 1x1 convolution, batch norm, ReLU.

    Training and evaluation read the same stripes.

    Args:
        dim: D, channels of the map.
        width: d, of a stripe.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(dim, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> unit stripes (B, h, d)."""
        rows = features.mean(dim=3, keepdim=True)  # (B, D, h, 1)
        return unit_stripes(F.relu(self.norm(self.project(rows))))

    def evaluated(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> unit stripes (B, h, d)."""
        return self(features)


LOCALS = {"max": MaxStripes, "mean": MeanStripes}


def unit_stripes(rows: Tensor) -> Tensor:
    """(B, d, H, 1) -> (B, H, d), each stripe of length 1."""
    return F.normalize(rows.squeeze(3).transpose(1, 2), dim=2)


def stripes_of(features: Tensor, count: int) -> Tensor:
    """Local features of `embed(neck="local")`, (N, H * d), as stripes (N, H, d).

    Args:
        features: flattened stripes.
        count: H; `AlignedReID.num_stripes` of the network they come from.

    Raises:
        ValueError: not (N, H * d).
    """
    if features.ndim != 2 or count < 1 or not features.shape[1] or features.shape[1] % count:
        raise ValueError(
            f"expected {count} stripes in a row, (N, {count} * width), got "
            f"{tuple(features.shape)}; embed(..., neck='local') gives them, model.num_stripes "
            "their number"
        )
    return features.unflatten(1, (count, -1))


class AlignedReID(nn.Module):
    """Image -> a global feature with its identity logits, and one feature per stripe.

    Args:
        trunk: image (B, 3, H, W) -> feature map (B, trunk.dim, h, w).
        num_ids: C, number of training identities.
        local: "max" as in AlignedReID++, "mean" as in the first public implementation.
        local_dim: d, width of a stripe in training.
        num_stripes: rows of the feature map.
        preprocess: the eval transform that belongs to the weights.

    Raises:
        ValueError: identities, stripes or their width below 1, or an unknown local branch.
    """

    default_neck = "global"

    def __init__(
        self,
        trunk: ResNet,
        num_ids: int,
        *,
        local: str = "max",
        local_dim: int = 128,
        num_stripes: int = 8,
        preprocess: EvalTransform,
    ) -> None:
        super().__init__()
        if num_stripes < 1 or local_dim < 1:
            raise ValueError(
                f"num_stripes and local_dim must be at least 1, got {num_stripes} and {local_dim}"
            )
        if local not in LOCALS:
            raise ValueError(f"local must be one of {', '.join(LOCALS)}, got {local!r}")
        self.num_ids, self.num_stripes = check_num_ids(num_ids), num_stripes
        self.trunk = trunk
        self.local = LOCALS[local](trunk.dim, local_dim)
        start_convolutions(self.local)
        self.classifier = nn.Linear(trunk.dim, num_ids)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> the global feature (B, D) and its logits (B, C); see `parts`."""
        feature = self.trunk(images).mean(dim=(2, 3))  # (B, D, h, w) -> (B, D)
        return Branches([feature], [self.classifier(feature)])

    def parts(self, images: Tensor) -> Parts:
        """(B, 3, H, W) -> what `forward` gives, and the stripes as the training sees them.

        Raises:
            ValueError: images of another height than the network was made for.
        """
        features = self._rows(images)
        feature = features.mean(dim=(2, 3))
        return Parts(feature, self.local(features), self.classifier(feature))

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """Features for retrieval.

        Args:
            images: (B, 3, H, W).
            camids: not used.
            viewids: not used.
            neck: "global", the default: (B, D), not L2-normalised. "local": the unit stripes of the
                evaluation in a row, (B, H * D), or (B, H * d) of `local="mean"`; see `stripes_of`.

        Raises:
            ValueError: another neck, or stripes of images of another height than the network's.
        """
        if chosen_neck(neck, self.default_neck, SIDES) == "global":
            return self.trunk(images).mean(dim=(2, 3))  # (B, D, h, w) -> (B, D)
        return self.local.evaluated(self._rows(images)).flatten(1)  # (B, h, D) -> (B, h * D)

    def _rows(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> the map (B, D, h, w), whose rows are the stripes."""
        height = self.preprocess.size[0]
        features = self.trunk(images)
        if images.shape[2] != height or features.shape[2] != self.num_stripes:
            raise ValueError(
                f"expected images {height} pixels high, {self.num_stripes} stripes, got "
                f"{images.shape[2]} pixels, {features.shape[2]} stripes; construct the network "
                "with the image_size it gets"
            )
        return features


def aligned_small(
    num_ids: int,
    *,
    width: int = 32,
    image_size: tuple[int, int] = (128, 64),
    last_stride: int = 1,
    local: str = "max",
    local_dim: int = 64,
    pretrained: Literal[False] | str | Path = False,
    seed: int = 0,
) -> AlignedReID:
    """The desk network: a half-width ResNet-10 whose map of a 128x64 image has eight rows.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the global feature has 8 times as many.
        image_size: (H, W) in pixels.
        last_stride: 1 gives 8 stripes of an image 128 pixels high, 2 gives 4.
        local: "max" or "mean"; see `MaxStripes` and `MeanStripes`.
        local_dim: d, width of a stripe in training.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "crowd", a run's folder, or a file; see `load_trunk`.
        seed: of the other initial weights.

    Raises:
        ValueError: an unknown local branch, or no such network to start from.
    """
    own = {"local": local, "local_dim": local_dim}
    with seeded(seed):
        trunk = resnet10(width=width, last_stride=last_stride)
        model = _around(trunk, num_ids, own, image_size, last_stride)
    start = start_trunk(trunk, pretrained, seed)
    sizes = {"num_ids": model.num_ids, "width": width, "image_size": list(image_size)}
    sizes |= {"last_stride": last_stride}
    return signed(model, "aligned_small", sizes | own, start)


def aligned_resnet50(
    num_ids: int,
    *,
    width: int = 64,
    image_size: tuple[int, int] = (256, 128),
    last_stride: int = 2,
    local: str = "max",
    local_dim: int = 128,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> AlignedReID:
    """The published network: ImageNet's ResNet-50, eight stripes of a 256x128 image.

    Args:
        num_ids: C, number of training identities.
        width: channels of the first stage; the global feature has 32 times as many.
        image_size: (H, W) in pixels.
        last_stride: 2 as on ImageNet; 1 doubles the number of stripes.
        local: "max" as in AlignedReID++, "mean" as in the first public implementation.
        local_dim: d, width of a stripe in training.
        pretrained: ImageNet weights to start from: a name such as "timm:resnet50.a1_in1k", the
            path of a file, or True for torchvision's; see `load_imagenet`.
        seed: of the initial weights.

    Raises:
        ValueError: an unknown local branch, or weights that cannot be had or do not fit.
    """
    own = {"local": local, "local_dim": local_dim}
    with seeded(seed):
        trunk = resnet50(width=width, last_stride=last_stride)
        model = _around(trunk, num_ids, own, image_size, last_stride)
    if pretrained:
        load_imagenet(trunk, pretrained)
    start = {"seed": seed, "pretrained": str(pretrained)}
    sizes = {"num_ids": model.num_ids, "width": width, "image_size": list(image_size)}
    sizes |= {"last_stride": last_stride}
    return signed(model, "aligned_resnet50", sizes | own, start)


def _around(
    trunk: ResNet,
    num_ids: int,
    own: dict[str, Any],
    image_size: tuple[int, int],
    last_stride: int,
) -> AlignedReID:
    """The network around `trunk`; its stripes are the rows of the trunk's map."""
    preprocess = EvalTransform(size=image_size)
    rows = -(-preprocess.size[0] // (DOWNSCALE * last_stride))  # padded strides round up
    return AlignedReID(trunk, num_ids, **own, num_stripes=rows, preprocess=preprocess)
