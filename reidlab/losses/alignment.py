"""Distances between images cut into stripes: aligned by a shortest path, or stripe on stripe.

Shapes: Q and G images (N pairs of them), H stripes from top to bottom, D width of a stripe.

Source: Zhang et al. 2017, "AlignedReID: Surpassing Human-Level Performance in Person
Re-Identification" (arXiv:1711.08184), section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from reidlab.losses.distances import pairwise_distance

TILE = {"cuda": 2**22}  # stripe pairs worked on at once: as many as a GPU needs to be busy,
CACHED = 2**18  # and elsewhere as many as stay in a core's cache (1 MiB)
NEAR = 0.02  # squared distance, as a share of the squared lengths, that the product still resolves
FEW = 2**11  # near pairs of a tile up to which computing them one by one is cheaper


def aligned_distance(x: Tensor, y: Tensor, *, aligned: bool = True) -> Tensor:
    r"""Local distance of every image of `x` to every image of `y`, (Q, G).

    .. math:: d_{ij} = \tanh(\lVert x_i - y_j \rVert / 2), \quad
        S_{ij} = d_{ij} + \min(S_{i-1,j}, S_{i,j-1}), \quad S_{HH}

    An aligned distance is a sum along a path that goes right or down from the first stripes to the
    last, 2H - 1 steps; that of an image to itself is not 0, since each path leaves the diagonal.

    All pairs go through the H x H cells at once. Where gradients are asked for, the whole grid is
    kept for them; otherwise tiles of images bound the memory to a few megabytes (about a
    hundred on a GPU) beyond the result.

    Args:
        x: (Q, H, D), usually L2-normalised stripes.
        y: (G, H, D), on the same device.
        aligned: False sums d along the diagonal instead, each stripe on its counterpart.

    Returns:
        (Q, G) in [0, 2H - 1], or [0, H] when not aligned; float32, or float64 of such stripes.

    Raises:
        ValueError: not (images, stripes, width), or other stripes or widths in `x` than in `y`.

    Source: AlignedReID (arXiv:1711.08184), eq. 1 and 2. Its (exp e - 1) / (exp e + 1) is written
    as tanh(e / 2), which does not overflow.
    """
    _check(x, y)
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
        return _collapse(stripe_distances(x, y), aligned)
    wide = torch.promote_types(x.dtype, torch.float32)
    x, y = x.detach().to(wide), y.detach().to(wide)
    result = x.new_empty(len(x), len(y))
    for rows, columns, grid in _tiles(x, y):
        result[rows, columns] = _collapse(grid, aligned)
    return result


def aligned_pairs(x: Tensor, y: Tensor, *, aligned: bool = True) -> Tensor:
    """Local distance of each image of `x` to the image of `y` in the same row, (N,).

    Args:
        x: (N, H, D).
        y: (N, H, D).
        aligned: as for `aligned_distance`.

    Raises:
        ValueError: shapes that differ, or are no (images, stripes, width).
    """
    _check(x, y)
    if len(x) != len(y):
        raise ValueError(f"expected one image of y per image of x, got {len(y)} and {len(x)}")
    return _collapse(_squashed(pairwise_distance(x, y)), aligned)  # grid (N, H, H)


def stripe_distances(x: Tensor, y: Tensor) -> Tensor:
    """tanh(e / 2) of every pair of stripes, e their Euclidean distance: (Q, G, H, H), exact."""
    images, stripes, width = x.shape
    flat = pairwise_distance(x.reshape(-1, width), y.reshape(-1, width))  # (Q * H, G * H)
    return _squashed(flat).view(images, stripes, len(y), stripes).permute(0, 2, 1, 3)


def shortest_path(grid: Tensor) -> Tensor:
    """Least sum of cells from the first to the last corner, going right or down: (...).

    Args:
        grid: (..., H, W), H and W at least 1; any leading axes, which are worked on together.

    Raises:
        ValueError: fewer than two axes, or no cells.
    """
    if grid.ndim < 2 or 0 in grid.shape[-2:]:
        raise ValueError(f"expected a grid (..., H, W) with cells, got {tuple(grid.shape)}")
    return _sums(grid)[-1][-1]


def alignment_path(x: Tensor, y: Tensor) -> list[tuple[int, int]]:
    """The shortest path between two images: pairs (stripe of `x`, stripe of `y`), 2H - 1 of them.

    Where two ways are equally short, the one that comes from the stripe of `x` above is taken.

    Args:
        x: (H, D) stripes of one image.
        y: (H, D) stripes of the other.

    Raises:
        ValueError: not (stripes, width), or shapes that disagree.
    """
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError(f"expected two images (H, D), got {tuple(x.shape)} and {tuple(y.shape)}")
    _check(x[None], y[None])
    sums = _sums(stripe_distances(x[None].detach(), y[None].detach())[0, 0].double())
    i = j = len(x) - 1
    path = [(i, j)]
    while i or j:
        from_above = i > 0 and (j == 0 or bool(sums[i - 1][j] <= sums[i][j - 1]))
        i, j = (i - 1, j) if from_above else (i, j - 1)
        path.append((i, j))
    return path[::-1]


def _check(x: Tensor, y: Tensor) -> None:
    """Raise unless these are stripes of images that can be compared."""
    got = f"got {tuple(x.shape)} and {tuple(y.shape)}"
    if x.ndim != 3 or y.ndim != 3 or 0 in x.shape[1:]:
        raise ValueError(f"expected stripes (images, H, D) on both sides, {got}")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"expected as many stripes of the same width on both sides, {got}")
    if not (x.is_floating_point() and y.is_floating_point()) or x.dtype != y.dtype:
        raise ValueError(f"expected floating point of one kind, got {x.dtype} and {y.dtype}")
    if x.device != y.device:
        raise ValueError(f"expected one device, got {x.device} and {y.device}; move one side")


def _sums(grid: Tensor) -> list[list[Tensor]]:
    """S of every cell of a grid (..., H, W), row by row, each (...)."""
    cells = [row.unbind(-1) for row in grid.unbind(-2)]
    sums: list[list[Tensor]] = []
    for i, row in enumerate(cells):
        found: list[Tensor] = []
        for j, cell in enumerate(row):
            if i and j:
                cell = cell + torch.minimum(sums[i - 1][j], found[j - 1])
            elif i or j:
                cell = cell + (sums[i - 1][j] if i else found[j - 1])
            found.append(cell)
        sums.append(found)
    return sums


def _collapse(grid: Tensor, aligned: bool) -> Tensor:
    """Grid of stripes (..., H, H) -> distance (...)."""
    return shortest_path(grid) if aligned else grid.diagonal(dim1=-2, dim2=-1).sum(-1)


def _squashed(distance: Tensor) -> Tensor:
    return (distance / 2).tanh()


def _tiles(x: Tensor, y: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """What `stripe_distances` gives for square pieces that fit into fast memory, one by one.

    From a matrix product, so that there are no gradients. Images `rows` of `x` are compared with
    images `columns` of `y`: (rows, columns, grid (rows, columns, H, H)).
    """
    stripes, width = x.shape[1:]
    side = max(1, math.isqrt(TILE.get(x.device.type, CACHED)) // stripes)
    lengths = x.norm(dim=2).square_()  # (Q, H)
    for left in range(0, len(y), side):
        columns = slice(left, min(left + side, len(y)))
        # stripe by stripe, so that a cell of the grid is made of rows without gaps
        across = y[columns].transpose(0, 1).reshape(-1, width)  # (H * columns, D)
        own = across.norm(dim=1).square_()
        for top in range(0, len(x), side):
            rows = slice(top, min(top + side, len(x)))
            flat = _squares(x[rows].reshape(-1, width), across, lengths[rows].flatten(), own)
            grid = flat.sqrt_().mul_(0.5).tanh_()  # (rows * H, H * columns)
            grid = grid.view(rows.stop - top, stripes, stripes, columns.stop - left)
            yield rows, columns, grid.permute(0, 3, 1, 2)


def _squares(x: Tensor, y: Tensor, x_lengths: Tensor, y_lengths: Tensor) -> Tensor:
    """Squared distances (M, N) of rows, whose squared lengths are given.

    Where the product is too noisy, they are computed without it.
    """
    if x.device.type == "mps" or x.dtype == torch.float64:  # no float64 there, no wider one here
        return pairwise_distance(x, y).square_()
    with torch.autocast(x.device.type, enabled=False):
        squared = torch.addmm(x_lengths[:, None] + y_lengths, x, y.T, alpha=-2)
    limit = NEAR * (x_lengths.max() + y_lengths.max())
    if bool(squared.min() >= limit):
        return squared
    rows, columns = (squared < limit).nonzero(as_tuple=True)
    if len(rows) > FEW:
        return _wide_squares(x, y)
    squared[rows, columns] = (x[rows] - y[columns]).square().sum(1)
    return squared


def _wide_squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (M, N) float32, their product in float64."""
    x, y = x.double(), y.double()
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(lengths, x, y.T, alpha=-2).clamp_(min=0).float()
