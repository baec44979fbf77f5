"""Deep cosine metric learning: a wide residual network under a softmax over cosines.

Written as the released TensorFlow network is: "SAME" padding, ELU, norms that shift but never
scale. Shapes: B images, D width of the feature, C identities.

Source: Wojke and Bewley 2018, "Deep Cosine Metric Learning for Person Re-identification"
(arXiv:1812.00442). Differs from it in: the momentum of batch norms is PyTorch's 0.1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import Branches, check_no_neck, seeded, signed

NORM_EPS = 1e-3  # TensorFlow's


def same_padding(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) zeros around (H, W) so that ceil(H / stride) rows come out.

    As TensorFlow's "SAME": an odd total has its larger half at the right and at the bottom, where
    PyTorch's `padding=1` would pad both sides; with stride 2 and even sizes the two differ.
    """
    total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in size]
    (top, bottom), (left, right) = ((t // 2, t - t // 2) for t in total)
    return left, right, top, bottom


class SameConv(nn.Conv2d):
    """A convolution with "SAME" padding."""

    def __init__(
        self, channels: int, width: int, kernel: int = 3, stride: int = 1, *, bias: bool = False
    ) -> None:
        """`channels` in, `width` out."""
        super().__init__(channels, width, kernel, stride, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, width, ceil(h / stride), ceil(w / stride))."""
        size = input.shape[2], input.shape[3]
        padding = same_padding(size, self.kernel_size[0], self.stride[0])
        return super().forward(F.pad(input, padding))


class SamePool(nn.Module):
    """3x3 max pooling with stride 2 and "SAME" padding: padded places never win."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, channels, ceil(h / 2), ceil(w / 2))."""
        padding = same_padding((x.shape[2], x.shape[3]), 3, 2)
        return F.max_pool2d(F.pad(x, padding, value=float("-inf")), 3, 2)


def shift_norm(width: int, *, flat: bool = False) -> nn.Module:
    """Batch norm whose scale stays 1, of maps or of flat features."""
    norm = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(width, eps=NORM_EPS)
    norm.weight.requires_grad_(False)
    return norm


class Residual(nn.Module):
    """Norm and ELU, convolution, norm and ELU, dropout, convolution; added to the input as it came.

    Args:
        channels: in.
        width: channels out.
        stride: of the first convolution; beyond 1, a 1x1 convolution brings the input to its size.
        first: of the network; its input was activated just before, so it starts with a convolution.
        dropout: share of activations dropped between the convolutions.
    """

    def __init__(
        self, channels: int, width: int, stride: int, *, first: bool, dropout: float
    ) -> None:
        super().__init__()
        self.before = nn.Identity() if first else nn.Sequential(shift_norm(channels), nn.ELU())
        self.conv1 = SameConv(channels, width, stride=stride)
        self.norm = shift_norm(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = SameConv(width, width, bias=True)
        alike = channels == width and stride == 1
        self.shortcut = nn.Identity() if alike else SameConv(channels, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, width, h / stride, w / stride)."""
        y = F.elu(self.norm(self.conv1(self.before(x))))
        return self.shortcut(x) + self.conv2(self.dropout(y))


class CosineSoftmax(nn.Module):
    """Cosines with one direction per identity, times a scale that is learnt.

    The scale is softplus(t) of a number t. It starts at ln 2 with t = 0, as published, and takes
    thousands of steps to grow: an optimiser such as Adam moves t by its learning rate per step.

    Args:
        dim: D, width of the feature.
        num_ids: C, number of training identities.
        t: where it starts.
    """

    def __init__(self, dim: int, num_ids: int, t: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_ids, dim))
        self.t = nn.Parameter(torch.tensor(float(t)))
        nn.init.trunc_normal_(self.weight, std=1e-3, a=-2e-3, b=2e-3)

    def forward(self, feature: Tensor) -> Tensor:
        """Unit features (B, D) -> logits (B, C) in -softplus(t)..softplus(t)."""
        return F.softplus(self.t) * F.linear(feature, F.normalize(self.weight, dim=1))


class DeepCosine(nn.Module):
    """Image -> unit feature -> scaled cosines with every identity.

    Args:
        num_ids: C, number of training identities; None or 0 for a network without a classifier.
        width: channels of the first stage; the later ones have 2 and 4 times as many.
        dim: D, width of the feature.
        dropout: share dropped inside the residual blocks and before the last layer.
        std: of the truncated normal numbers that all weights start from.
        t: where the number under the scale of the cosines starts.
        preprocess: the eval transform that belongs to the weights.

    Raises:
        ValueError: a negative number of identities, a dropout outside [0, 1), or `std` not above 0.
    """

    default_neck = "before"

    def __init__(
        self,
        num_ids: int | None = None,
        *,
        width: int = 32,
        dim: int = 128,
        dropout: float = 0.4,
        std: float = 1e-3,
        t: float = 0.0,
        preprocess: EvalTransform,
    ) -> None:
        super().__init__()
        if num_ids is not None and num_ids < 0:
            raise ValueError(f"num_ids must be 1 or more, or None for no classifier, got {num_ids}")
        if not 0 <= dropout < 1 or std <= 0:
            raise ValueError(f"expected dropout in [0, 1) and std above 0, got {dropout} and {std}")
        self.num_ids = num_ids or None
        stem = [SameConv(3, width), shift_norm(width), nn.ELU()]
        stem += [SameConv(width, width), shift_norm(width), nn.ELU(), SamePool()]
        blocks, channels = [], width
        for stage in range(3):
            for i in range(2):
                wide, stride = width * 2**stage, 2 if stage and not i else 1
                first = not blocks
                blocks.append(Residual(channels, wide, stride, first=first, dropout=dropout))
                channels = wide
        self.trunk = nn.Sequential(*stem, *blocks)
        height, across = (-(-n // 8) for n in preprocess.size)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(channels * height * across, dim, bias=False)
        self.norm = shift_norm(dim, flat=True)
        self.classifier = CosineSoftmax(dim, self.num_ids, t) if self.num_ids else None
        self._start(std)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def _start(self, std: float) -> None:
        for module in self.modules():
            if isinstance(module, SameConv | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> unit feature (B, D) and its logits (B, C); cameras are not used."""
        feature = self.embed(images)
        return Branches([feature], [self.classifier(feature)] if self.classifier else [])

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> unit feature (B, D), in float32 or better; neck "after" is refused.

        Raises:
            ValueError: images of another size than the network was made for, or such a neck.
        """
        check_no_neck(neck)
        if tuple(images.shape[2:]) != self.preprocess.size:
            height, width = self.preprocess.size
            raise ValueError(
                f"expected images (B, 3, {height}, {width}), got {tuple(images.shape)}; the last "
                "layer fits one size: construct the network with the image_size it gets"
            )
        flat = self.trunk(images).flatten(1)  # (B, 4 * width, H / 8, W / 8) -> (B, all of it)
        feature = F.elu(self.norm(self.dense(self.dropout(flat))))
        exact = torch.promote_types(feature.dtype, torch.float32)
        return F.normalize(feature.to(exact), dim=1)


def plain_pixels(size: tuple[int, int]) -> EvalTransform:
    """RGB / 255, as this network was published: no mean is subtracted."""
    return EvalTransform(size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def deep_cosine_small(
    num_ids: int | None = None,
    *,
    width: int = 24,
    dim: int = 128,
    image_size: tuple[int, int] = (64, 32),
    dropout: float = 0.1,
    std: float = 0.05,
    t: float = 10.0,
    seed: int = 0,
) -> DeepCosine:
    """The desk network: fewer channels, images of half the size, a seventh of the operations.

    The published start (dropout 0.4, weights of 0.001, a scale of ln 2) needs tens of thousands of
    steps; the defaults here learn in a few hundred. Each can be set back.

    Args:
        num_ids: C, number of training identities; None for no classifier.
        width: channels of the first stage.
        dim: D, width of the feature.
        image_size: (H, W) in pixels.
        dropout: share dropped.
        std: of the initial weights.
        t: where the number under the scale of the cosines starts; 10 is a scale of 10.
        seed: of these.

    Raises:
        ValueError: as `DeepCosine`.
    """
    own = {"width": width, "dim": dim, "dropout": dropout, "std": std, "t": t}
    return _made("deep_cosine_small", num_ids, own, image_size, seed)


def deep_cosine(
    num_ids: int | None = None,
    *,
    width: int = 32,
    dim: int = 128,
    image_size: tuple[int, int] = (128, 64),
    dropout: float = 0.4,
    std: float = 1e-3,
    t: float = 0.0,
    seed: int = 0,
) -> DeepCosine:
    """The published network: 2,800,864 weights, those of the classifier and its scale apart.

    Args:
        num_ids: C, number of training identities; None for no classifier.
        width: channels of the first stage.
        dim: D, width of the feature.
        image_size: (H, W) in pixels.
        dropout: share dropped; 0.4 keeps 0.6 as published.
        std: of the initial weights.
        t: where the number under the scale of the cosines starts.
        seed: of these.

    Raises:
        ValueError: as `DeepCosine`.
    """
    own = {"width": width, "dim": dim, "dropout": dropout, "std": std, "t": t}
    return _made("deep_cosine", num_ids, own, image_size, seed)


def _made(
    name: str, num_ids: int | None, own: dict[str, Any], size: tuple[int, int], seed: int
) -> DeepCosine:
    """The network, remembering how to construct it again."""
    with seeded(seed):
        model = DeepCosine(num_ids, **own, preprocess=plain_pixels(size))
    arguments = {"num_ids": model.num_ids, **own, "image_size": list(size)}
    return signed(model, name, arguments, {"seed": seed})
