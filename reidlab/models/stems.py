"""From pixels to tokens: one convolution per patch, or four small ones.

Shapes: B images, D width, h x w patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

Pair = tuple[int, int]


class PatchStem(nn.Module):
    """One convolution per patch: a linear map of its pixels.

    Args:
        width: D.
        patch: side of a patch in pixels.
        stride: (down, across) in pixels.
    """

    def __init__(self, width: int, patch: int, stride: Pair) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D, h, w)."""
        return self.proj(images)

    def grid(self, image_size: Pair, stride: Pair | None = None) -> Pair:
        """Rows and columns of patches in an image of (H, W) pixels; at another stride, if given."""
        sides = zip(image_size, self.proj.kernel_size, stride or self.proj.stride, strict=True)
        high, wide = ((side - size) // step + 1 for side, size, step in sides)
        return high, wide

    def start(self) -> None:
        """First weights as in TransReID: those of a convolution whose outputs feed a ReLU."""
        high, wide = self.proj.kernel_size
        std = math.sqrt(2 / (high * wide * self.proj.out_channels))
        nn.init.normal_(self.proj.weight, std=std)


class ConvStem(nn.Module):
    """Four 3x3 convolutions of stride 2 and a linear map: tokens that learn from few images.

    A patch is 16 pixels. A stride of 8, down or across, leaves the last convolution without one
    there, which doubles the tokens; its weights stay the same.

    Args:
        width: D.
        patch: 16.
        stride: (down, across), 8 or 16 each.

    Raises:
        ValueError: another patch or stride.

    Source: after Xiao et al. 2021, "Early Convolutions Help Transformers See Better"
    (arXiv:2106.14881). Ours: the widths.
    """

    def __init__(self, width: int, patch: int, stride: Pair) -> None:
        super().__init__()
        if patch != 16 or not set(stride) <= {8, 16}:
            raise ValueError(
                f"a convolutional stem has patch 16 and strides of 8 or 16, got {patch}, {stride}"
            )
        self.stride = stride
        widths = [3, *(max(1, width // part) for part in (8, 4, 2, 1))]
        last = (stride[0] // 8, stride[1] // 8)
        layers: list[nn.Module] = []
        for i, (inside, outside) in enumerate(zip(widths, widths[1:], strict=False)):
            step = last if i == 3 else (2, 2)
            layers.append(nn.Conv2d(inside, outside, 3, step, padding=1, bias=False))
            layers += [nn.BatchNorm2d(outside), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D, h, w)."""
        return self.proj(self.layers(images))

    def grid(self, image_size: Pair, stride: Pair | None = None) -> Pair:
        """Rows and columns of tokens of an image of (H, W) pixels; what is left over counts."""
        sides = zip(image_size, stride or self.stride, strict=True)
        high, wide = (-(-side // step) for side, step in sides)
        return high, wide

    def start(self) -> None:
        """First weights: those of a convolution whose outputs feed a ReLU."""
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


STEMS: dict[str, Callable[[int, int, Pair], PatchStem | ConvStem]] = {
    "patch": PatchStem,
    "conv": ConvStem,
}
