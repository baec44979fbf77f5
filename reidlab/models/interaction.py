"""Interaction and aggregation: positions, then channels, gather what is like themselves.

Shapes: B images, C channels, h x w positions of a map, N = h * w.

Source: Hou et al. 2019, "Interaction-and-Aggregation Network for Person Re-identification" (CVPR;
arXiv:1907.08435), in the form of the authors' released code, which has one scale of patches.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

FUSIONS = ("released", "renormalised")
REACH = 0.625  # standard deviation of the location prior, as a share of the map's side

Fusion = Literal["released", "renormalised"]


def check_fusion(fusion: Fusion) -> Fusion:
    """`fusion` when it is one of the two, else a `ValueError` that lists both."""
    if fusion not in FUSIONS:
        raise ValueError(f"fusion must be one of {', '.join(FUSIONS)}, got {fusion!r}")
    return fusion


def location_prior(grid: tuple[int, int], sigma: tuple[float, float]) -> Tensor:
    r"""How near two positions of a map are, (N, N); each row sums to 1.

    .. math:: D_{ij} = \mathrm{softmax}_j \Big( -\frac{(v_i - v_j)^2}{2 \sigma_v^2}
        - \frac{(u_i - u_j)^2}{2 \sigma_u^2} \Big)

    Args:
        grid: (h, w); positions are counted row by row.
        sigma: standard deviations down and across, in positions.

    Raises:
        ValueError: a side below 1, or a deviation that is not above 0.
    """
    if len(grid) != 2 or min(grid) < 1 or len(sigma) != 2 or not all(s > 0 for s in sigma):
        raise ValueError(
            f"expected grid (h, w) of at least 1 x 1 and sigma (down, across) above 0, got {grid}, "
            f"{sigma}"
        )
    rows, columns = torch.meshgrid(*map(torch.arange, grid), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1) / torch.tensor(sigma)  # (N, 2)
    apart = (places[:, None] - places[None]).square().sum(dim=-1)  # (N, N)
    return (-apart / 2).softmax(dim=-1)


def appearance_scores(x: Tensor) -> Tensor:
    """Scaled products of the columns of `x` (B, C, N) -> (B, N, N), before any softmax."""
    return x.mT @ (x / x.shape[1] ** 0.5)


def appearance_relation(x: Tensor) -> Tensor:
    r"""How alike two positions look, (B, N, N); each row sums to 1.

    .. math:: A_{ij} = \mathrm{softmax}_j ( x_i^\top x_j / \sqrt{C} )

    Args:
        x: (B, C, N), one column per position; no projection is learned.
    """
    return appearance_scores(x).softmax(dim=-1)


def spatial_attention(x: Tensor, prior: Tensor, fusion: Fusion = "released") -> Tensor:
    r"""What each position takes from each other one, S (B, N, N); each row sums to 1.

    "released" is the authors' code: :math:`S_{ij} = \mathrm{softmax}_j(A_{ij} D_{ij})`, a softmax
    over a product of two softmaxes. Such products lie between 0 and max D, about 2 / N, so that the
    weights of a row differ by a factor of exp(2 / N) at most: nearly the average over the map.

    "renormalised" is :math:`S_{ij} = A_{ij} D_{ij} / \sum_k A_{ik} D_{ik}`, and can be sharp.

    Args:
        x: (B, C, N), one column per position.
        prior: D (N, N), from `location_prior`.
        fusion: which of the two.

    Raises:
        ValueError: an unknown fusion.
    """
    if check_fusion(fusion) == "released":
        return (appearance_relation(x) * prior).softmax(dim=-1)
    return (appearance_scores(x) + prior.log()).softmax(dim=-1)  # never 0 / 0, unlike the quotient


def channel_attention(z: Tensor) -> Tensor:
    r"""What each channel takes from each other one, (B, C, C); each row sums to 1.

    .. math:: R = \mathrm{softmax}_\mathrm{rows}(Z Z^\top)

    Args:
        z: (B, C, N); products are not scaled, so that rows are often one-hot.
    """
    return (z @ z.mT).softmax(dim=-1)


def uniformity(attention: Tensor) -> tuple[float, float]:
    """Smallest and largest weight of `attention` (..., N, N) times N; (1, 1) is plain averaging."""
    weights = attention.detach() * attention.shape[-1]
    return float(weights.min()), float(weights.max())


class IABlock(nn.Module):
    r"""Spatial then channel interaction and aggregation; the shape of the map stays.

    .. math:: Z = X + \mathrm{BN}_1(X S^\top), \quad Y = Z + \mathrm{BN}_2(R Z)

    Both batch norms start at weight and bias 0: a new block is the identity, and learns to differ.
    Sums over positions are in float32 or better, under autocast too.

    Args:
        channels: C.
        grid: (h, w) of the map; the prior is made for it.
        sigma: of the prior, down and across in positions; None: 0.625 h and 0.625 w, as published.
        fusion: "released" or "renormalised"; see `spatial_attention`.

    Raises:
        ValueError: sizes below 1, sigma not above 0, or an unknown fusion.
    """

    prior: Tensor

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int],
        sigma: tuple[float, float] | None = None,
        *,
        fusion: Fusion = "released",
    ) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        sigma = (REACH * grid[0], REACH * grid[1]) if sigma is None else sigma
        self.channels, self.grid = channels, tuple(grid)
        self.fusion: Fusion = check_fusion(fusion)
        self.register_buffer("prior", location_prior(grid, sigma), persistent=False)  # a constant
        self.spatial_norm = _silent_norm(channels)
        self.channel_norm = _silent_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        columns = self._columns(x)
        with torch.autocast(x.device.type, enabled=False):
            attention = spatial_attention(columns, self.prior, self.fusion)
            gathered = columns @ attention.mT  # (B, C, N)
        z = x + self.spatial_norm(gathered.to(x.dtype).unflatten(2, self.grid))
        columns = self._columns(z)
        with torch.autocast(x.device.type, enabled=False):
            gathered = channel_attention(columns) @ columns  # (B, C, N)
        return z + self.channel_norm(gathered.to(x.dtype).unflatten(2, self.grid))

    def attention(self, x: Tensor, fusion: Fusion | None = None) -> Tensor:
        """S (B, N, N) of a map (B, C, h, w); `fusion` None is the block's own."""
        with torch.autocast(x.device.type, enabled=False):
            return spatial_attention(self._columns(x), self.prior, fusion or self.fusion)

    def _columns(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, N), in float32 or better."""
        if tuple(x.shape[1:]) != (self.channels, *self.grid):
            h, w = self.grid
            raise ValueError(
                f"this block takes maps (B, {self.channels}, {h}, {w}), got {tuple(x.shape)}; its "
                "location prior fits one size: construct the network with the image_size it gets"
            )
        return x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))


def _silent_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that starts by giving 0."""
    norm = nn.BatchNorm2d(channels)
    nn.init.zeros_(norm.weight)
    return norm
