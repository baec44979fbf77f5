"""The distances of a batch as a picture."""

import pytest
import torch
from matplotlib.collections import PathCollection

from reidlab.losses import hardest_pairs, pairwise_distance
from reidlab.plots import mined_batch

PIDS = torch.tensor([3, 3, 3, 8, 8, 5, 5, 5])


def batch():
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    return pairwise_distance(x, x)


def test_circles_and_crosses_are_the_pairs_that_batch_hard_takes():
    distance = batch()
    axes = mined_batch(distance, PIDS).axes[0]
    marks = [m.get_offsets() for m in axes.collections if isinstance(m, PathCollection)]
    rows = torch.arange(8)
    for places, expected in zip(marks, hardest_pairs(distance, PIDS), strict=True):
        x, y = torch.as_tensor(places.data).T - 0.5
        assert torch.equal(y.long(), rows)
        torch.testing.assert_close(distance[rows, x.long()], expected)


def test_crops_stand_on_both_sides():
    images = torch.zeros(8, 3, 32, 16, dtype=torch.uint8)
    with_crops, without = (mined_batch(batch(), PIDS, i, title="t") for i in (images, None))
    assert len(with_crops.axes[0].child_axes) == 2 * 8 and not without.axes[0].child_axes
    assert with_crops.get_suptitle() == "t" and len(with_crops.png()) > 10_000


@pytest.mark.parametrize(
    ("distance", "pids", "images", "message"),
    [
        (torch.zeros(3, 4), PIDS[:3], None, r"distances \(B, B\)"),
        (torch.zeros(0, 0), PIDS[:0], None, "two people or more, got no images"),
        (torch.zeros(8, 8), PIDS, torch.zeros(7, 3, 8, 4), "7 images"),
        (
            torch.zeros(8, 8),
            PIDS,
            torch.zeros(8, 3, 8, 4),
            r"uint8, .* got \(8, 3, 8, 4\) .*float32",
        ),
        (torch.zeros(8, 8), PIDS, torch.zeros(8, 8, 4, 3, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        (torch.zeros(8, 8), PIDS, torch.zeros(8, 3, 8, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        (torch.zeros(40, 40), torch.arange(40), None, "at most 32"),
        (torch.zeros(3, 3), torch.tensor([1, 2, 1]), None, "in a row"),
        (torch.zeros(2, 2), torch.tensor([1, 1]), None, "no negative"),
    ],
)
def test_what_cannot_be_shown_is_refused(distance, pids, images, message):
    with pytest.raises(ValueError, match=message):
        mined_batch(distance, pids, images)


def test_distances_of_half_precision_are_shown():
    axes = mined_batch(batch().to(torch.bfloat16), PIDS).axes[0]
    shown = torch.as_tensor(axes.collections[0].get_array()).reshape(8, 8)
    torch.testing.assert_close(shown, batch().to(torch.bfloat16).float())
