"""The aligned distance against its definition, every path, and reference numbers."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reidlab.losses import (
    aligned_distance,
    aligned_pairs,
    alignment,
    alignment_path,
    shortest_path,
)


def stripes(count, height=4, width=6, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, height, width, generator=generator, dtype=dtype)
    return F.normalize(drawn, dim=2)


def cell(x, y):
    """Distance of two stripes, from the published formula, in Python numbers."""
    e = math.dist(x.tolist(), y.tolist())
    return (math.exp(e) - 1) / (math.exp(e) + 1)


def grid_of(x, y):
    return [[cell(a, b) for b in y] for a in x]


def monotone_paths(height, width):
    """Every path right and down from corner to corner, as a list of cells."""
    for downs in itertools.combinations(range(height + width - 2), height - 1):
        path = [(0, 0)]
        for step in range(height + width - 2):
            i, j = path[-1]
            path.append((i + 1, j) if step in downs else (i, j + 1))
        yield path


def by_definition(x, y):
    """The recursion, cell by cell, for one pair of images."""
    grid = grid_of(x, y)
    sums = {}
    for i in range(len(x)):
        for j in range(len(y)):
            before = [sums[p] for p in ((i - 1, j), (i, j - 1)) if p in sums]
            sums[i, j] = grid[i][j] + (min(before) if before else 0.0)
    return sums[len(x) - 1, len(y) - 1]


def reference_stripes(golden):
    x, y = golden.normal((6, 8, 128), "aligned_x"), golden.normal((9, 8, 128), "aligned_y")
    return x, y, golden.arrays("misc/alignedreid_distance")


@pytest.mark.parametrize("training", [False, True])
def test_distances_match_the_reference(golden, training):
    x, y, expected = reference_stripes(golden)
    unit = [F.normalize(side, dim=2).requires_grad_(training) for side in (x, y)]
    raw = [(0.1 * side).requires_grad_(training) for side in (x, y)]
    for name, found in (
        ("local_normalised", aligned_distance(*unit)),
        ("local_normalised_unaligned", aligned_distance(*unit, aligned=False)),
        ("local_scaled_raw", aligned_distance(*raw)),
    ):
        assert found.requires_grad == training
        torch.testing.assert_close(found.detach(), torch.tensor(expected[name]), rtol=0, atol=1e-5)


def test_shortest_paths_of_many_grids_match_the_reference(golden):
    grids = torch.tensor(golden.random("aligned_grid").random_sample((5, 7, 3)))
    expected = golden.arrays("misc/alignedreid_distance")["shortest_path_5x7x3"]
    found = shortest_path(grids.permute(2, 0, 1))  # (3, 5, 7)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert torch.equal(found, shortest_path(grids.permute(2, 1, 0)))  # lying on its side


@pytest.mark.parametrize("height", [1, 2, 3, 5])
def test_distances_follow_the_definition(height):
    x, y = 1.7 * stripes(3, height, seed=1), stripes(4, height, seed=2)
    expected = torch.tensor([[by_definition(a, b) for b in y] for a in x])
    for left in (x, x.clone().requires_grad_()):
        torch.testing.assert_close(aligned_distance(left, y).detach(), expected)
    straight = torch.tensor([[sum(map(cell, a, b)) for b in y] for a in x])
    for left in (x, x.clone().requires_grad_()):
        found = aligned_distance(left, y, aligned=False)
        torch.testing.assert_close(found.detach(), straight)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 1), (3, 3), (4, 4), (3, 5)])
def test_no_path_is_shorter(shape):
    grid = torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sums = [sum(float(grid[c]) for c in path) for path in monotone_paths(*shape)]
    assert float(shortest_path(grid)) == pytest.approx(min(sums), abs=1e-12)


def test_leading_axes_are_worked_on_together():
    grids = torch.rand(2, 3, 4, 5)
    expected = [[float(shortest_path(grids[a, b])) for b in range(3)] for a in range(2)]
    torch.testing.assert_close(shortest_path(grids), torch.tensor(expected))


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_one_of_the_shortest(seed):
    x, y = stripes(2, height=4, seed=seed)
    path = alignment_path(x, y)
    grid = grid_of(x, y)
    sums = {tuple(p): sum(grid[i][j] for i, j in p) for p in monotone_paths(4, 4)}
    assert sums[tuple(path)] == pytest.approx(min(sums.values()))
    found = aligned_distance(x[None], y[None])
    assert sums[tuple(path)] == pytest.approx(float(found), rel=1e-6)


def test_the_path_of_an_image_to_itself_keeps_to_the_diagonal():
    x = stripes(1, height=6)[0]
    path = alignment_path(x, x)
    assert {(i, i) for i in range(6)} <= set(path) and len(path) == 11
    # where both ways are equally short, it comes from the stripe of the first image above
    assert path[:3] == [(0, 0), (0, 1), (1, 1)] or path[:3] == [(0, 0), (1, 0), (1, 1)]
    same = torch.ones(3, 2)
    assert alignment_path(same, same) == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]


def test_the_path_follows_a_shift():
    body = torch.eye(6)
    x, y = body[:4], body[2:]  # the second box starts two stripes lower
    assert {(2, 0), (3, 1)} <= set(alignment_path(x, y))
    apart = aligned_distance(x[None], body[None, [4, 5, 4, 5]])
    assert float(aligned_distance(x[None], y[None])) < float(apart)


def test_distances_are_symmetric_and_reversible():
    x, y = stripes(5, seed=1), stripes(6, seed=2)
    forth, back = aligned_distance(x, y), aligned_distance(y, x)
    torch.testing.assert_close(forth, back.T)
    torch.testing.assert_close(forth, aligned_distance(x.flip(1), y.flip(1)))


def test_equal_stripes_are_at_distance_zero():
    x = stripes(40, 4, 512, seed=5)
    near = x + 1e-5 * torch.randn_like(x)
    for y in (x, near):  # the product of features alone would be off by 3e-4 a stripe
        found = aligned_distance(x, y, aligned=False)
        exact = torch.stack([d.norm(dim=1).div(2).tanh().sum() for d in x.double() - y.double()])
        torch.testing.assert_close(found.diagonal().double(), exact, rtol=0, atol=1e-6)
    all_alike = x[:1].expand(40, -1, -1)
    assert float(aligned_distance(all_alike, all_alike, aligned=False).abs().max()) < 1e-6
    with torch.no_grad():
        torch.testing.assert_close(
            aligned_distance(all_alike, near), aligned_distance(all_alike.double(), near.double()),
            rtol=0, atol=1e-5, check_dtype=False,
        )  # fmt: skip


@pytest.mark.parametrize("few", [0, 10**9])
def test_near_pairs_are_exact_one_by_one_and_all_at_once(monkeypatch, few):
    monkeypatch.setattr(alignment, "FEW", few)
    x = stripes(20, 4, 256, seed=6)
    y = torch.cat([x[:10] + 1e-4 * torch.randn(10, 4, 256), stripes(7, 4, 256, seed=7)])
    exact = aligned_distance(x.double(), y.double())
    torch.testing.assert_close(aligned_distance(x, y).double(), exact, rtol=0, atol=2e-6)


def test_large_distances_do_not_overflow():
    x, y = 1e4 * stripes(2, seed=1), 1e4 * stripes(3, seed=2)
    torch.testing.assert_close(aligned_distance(x, y), torch.full((2, 3), 7.0))


def test_tiles_make_no_difference(monkeypatch):
    x, y = stripes(23, 4, seed=1), stripes(17, 4, seed=2)
    sizes = []
    collapse = alignment._collapse

    def watched(grid, aligned):
        sizes.append(tuple(grid.shape[:2]))
        return collapse(grid, aligned)

    monkeypatch.setattr(alignment, "_collapse", watched)
    whole = aligned_distance(x, y)
    monkeypatch.setattr(alignment, "CACHED", 20 * 20)  # tiles of 5 images
    torch.testing.assert_close(aligned_distance(x, y), whole, rtol=0, atol=1e-6)
    assert sizes[0] == (23, 17) and len(sizes) == 1 + 5 * 4 and max(sizes[1:]) == (5, 5)
    monkeypatch.setattr(alignment, "CACHED", 1)  # fewer than one image still makes progress
    torch.testing.assert_close(aligned_distance(x, y), whole, rtol=0, atol=1e-6)


def test_no_images_give_no_distances():
    assert aligned_distance(stripes(0), stripes(3)).shape == (0, 3)
    assert aligned_distance(stripes(2), stripes(0)).shape == (2, 0)


def test_half_precision_is_computed_in_single():
    x, y = stripes(3, seed=1).half(), stripes(4, seed=2).half()
    found = aligned_distance(x, y)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, aligned_distance(x.float(), y.float()))
    assert aligned_distance(x.double(), y.double()).dtype == torch.float64


@pytest.mark.parametrize("aligned", [True, False])
def test_gradients_are_those_of_the_formula(aligned):
    x, y = (stripes(2, 3, 4, seed, torch.float64).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(lambda a, b: aligned_distance(a, b, aligned=aligned), (x, y))
    assert torch.autograd.gradcheck(lambda a, b: aligned_pairs(a, b, aligned=aligned), (x, y))


def test_equal_stripes_have_finite_gradients():
    x = stripes(3).requires_grad_()
    aligned_distance(x, x).sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("aligned", [True, False])
def test_pairs_are_the_diagonal_of_all_distances(aligned):
    x, y = stripes(5, seed=1), stripes(5, seed=2)
    expected = aligned_distance(x, y, aligned=aligned).diagonal()
    torch.testing.assert_close(aligned_pairs(x, y, aligned=aligned), expected)


def test_what_cannot_be_compared_is_refused():
    x = stripes(2)
    for y, words in (
        (x[0], "stripes \\(images, H, D\\) on both sides, got \\(2, 4, 6\\) and \\(4, 6\\)"),
        (x[:, :3], "as many stripes of the same width"),
        (x[:, :, :5], "as many stripes of the same width"),
        (x.double(), "one kind, got torch.float32 and torch.float64"),
        (x.long(), "floating point"),
        (x.to("meta"), "one device, got cpu and meta"),
    ):
        with pytest.raises(ValueError, match=words):
            aligned_distance(x, y)
    with pytest.raises(ValueError, match="stripes \\(images, H, D\\)"):
        aligned_distance(x[:, :0], x[:, :0])
    with pytest.raises(ValueError, match="one image of y per image of x, got 3 and 2"):
        aligned_pairs(x, stripes(3))
    with pytest.raises(ValueError, match="two images \\(H, D\\)"):
        alignment_path(x, x)
    with pytest.raises(ValueError, match="grid \\(..., H, W\\) with cells, got \\(3, 0\\)"):
        shortest_path(torch.zeros(3, 0))
