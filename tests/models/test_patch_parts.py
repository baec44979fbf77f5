"""Rows, columns and their mean, against loops over patches."""

import math

import pytest
import torch

from reidlab.models.patch_parts import POOLS, both_parts, mean_parts, row_parts, side_by_side

GRIDS = pytest.mark.parametrize("grid", [(14, 14), (8, 4), (3, 5), (4, 3), (2, 1), (1, 2)])


def numbers(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mean_of(tokens, patches):
    """The mean of some patches (row, column) of one image (h, w, D)."""
    return sum(tokens[i, j] for i, j in patches) / len(patches)


def rows(tokens):
    h, w, _ = tokens.shape
    return [mean_of(tokens, [(i, j) for j in range(w)]) for i in range(h)]


def columns(tokens):
    h, w, _ = tokens.shape
    return [mean_of(tokens, [(i, j) for i in range(h)]) for j in range(w)]


def stretches(tokens):
    """Adaptive means of the patches read down each column: part k is floor(kN/h) .. ceil."""
    h, w, _ = tokens.shape
    order = [(i, j) for j in range(w) for i in range(h)]
    ends = [(k * h * w // h, -(-(k + 1) * h * w // h)) for k in range(h)]
    return [mean_of(tokens, order[first:last]) for first, last in ends]


@GRIDS
def test_rows_and_columns_are_means_of_their_patches(grid):
    tokens = numbers((2, *grid, 3))
    for one, found, both in zip(tokens, row_parts(tokens), both_parts(tokens), strict=True):
        torch.testing.assert_close(found, torch.stack(rows(one)))
        torch.testing.assert_close(both, torch.stack(rows(one) + columns(one)))
    assert POOLS["both"](tokens).shape == (2, sum(grid), 3)


@GRIDS
def test_the_mean_joins_row_and_column_of_one_index(grid):
    tokens = numbers((2, *grid, 3))
    for one, found in zip(tokens, mean_parts(tokens), strict=True):
        pairs = zip(rows(one), stretches(one), strict=True)
        torch.testing.assert_close(found, torch.stack([(a + b) / 2 for a, b in pairs]))


def test_on_a_square_the_other_half_is_a_column_and_at_the_desk_half_a_column():
    square = numbers((1, 5, 5, 3))
    own = 2 * mean_parts(square) - row_parts(square)
    torch.testing.assert_close(own[0], torch.stack(columns(square[0])))
    desk = numbers((1, 8, 4, 3))
    own = 2 * mean_parts(desk) - row_parts(desk)
    torch.testing.assert_close(own[0, 5], desk[0, 4:, 2].mean(dim=0))
    assert own.shape == (1, 8, 3)


def test_parts_side_by_side_have_length_one_in_all_and_the_same_share_each():
    parts = [scale * numbers((3, 4), seed) for seed, scale in enumerate((1.0, 50.0, 0.01))]
    found = side_by_side(parts)
    assert found.shape == (3, 12)
    for i in range(3):
        for k, part in enumerate(parts):
            length = math.sqrt(sum(float(x) ** 2 for x in part[i]))
            own = found[i, 4 * k : 4 * k + 4]
            torch.testing.assert_close(own, part[i] / length / math.sqrt(3))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3, dtype=torch.float64))
