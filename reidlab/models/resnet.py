"""Residual trunks for re-identification: last stride 1, any width, image -> feature map.

Parameter names are torchvision's, so that ImageNet weights load by name.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385); last
stride 1: Sun et al. 2018, "Beyond Part Models" (arXiv:1711.09349).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        """`channels` in, `width` out."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, width, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; four times `width` out."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        """`channels` in, `4 * width` out; the stride is in the 3x3 convolution."""
        super().__init__()
        wide = self.expansion * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, 4 * width, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def shortcut(channels: int, wide: int, stride: int) -> nn.Module:
    """Identity where shapes agree, else a 1x1 convolution with batch norm."""
    if channels == wide and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))


Block = type[BasicBlock] | type[Bottleneck]


def make_stage(block: Block, channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks in a row, `channels` in, `width * block.expansion` out; the first strides."""
    blocks = []
    for i in range(depth):
        blocks.append(block(channels, width, stride if i == 0 else 1))
        channels = width * block.expansion
    return nn.Sequential(*blocks)


def start_convolutions(module: nn.Module) -> None:
    """Fill every convolution with Kaiming's normal numbers, as residual networks start."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            nn.init.kaiming_normal_(each.weight, mode="fan_out", nonlinearity="relu")


def without_stride(stage: nn.Sequential) -> nn.Sequential:
    """A copy of a stage on a finer grid: same weights, no stride, later 3x3 kernels spread out.

    Every other place of its map holds what `stage` gives, the places between are new ("a trous").
    """
    finer, spread = copy.deepcopy(stage), 1
    for module in finer.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        stride, wide = module.stride[0], module.kernel_size[0] > 1
        module.stride = (1, 1)
        if wide:
            module.dilation, module.padding = (spread, spread), (spread, spread)
            spread *= stride
    return finer


class ResNet(nn.Module):
    """(B, 3, H, W) -> feature map (B, dim, H / 16, W / 16) with last stride 1.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks per stage.
        width: channels of the first stage; each stage doubles it.
        last_stride: of the last stage; 2 is ImageNet's.
        stem_relu: a ReLU after the first batch norm; the re-identification baselines that publish
            weights leave it out.
        pool: "3x3" (stride 2, padded) or "2x2" max pooling after the stem.

    Raises:
        ValueError: an unknown pool.
    """

    def __init__(
        self,
        block: Block,
        depths: Sequence[int],
        *,
        width: int = 64,
        last_stride: int = 1,
        stem_relu: bool = True,
        pool: str = "3x3",
    ) -> None:
        super().__init__()
        pools = {"3x3": nn.MaxPool2d(3, 2, 1), "2x2": nn.MaxPool2d(2, 2)}
        if pool not in pools:
            raise ValueError(f"pool must be one of {', '.join(pools)}, got {pool!r}")
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True) if stem_relu else nn.Identity()
        self.maxpool = pools[pool]
        self.num_stages = len(depths)
        channels = width
        for stage, depth in enumerate(depths):
            narrow = width * 2**stage
            last = stage == len(depths) - 1
            stride = 1 if stage == 0 else last_stride if last else 2
            self.add_module(f"layer{stage + 1}", make_stage(block, channels, narrow, depth, stride))
            channels = narrow * block.expansion
        self.dim = channels
        start_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim, h, w)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (B, width, H / 4, W / 4)
        for stage in range(self.num_stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x


def resnet10(*, width: int = 32, last_stride: int = 1) -> ResNet:
    """Four basic blocks; at half width 1.2 million weights, which two laptop cores can train."""
    return ResNet(BasicBlock, (1, 1, 1, 1), width=width, last_stride=last_stride)


def resnet50(
    *, width: int = 64, last_stride: int = 1, stem_relu: bool = True, pool: str = "3x3"
) -> ResNet:
    """Sixteen bottlenecks, 23.5 million weights at full width."""
    return ResNet(
        Bottleneck,
        (3, 4, 6, 3),
        width=width,
        last_stride=last_stride,
        stem_relu=stem_relu,
        pool=pool,
    )
