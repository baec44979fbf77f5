from __future__ import annotations

import numpy as np
import pytest

from reidlab.data.synthetic import sheets
from reidlab.data.synthetic.plan import SyntheticOptions, make_plan


@pytest.fixture(scope="module")
def plan():
    options = SyntheticOptions(
        ids=2, validation_ids=0, test_ids=20, images_per_id=4, cameras=3, size=(64, 32),
        difficulty="smoke", distractors=30, junk=4,
    )  # fmt: skip
    return make_plan(options)


def test_look_alikes_wear_the_same_and_are_different_people(plan):
    pairs = sheets.twin_pairs(plan, "test")
    assert pairs
    for a, b in pairs:
        assert plan.people[a] != plan.people[b]
        assert plan.people[a].upper.rgb == plan.people[b].upper.rgb
        assert plan.people[a].lower.rgb == plan.people[b].lower.rgb
    rows = sheets.look_alikes(plan, pairs=2)
    assert len(rows) == 4
    assert all({str(image.pid) for image in row} == {label} for label, row in rows)


def test_a_row_per_camera_shows_each_person_once(plan):
    rows = sheets.people_by_camera(plan)
    assert [label for label, _ in rows] == ["cam 1", "cam 2", "cam 3"]
    for camid, (_, row) in enumerate(rows, start=1):
        assert {image.camid for image in row if image} == {camid}
        pids = [image.pid for image in row if image]
        assert pids == sorted(set(pids))
    assert all(any(row[k] for _, row in rows) for k in range(12))


def test_distractors_and_junk_are_shown_apart(plan):
    rows = sheets.distractors_and_junk(plan)
    assert [label for label, _ in rows] == ["0000", "0000", "-1"]
    for label, row in rows:
        assert {image.pid for image in row} == {int(label)}


def test_a_sheet_holds_the_crops_in_their_places(plan):
    first, second = plan.images[:2]
    sheet = np.asarray(sheets.draw_sheet(plan, [("a", [first, None]), ("b", [second, first])]))
    step_x, step_y = 32 + sheets.GAP, 64 + sheets.GAP
    assert sheet.shape == (2 * step_y, sheets.MARGIN + 2 * step_x, 3)

    def crop(row, column):
        top, left = row * step_y, sheets.MARGIN + column * step_x
        return sheet[top : top + 64, left : left + 32]

    assert (crop(0, 1) == 255).all()
    assert crop(0, 0).std() > 5
    assert np.array_equal(crop(0, 0), crop(1, 1))
    assert not np.array_equal(crop(0, 0), crop(1, 0))
