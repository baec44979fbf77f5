import pytest

from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people


@pytest.fixture
def album(plant, tmp_path):
    names = ("zoë", "adam", "Bo b", "明")
    return plant(tmp_path / "album", (f"{name}/{shot}.jpg" for name in names for shot in (1, 2, 3)))


def test_a_folder_per_person_trains_people_numbered_in_sorted_order(album, caplog):
    splits = read_dataset(album)
    assert splits.name == "album"
    found = {s.path.parent.name: s.pid for s in splits.train}
    assert found == {"Bo b": 1, "adam": 2, "zoë": 3, "明": 4}
    assert splits.cameras == [0] and len(splits.train) == 12
    assert splits.query == splits.gallery == []
    assert "nobody to search for; test_ids=N (--test-ids N) holds people out" in caplog.text


def test_people_are_held_out_for_test_and_validation(album, caplog):
    splits = read_dataset(album, test_ids=1, validation_ids=1, seed=3)
    query, gallery = splits.validation
    assert [len(part) for part in (splits.train, splits.query, splits.gallery)] == [6, 1, 2]
    assert (len(query), len(gallery)) == (1, 2)
    assert people(splits.query) == people(splits.gallery)
    assert not people(splits.query) & people(query)
    assert {s.camid for s in (*splits.train, *splits.query, *query)} == {0}
    assert {s.camid for s in (*splits.gallery, *gallery)} == {1}
    assert not caplog.text
    assert {frozenset(people(read_dataset(album, test_ids=1, seed=s).query)) for s in range(9)} > {
        frozenset(people(splits.query))
    }


def test_numbers_are_kept_and_names_come_after_them(plant, tmp_path):
    plant(tmp_path, ["12/1.jpg", "0007/1.jpg", "ann/1.jpg", "-1/1.jpg", "0/1.jpg", "²/1.jpg"])
    splits = read_dataset(tmp_path)
    found = {s.path.parent.name: s.pid for s in splits.train}
    assert found == {"12": 12, "0007": 7, "ann": 13, "²": 14}
    assert "2 images of person 0 or -1" in scan_dataset(tmp_path).notes[0]


def test_two_folders_of_one_number_are_a_problem(plant, tmp_path):
    plant(tmp_path, ["7/1.jpg", "007/1.jpg", "8/1.jpg"])
    with pytest.raises(ValueError, match="the folders 007 and 7 are the same number; rename one"):
        read_dataset(tmp_path)


def test_cameras_are_read_where_every_name_has_one(plant, tmp_path):
    plant(
        tmp_path,
        [f"{pid}/x_c{camid}s1_{i}.jpg" for pid in "1234" for camid in (3, 5) for i in (1, 2)],
    )
    splits = read_dataset(tmp_path, test_ids=2)
    assert splits.cameras == [3, 5]
    assert len(splits.query) == 4  # one per person and camera
    plant(tmp_path, ["1/other.jpg"])
    assert read_dataset(tmp_path).cameras == [0]


def test_empty_folders_and_loose_images_are_noted(plant, album):
    plant(album, ["loose.jpg", "nested/deeper/1.jpg"])
    (album / ".hidden").mkdir()
    notes = scan_dataset(album).notes
    assert "1 of 5 folders hold no images directly, for instance nested" in notes[0]
    assert "1 images lie beside the folders, for instance loose.jpg" in notes[1]
    assert len(notes) == 2


def test_links_to_people_are_followed(plant, album, tmp_path):
    plant(tmp_path / "elsewhere", ["1.jpg"])
    (album / "linked").symlink_to(tmp_path / "elsewhere")
    assert len(people(read_dataset(album).train)) == 5


def test_one_person_is_not_enough_to_train(plant, tmp_path):
    plant(tmp_path, ["a/1.jpg", "0/1.jpg"])
    with pytest.raises(ValueError, match="shows 1 person in 1 images; training needs two"):
        read_dataset(tmp_path)


def test_a_folder_with_nothing_in_it_is_named_when_forced(tmp_path):
    with pytest.raises(ValueError, match="holds no folders with images, one per person"):
        read_dataset(tmp_path, layout="persons")


