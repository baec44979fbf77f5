import pytest

from reidlab.data.benchmarks.facts import VERI
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people, views_of

SMALL = {"train": (4, 2), "query": (2, 2), "gallery": (4, 2)}


@pytest.fixture
def veri(plant, tmp_path, monkeypatch):
    monkeypatch.setitem(VERI.counts, "", SMALL)
    folder = tmp_path / "VeRi"
    plant(folder / "image_train", (f"{p:04d}_c0{c}_0001_0.jpg" for p in (1, 2) for c in (10, 20)))
    plant(folder / "image_query", (f"{p:04d}_c002_0002_0.jpg" for p in (5, 6)))
    plant(folder / "image_test", (f"{p:04d}_c00{c}_0003_0.jpg" for p in (5, 6) for c in (2, 3)))
    return folder


def write_views(folder):
    lines = [f"image_train/{path.name} 12 -1 40 7" for path in (folder / "image_train").iterdir()]
    (folder / "keypoint_train.txt").write_text("\n".join(lines) + "\n")
    lines = [
        f"/x/image_test/{p.name} 5 {i}" for i, p in enumerate((folder / "image_query").iterdir())
    ]
    (folder / "keypoint_test.txt").write_text("\n".join(lines))


def test_cameras_have_three_digits_and_views_are_unknown_without_key_points(veri, caplog):
    splits = read_dataset("veri776", veri.parent)
    assert splits.name == "VeRi-776" == read_dataset(veri).name
    assert splits.cameras == [2, 3, 10, 20]
    assert people(splits.query) == people(splits.gallery) == {5, 6}
    assert splits.views == views_of(splits.train) == []
    assert not caplog.text


def test_views_come_from_the_last_number_of_each_line(veri, caplog):
    write_views(veri)
    splits = read_dataset(veri)
    assert {sample.viewid for sample in splits.train} == {7}
    assert {sample.viewid for sample in splits.query} == {0, 1}
    assert {sample.viewid for sample in splits.gallery} == {None}
    assert splits.views == [0, 1, 7] == views_of(splits.gallery[:1])
    assert "4 of 10 images are not in keypoint_train.txt or keypoint_test.txt" in caplog.text


@pytest.mark.parametrize("line", ["image.jpg", "image.jpg 1 2 x", "image.jpg 1 -1"])
def test_a_bad_line_of_key_points_is_a_problem(veri, line):
    write_views(veri)
    (veri / "keypoint_test.txt").write_text(f"a.jpg 1 2 3\n\n{line}\n")
    with pytest.raises(ValueError, match="keypoint_test.txt, line 3: .* key points and its view"):
        read_dataset(veri)


def test_key_points_that_cannot_be_read_are_a_problem(veri):
    (veri / "keypoint_test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="keypoint_test.txt is not UTF-8"):
        read_dataset(veri)


def test_a_missing_folder_is_named(veri):
    (veri / "image_query").rename(veri / "queries")
    with pytest.raises(ValueError, match="image_query is missing; unpack the dataset again"):
        read_dataset("veri776", veri.parent)


def test_other_counts_are_noted_for_the_benchmark_only(veri):
    (veri / "image_query" / "0005_c002_0002_0.jpg").unlink()
    assert scan_dataset(veri).notes == [
        "VeRi-776: query has 1 images of 1, expected 2 of 2 as published"
    ]
    own = veri.rename(veri.parent / "own")
    assert scan_dataset(own).notes == [] and scan_dataset(own).name == "own"


def test_training_vehicles_can_be_held_out(veri, plant):
    plant(veri / "image_train", (f"0003_c00{c}_1_0.jpg" for c in (1, 2)))
    splits = read_dataset(veri, validation_ids=1)
    assert len(people(splits.train)) == 2 and len(people(splits.validation[0])) == 1


def test_views_belong_to_the_fingerprint(veri):
    before = read_dataset(veri).fingerprint
    write_views(veri)
    assert read_dataset(veri).fingerprint != before


def test_a_line_that_was_cut_is_no_view(veri):
    (veri / "keypoint_train.txt").write_text("image_train/a.jpg -1 -1 143 57\n")
    with pytest.raises(ValueError, match="line 1: expected an image, its key points and its view"):
        read_dataset(veri)
