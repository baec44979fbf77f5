"""What a transformer is made of: attention, two layers per token, and skipping them at random.

Shapes: B images, T tokens, D width.

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

Recompute = Literal["never", "cpu", "always"]
RECOMPUTE = ("never", "cpu", "always")
EPSILON = 1e-6  # of every layer norm


class Block(nn.Module):
    """Attention, then two layers for each token alone; both are added to what comes in.

    Args:
        width: D.
        heads: of the attention.
        mlp_ratio: hidden width in widths.
        qkv_bias: see `ViT`.
        qk_scale: see `ViT`.
        drop_path: rate at which a branch is skipped for an image while training.
        dropout: after projections.
        attention_dropout: of attention weights.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(
            width, heads, qkv_bias=qkv_bias, qk_scale=qk_scale, drop=attention_dropout, out=dropout
        )
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, int(width * mlp_ratio), dropout)
        self.drop_path = drop_path
        self.recompute: Recompute = "never"

    def forward(self, x: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Tokens (B, T, D) -> (B, T, D); `ignored` (B, T), where true, is looked at by nobody."""
        x = x + self._branch(self.attn(self.norm1(x), ignored))
        return x + self._branch(self._layers(x))

    def _layers(self, x: Tensor) -> Tensor:
        """Norm and the two layers; computed once more for the gradient instead of being kept."""
        twice = self.recompute == "always" or (self.recompute == "cpu" and x.device.type == "cpu")
        if twice and torch.is_grad_enabled():
            return checkpoint(lambda y: self.mlp(self.norm2(y)), x, use_reentrant=False)  # pyright: ignore
        return self.mlp(self.norm2(x))

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights (B, heads, T, T) of tokens (B, T, D)."""
        return self.attn.weights(self.norm1(x))

    def _branch(self, x: Tensor) -> Tensor:
        return skip_some(x, self.drop_path) if self.training else x


class Attention(nn.Module):
    """Several heads of softmax(q k^T * scale) v.

    Args:
        width: D.
        heads: they divide the width.
        qkv_bias: see `ViT`.
        qk_scale: see `ViT`.
        drop: dropout of the weights.
        out: dropout after the projection.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop: float = 0.0,
        out: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.scale = (width // heads) ** -0.5 if qk_scale is None else qk_scale
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(out)

    def forward(self, x: Tensor, ignored: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D), by torch's fused attention."""
        q, k, v = self._split(x)
        mask = None if ignored is None else ~ignored[:, None, None]  # (B, 1, 1, T), true: seen
        drop = self.drop if self.training else 0.0
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=drop, scale=self.scale
        )
        return self.proj_drop(self.proj(x.transpose(1, 2).flatten(2)))  # (B, heads, T, d) -> ...

    def weights(self, x: Tensor) -> Tensor:
        """(B, T, D) -> the softmax itself (B, heads, T, T), without dropout."""
        q, k, _ = self._split(x)
        return (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, (B, heads, T, D / heads) each."""
        batch, count, width = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)


class Mlp(nn.Module):
    """Two layers with an exact GELU between them."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


def skip_some(x: Tensor, rate: float) -> Tensor:
    """Stochastic depth: rows of `x` (B, ...) set to zero at `rate`, the others enlarged for it.

    Source: Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv:1603.09382).
    """
    if not rate:
        return x
    keep = 1 - rate
    shape = (len(x), *(1 for _ in x.shape[1:]))
    return x * torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)
