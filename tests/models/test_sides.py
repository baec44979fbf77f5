"""Rows of the table of side information, against the formula and for cameras nobody taught."""

import pytest
import torch

from reidlab.models.sides import SideTable


def table(rows, width=3):
    return torch.arange(rows * width, dtype=torch.float32).view(rows, 1, width)


def ids(*values):
    return torch.tensor(values)


def test_a_row_is_camera_times_views_plus_view():
    both = SideTable(3, 2)
    assert len(both) == 6
    rows = both.rows(table(6), 4, ids(0, 2, 1, 2), ids(0, 1, 1, 0))
    assert rows.tolist() == [0 * 2 + 0, 2 * 2 + 1, 1 * 2 + 1, 2 * 2 + 0]


def test_one_kind_of_label_is_enough_and_the_other_is_ignored():
    assert len(SideTable(3)) == 3 and len(SideTable(0, 4)) == 4 and len(SideTable(1)) == 1
    assert SideTable(3).rows(table(3), 2, ids(2, 0), ids(9, 9)).tolist() == [2, 0]
    assert SideTable(0, 4).rows(table(4), 2, ids(9, 9), ids(3, 1)).tolist() == [3, 1]
    assert SideTable(1).rows(table(1), 2, ids(0, 0), None).tolist() == [0, 0]


def test_an_unknown_camera_is_refused_with_those_that_are_known():
    sides = SideTable(4, untrained=(1,))
    for camera in (1, 4, -1):
        with pytest.raises(ValueError, match=rf"camera {camera} \(zero-based\); it has 0, 2, 3\."):
            sides.rows(table(4), 2, ids(0, camera), None)
    with pytest.raises(ValueError, match=r"view 2 \(zero-based\); it has 0, 1\."):
        SideTable(2, 2, untrained=(1,)).rows(table(4), 1, ids(0), ids(2))


def test_missing_labels_are_refused():
    with pytest.raises(ValueError, match="needs camids .zero-based, below 4.; unseen='mean'"):
        SideTable(4).rows(table(4), 2, None, None)
    with pytest.raises(ValueError, match="needs viewids .zero-based, below 2"):
        SideTable(4, 2).rows(table(8), 2, ids(0, 1), None)


def test_an_unknown_camera_gets_the_mean_of_the_trained_rows_or_nothing():
    own, rows = table(4), ids(0, 1, 7, -3)
    mean = SideTable(4, untrained=(1,), unseen="mean").rows(own, 4, rows, None)
    expected = (own[0, 0] + own[2, 0] + own[3, 0]) / 3
    torch.testing.assert_close(mean, torch.stack([own[0, 0], *[expected] * 3]))
    none = SideTable(4, untrained=(1,), unseen="none").rows(own, 4, rows, None)
    torch.testing.assert_close(none, torch.stack([own[0, 0], *[torch.zeros(3)] * 3]))


def test_the_rows_of_an_untrained_camera_are_left_out_of_the_mean_for_all_views():
    own = table(6)
    sides = SideTable(3, 2, untrained=(1,), unseen="mean")
    found = sides.rows(own, 3, ids(2, 1, 2), ids(1, 1, 5))
    mean = own[[0, 1, 4, 5], 0].mean(0)
    torch.testing.assert_close(found, torch.stack([own[5, 0], mean, mean]))


def test_without_labels_all_count_as_unknown():
    own = table(4)
    found = SideTable(4, unseen="mean").rows(own, 2, None, None)
    torch.testing.assert_close(found, own[:, 0].mean(0).expand(2, 3))


@pytest.mark.parametrize("unseen", ["mean", "none"])
def test_for_strangers_every_label_counts_as_unknown(unseen):
    sides = SideTable(3, 2, untrained=(2,)).for_strangers(unseen)
    own = table(6)
    expected = own[:4, 0].mean(0) if unseen == "mean" else torch.zeros(3)
    found = sides.rows(own, 2, ids(0, 1), ids(0, 0))
    torch.testing.assert_close(found, expected.expand(2, 3))
    assert len(sides) == 6 and sides.untrained == (2,)
    with pytest.raises(ValueError, match="unseen must be one of mean, none, got 'error'"):
        sides.for_strangers("error")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected cameras, views or both, got 0 and 0"),
        ({"cameras": -1, "views": 2}, "got -1 and 2"),
        ({"cameras": 3, "unseen": "zero"}, "unseen must be one of error, mean, none, got 'zero'"),
        ({"cameras": 3, "untrained": (3,)}, r"untrained cameras lie in 0 to 2, got \[3\]"),
        ({"cameras": 2, "untrained": (0, 1, 1)}, "at least one of the 2 cameras must be trained"),
    ],
)
def test_impossible_tables_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SideTable(**arguments)
