"""The vision transformer: patches become tokens, blocks let every token look at all others.

Any image size, overlapping patches, side information (camera, view) and a convolutional stem for
small networks. Names of weights are those of timm, so that its files can be read.
Shapes: B images, N patches on a grid h x w, T = N + 1 tokens (the class token first), D width.

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929). Overlapping
patches and side information: He et al. 2021, "TransReID" (arXiv:2102.04378).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidlab.models.blocks import EPSILON, Block
from reidlab.models.stems import STEMS, Pair

Stem = Literal["patch", "conv"]


class ViT(nn.Module):
    """Image -> tokens.

    Args:
        image_size: (H, W) in pixels; fixed, since the position table belongs to a grid.
        patch: side of a patch in pixels.
        stride: pixels from one patch to the next, one number or (down, across); below `patch` they
            overlap.
        width: D.
        depth: number of blocks.
        heads: of the attention; they divide the width.
        mlp_ratio: hidden width of a block's two layers, in widths.
        qkv_bias: a bias in the projection to queries, keys and values.
        qk_scale: factor of query times key; None is (D / heads) ** -0.5.
        drop_path: rate at which the last block's branches are skipped for an image while training;
            rates grow evenly from 0 at the first block.
        dropout: after projections and in the position sum; 0 as published.
        attention_dropout: of attention weights; 0 as published.
        sides: rows of the table of side information, 0 for none.
        side_scale: lambda, what its rows are multiplied by.
        stem: "patch", one convolution per patch, or "conv", see `ConvStem`.

    Raises:
        ValueError: numbers out of range, an image smaller than a patch, heads that do not divide
            the width, or a stem that cannot have this patch and stride.
    """

    def __init__(
        self,
        image_size: Pair = (256, 128),
        *,
        patch: int = 16,
        stride: int | Pair = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_path: float = 0.1,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        sides: int = 0,
        side_scale: float = 3.0,
        stem: Stem = "patch",
    ) -> None:
        super().__init__()
        self.stride = _pair("stride", (stride, stride) if isinstance(stride, int) else stride)
        self.image_size = _pair("image_size", image_size)
        _check(depth, width, heads, sides, (drop_path, dropout, attention_dropout))
        _check_stem(stem, self.image_size, patch, self.stride)
        self.dim = width
        self.patch_embed = STEMS[stem](width, patch, self.stride)
        self.grid = self.patch_embed.grid(self.image_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, math.prod(self.grid) + 1, width))
        self.side_embed = nn.Parameter(torch.zeros(sides, 1, width)) if sides else None
        self.side_scale = side_scale
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop_path=drop_path * i / max(1, depth - 1),
                dropout=dropout,
                attention_dropout=attention_dropout,
            )
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.apply(start_linear)
        self.patch_embed.start()
        for table in (self.cls_token, self.pos_embed, self.side_embed):
            if table is not None:
                nn.init.trunc_normal_(table, std=0.02)

    def forward(self, images: Tensor, sides: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) -> tokens after the last block and its norm (B, T, D).

        Args:
            images: normalised.
            sides: rows (B,) of the table of side information, or one row (B, D) per image ready to
                be added; None adds nothing.

        Raises:
            ValueError: images of another size, or rows that the table has not.
        """
        return self.norm(self.run(self.tokens(images, sides)))

    def tokens(self, images: Tensor, sides: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) -> tokens before the first block (B, T, D): patches, places and sides."""
        if images.ndim != 4 or tuple(images.shape[2:]) != self.image_size:
            high, wide = self.image_size
            raise ValueError(
                f"expected images (B, 3, {high}, {wide}), got {tuple(images.shape)}; the position "
                "table belongs to this size"
            )
        x = self.patch_embed(images).flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)  # (B, T, D)
        x = x + self.pos_embed
        if sides is not None:
            x = x + self.side_scale * self._rows(sides)
        return self.drop(x)

    def run(self, tokens: Tensor, blocks: slice | None = None) -> Tensor:
        """Tokens (B, T, D) after some of the blocks, all of them by default; no norm."""
        for block in self.blocks[blocks or slice(None)]:  # pyright: ignore[reportGeneralTypeIssues]
            tokens = block(tokens)
        return tokens

    def attention(self, images: Tensor, sides: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Tokens (B, T, D) as `forward` gives them, and each block's weights (B, heads, T, T).

        Row i of the weights says how token i is mixed from all tokens; it adds to 1.
        """
        tokens, maps = self.tokens(images, sides), []
        for block in map(_as_block, self.blocks):
            maps.append(block.weights(tokens))
            tokens = block(tokens)
        return self.norm(tokens), maps

    def _rows(self, sides: Tensor) -> Tensor:
        """What is added to every token (B, 1, D), before its factor."""
        if self.side_embed is None:
            raise ValueError("this network has no table of side information (sides=0)")
        if sides.is_floating_point():
            return sides[:, None]
        rows = len(self.side_embed)
        if len(sides) and not 0 <= int(sides.min()) <= int(sides.max()) < rows:
            got = f"{int(sides.min())} to {int(sides.max())}"
            raise ValueError(f"expected rows 0 to {rows - 1} of side information, got {got}")
        return self.side_embed[sides]


