from __future__ import annotations

import re
from pathlib import Path

import pytest

from reidlab.data.annotation import annotate
from reidlab.data.attributes import COLUMNS, AttributeTable, read_attributes, write_csv, write_mat
from reidlab.data.samples import Sample, Samples
from reidlab.data.targets import targets_of


def plain(**changes: int) -> dict[str, int]:
    return dict.fromkeys(COLUMNS, 1) | changes


def images(*pids: int) -> list[Sample]:
    return [Sample(Path(f"{pid:04d}_c1_{i}.jpg"), pid, 1) for i, pid in enumerate(pids)]


TABLE = AttributeTable({7: plain(hat=2), 2: plain(age=4), 5: plain(upred=2)}, "people.csv")


def test_every_image_gets_the_labels_of_its_person():
    samples = images(5, 2, 7, 5)
    found = annotate(samples, TABLE)
    assert [s.path for s in found] == [s.path for s in samples]
    assert [s.attributes for s in found] == [TABLE[5], TABLE[2], TABLE[7], TABLE[5]]
    assert all(s.attributes is None for s in samples)
    assert targets_of(found)["age"].tolist() == [0, 3, 0, 0]


def test_cameras_views_and_name_are_kept():
    samples = Samples(images(5, 2, 7), [1, 4, 6], "market", [3])
    found = annotate(samples, TABLE)
    assert isinstance(found, Samples)
    assert (found.cameras, found.views, found.source) == ([1, 4, 6], [3], "market")
    assert annotate(list(samples), TABLE).source == ""


def test_distractors_and_junk_need_no_row():
    found = annotate(images(0, 5, -1, 2, 7, 0), TABLE)
    assert [s.pid for s in found] == [0, 5, -1, 2, 7, 0]
    assert [s.attributes is None for s in found] == [True, False, True, False, False, True]


def test_labels_are_replaced_and_not_shared_with_the_table():
    old = [Sample(Path("a.jpg"), 5, 1, attributes=plain(hat=2)), *images(2, 7)]
    rows = {pid: dict(TABLE[pid]) for pid in TABLE}
    found = annotate(old, rows)
    rows[5]["hat"] = 2
    assert found[0].attributes == TABLE[5]
    assert annotate(old, TABLE)[0].attributes is not TABLE[5]


def test_a_plain_mapping_is_checked():
    with pytest.raises(ValueError, match="person 3: column hat is 9"):
        annotate(images(3), {3: plain(hat=9)})


def test_an_image_of_somebody_without_a_row_is_named():
    samples = images(5, 2, 7, 31, 30, 31, 32, 33, 34, 35)
    with pytest.raises(
        ValueError,
        match=r"^0031_c1_3\.jpg: person 31 is not among the 3 people of "
        r"people\.csv\. 6 people \(30, 31, 32, 33, 34, \.\.\.\) with 7 images",
    ):
        annotate(samples, TABLE)
    with pytest.raises(ValueError, match=r"the table\. 1 person \(31\) with 1 images"):
        annotate(images(31), AttributeTable({}))


def test_images_without_a_row_are_left_out_when_asked():
    found = annotate(images(5, 31, 0, 2, 7), TABLE, missing="skip")
    assert [s.pid for s in found] == [5, 0, 2, 7]


def test_somebody_without_an_image_is_named_by_row_and_column_of_a_csv(tmp_path):
    write_csv(tmp_path / "a.csv", TABLE)
    table = read_attributes(tmp_path / "a.csv")
    expected = f"{tmp_path / 'a.csv'}, row 3, column id: person 5 is in none of the images. "
    with pytest.raises(ValueError, match=re.escape(expected) + r"2 people \(5, 7\) have a row"):
        annotate(images(2), table)
    assert len(annotate(images(2), table, unused="ignore")) == 1


def test_somebody_without_an_image_is_named_by_struct_and_row_of_a_mat_file(tmp_path):
    write_mat(tmp_path / "a.mat", {1: plain(), 4: plain()}, {2: plain(), 3: plain()})
    table = read_attributes(tmp_path / "a.mat")
    expected = r"a\.mat, test, row 2, column image_index: person 3 is in none"
    with pytest.raises(ValueError, match=expected):
        annotate(images(1, 4, 2), table)


def test_somebody_without_an_image_is_named_in_a_table_made_in_memory():
    with pytest.raises(ValueError, match=r"^people\.csv, person 2: person 2 is in none"):
        annotate(images(5, 7), TABLE)


def test_junk_is_no_image_of_a_person():
    with pytest.raises(ValueError, match="person 2 is in none of the images"):
        annotate(images(-1, 0), AttributeTable({2: plain()}))


def test_nobody_and_nothing_give_nothing():
    assert annotate([], AttributeTable({})) == []


@pytest.mark.parametrize(("name", "value"), [("unused", "skip"), ("missing", "ignore")])
def test_other_choices_are_refused(name, value):
    with pytest.raises(ValueError, match=f"unknown {name} {value!r}; expected one of: raise, "):
        annotate([], TABLE, **{name: value})