@pytest.mark.parametrize("name", ["train", "query", "images", "image_test"])
def test_folders_named_like_parts_are_no_people(plant, tmp_path, name):
    plant(tmp_path, ["a/1.jpg", f"{name}/1.jpg"])
    with pytest.raises(ValueError, match="expected bounding_box_train"):
        read_dataset(tmp_path)


@pytest.fixture
def prepared(plant, tmp_path):
    """As the preparation of a well-known tutorial leaves Market-1501 behind."""
    top = tmp_path / "Market" / "pytorch"

    def images(folder, pids, shots):
        plant(top / folder, (f"{p}/{p}_c{c}s1_{s}.jpg" for p in pids for c, s in shots))

    images("train_all", ("0002", "0007"), [(1, 1), (1, 2), (3, 3)])
    images("train", ("0002", "0007"), [(1, 2), (3, 3)])
    images("val", ("0002", "0007"), [(1, 1)])
    images("query", ("0001",), [(1, 1)])
    images("gallery", ("0001", "0000", "-1"), [(1, 2), (2, 1)])
    images("multi-query", ("0001",), [(1, 1)])
    return top


def test_prepared_folders_of_people_are_read_by_either_path(prepared):
    for path in (prepared, prepared.parent):
        splits = read_dataset(path)
        assert splits.name == "Market"
        assert (len(splits.train), len(splits.query), len(splits.gallery)) == (6, 1, 6)
        assert {s.pid for s in splits.gallery} == {-1, 0, 1}
        assert people(splits.train) == {2, 7} and splits.cameras == [1, 2, 3]
    assert scan_dataset(prepared).notes == []  # val and multi-query belong to the layout


def test_without_train_all_the_folder_train_is_read(prepared):
    (prepared / "train_all").rename(prepared / "other")
    assert len(read_dataset(prepared).train) == 4


def test_without_cameras_the_gallery_is_another_one(plant, tmp_path):
    for part, people_, shots in (
        ("train", "ab", "12"),
        ("query", "cd", "1"),
        ("gallery", "cd", "23"),
    ):
        plant(tmp_path / part, (f"{person}/{shot}.jpg" for person in people_ for shot in shots))
    splits = read_dataset(tmp_path)
    assert {s.camid for s in (*splits.train, *splits.query)} == {0}
    assert {s.camid for s in splits.gallery} == {1}
    assert people(splits.query) == people(splits.gallery) == {3, 4}
    with pytest.raises(ValueError, match="no option test_ids"):
        read_dataset(tmp_path, test_ids=1)


def test_the_market_folders_are_preferred_to_what_was_prepared_from_them(prepared, plant_market):
    plant_market(prepared.parent, lambda p, c, s: f"{p}_c{c}_{s}.jpg")
    assert people(read_dataset(prepared.parent).train) == {1, 2, 3}


def test_numbers_at_the_end_of_names_are_kept_when_they_tell_people_apart(plant, tmp_path):
    plant(tmp_path / "a", ["visitor 28/1.jpg", "visitor 3/1.jpg", "ann 114/1.jpg"])
    assert {s.path.parent.name: s.pid for s in read_dataset(tmp_path / "a").train} == {
        "visitor 28": 28, "visitor 3": 3, "ann 114": 114,
    }  # fmt: skip
    for i, names in enumerate((("x 3", "y 3"), ("x 3", "ann"), ("x 0", "y 1"), ("x 7", "7"))):
        plant(tmp_path / str(i), [f"{name}/1.jpg" for name in names])
        numbered = {s.pid for s in read_dataset(tmp_path / str(i)).train}
        assert numbered in ({1, 2}, {7, 8})


def test_one_name_without_a_camera_is_mentioned(plant, tmp_path):
    plant(tmp_path, ["1/c1_a.jpg", "1/x_c2_a.jpg", "2/c2_a.jpg", "2/stray.jpg"])
    scan = scan_dataset(tmp_path)
    assert "1 of 4 file names do not say the camera (_cN), for instance stray.jpg" in scan.notes[0]
    assert {s.camid for s in scan.parts["train"]} == {0}
    (tmp_path / "2" / "stray.jpg").unlink()
    assert scan_dataset(tmp_path).notes == []
    assert {s.camid for s in read_dataset(tmp_path).train} == {1, 2}