def _pair(name: str, given: Any) -> Pair:
    """Two whole numbers of pixels, down and across."""
    sides = given if isinstance(given, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise ValueError(f"{name} must be two whole numbers, down and across, got {given!r}")
    return given[0], given[1]


def _check_stem(stem: str, image_size: Pair, patch: int, stride: Pair) -> None:
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}")
    if min(patch, *stride) < 1 or min(image_size) < patch:
        raise ValueError(
            "expected a stride of 1 or more and an image of at least one patch, got image "
            f"{image_size}, patch {patch}, stride {stride}"
        )


def _check(depth: int, width: int, heads: int, sides: int, rates: tuple[float, ...]) -> None:
    if depth < 1 or heads < 1 or width % heads or sides < 0:
        raise ValueError(
            "expected a depth of 1 or more, heads that divide the width, and 0 or more sides; got "
            f"depth {depth}, width {width}, heads {heads}, sides {sides}"
        )
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError(f"drop_path, dropout and attention_dropout lie in 0..1, got {rates}")


def start_linear(module: nn.Module) -> None:
    """First weights of a linear layer in a transformer: normal with deviation 0.02, bias 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def resize_positions(table: Tensor, grid: Pair, old: Pair | None = None) -> Tensor:
    """A position table (1, 1 + N, D) for another grid; the class token's row stays.

    Bilinear, without averaging when it shrinks: as TransReID's code does it.

    Args:
        table: to resize.
        grid: rows and columns wanted.
        old: rows and columns that it has; None for a square.

    Raises:
        ValueError: the table does not have the rows of `old`, or of any square.
    """
    rows = table.shape[1] - 1
    if old is None:
        side = math.isqrt(rows)
        old = (side, side)
    if math.prod(old) != rows:
        raise ValueError(f"a position table of {rows} + 1 rows is not one of a grid {old}")
    if old == grid:
        return table
    first, rest = table[:, :1], table[:, 1:]
    square = rest.transpose(1, 2).unflatten(2, old).float()  # (1, D, h, w)
    resized = F.interpolate(square, size=grid, mode="bilinear", align_corners=False)
    return torch.cat([first, resized.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)


def _as_block(module: nn.Module) -> Block:
    return cast(Block, module)


VITS: dict[str, dict[str, Any]] = {
    "vit_base": {"width": 768, "depth": 12, "heads": 12},
    "vit_small": {"width": 384, "depth": 12, "heads": 6},
    "vit_tiny": {"width": 192, "depth": 12, "heads": 3},
    "vit_small_8": {
        "width": 768,
        "depth": 8,
        "heads": 8,
        "mlp_ratio": 3.0,
        "qkv_bias": False,
        "qk_scale": 768**-0.5,
    },
    "desk": {"width": 128, "depth": 4, "heads": 4, "stem": "conv"},
}
"""Name -> sizes. DeiT's networks have those of ViT's. "vit_small_8" is timm's first small network,
which TransReID calls "small": eight wide blocks. "desk" learns on two cores."""


def make_vit(name: str, image_size: Pair, **changes: Any) -> ViT:
    """The trunk of a published name, with its first random weights.

    Args:
        name: a key of `VITS`; those of DeiT mean the same networks.
        image_size: (H, W) in pixels.
        changes: replace arguments of `ViT`.

    Raises:
        ValueError: an unknown name; as `ViT`.
    """
    known = VITS | {f"deit_{size}": VITS[f"vit_{size}"] for size in ("base", "small", "tiny")}
    if name not in known:
        raise ValueError(f"unknown ViT {name!r}; choose one of {', '.join(known)}")
    return ViT(image_size, **(known[name] | changes))
