import pytest

from reidlab.data.benchmarks.facts import VEHICLEID
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people


@pytest.fixture
def vehicles(plant, tmp_path, monkeypatch):
    """Vehicles 1 to 3 train; 11 to 13, of four images each, are the test of 800."""
    counts = {"train": (6, 3), "query": (9, 3), "gallery": (3, 3)}
    monkeypatch.setitem(VEHICLEID.counts, "800", counts)
    folder = tmp_path / "VehicleID_V1.0"
    (folder / "train_test_split").mkdir(parents=True)
    rows = {"train_list.txt": [(f"{i:07d}", 1 + i // 2) for i in range(6)]}
    for size, last in ((800, 13), (1600, 14), (2400, 15)):
        test = [(f"{100 * pid + i:07d}", pid) for pid in range(11, last + 1) for i in range(4)]
        rows[f"test_list_{size}.txt"] = test
    for name, lines in rows.items():
        text = "".join(f"{image} {pid}\n" for image, pid in lines)
        (folder / "train_test_split" / name).write_text(text)
        plant(folder / "image", (f"{image}.jpg" for image, _ in lines))
    return folder


def test_one_image_per_vehicle_is_searched_and_the_others_ask(vehicles, caplog):
    splits = read_dataset("vehicleid", vehicles.parent)
    assert splits.name == "VehicleID (800)" == read_dataset(vehicles).name
    assert len(splits.gallery) == 3 and len(splits.query) == 9 and len(splits.train) == 6
    assert people(splits.gallery) == people(splits.query) == {11, 12, 13}
    assert not {s.path for s in splits.gallery} & {s.path for s in splits.query}
    assert splits.train[0].path == vehicles / "image" / "0000000.jpg"
    assert not caplog.text


def test_the_market_protocol_removes_no_match(vehicles):
    splits = read_dataset(vehicles)
    assert {s.camid for s in splits.query} == {s.camid for s in splits.train} == {0}
    assert {s.camid for s in splits.gallery} == {1}


def test_the_draw_depends_on_the_seed_only(vehicles):
    def drawn(seed):
        return tuple(s.path.name for s in read_dataset(vehicles, seed=seed).gallery)

    assert drawn(0) == drawn(0)
    assert len({drawn(seed) for seed in range(6)}) > 1


@pytest.mark.parametrize(("variant", "count"), [(800, 3), (1600, 4), ("2400", 5)])
def test_the_test_has_three_sizes(vehicles, variant, count):
    splits = read_dataset(vehicles, variant=variant)
    assert len(splits.gallery) == count and splits.name == f"VehicleID ({variant})"


def test_another_size_is_refused(vehicles):
    with pytest.raises(ValueError, match="no variant 900; it understands: 800, 1600, 2400"):
        read_dataset(vehicles, variant=900)


def test_training_vehicles_can_be_held_out(vehicles, plant):
    splits = read_dataset(vehicles, validation_ids=1)
    query, gallery = splits.validation
    assert [s.camid for s in query] == [0] and [s.camid for s in gallery] == [1]
    assert people(query) == people(gallery) and len(people(splits.train)) == 2


def test_vehicles_that_count_from_0_are_no_distractors(vehicles):
    path = vehicles / "train_test_split" / "train_list.txt"
    path.write_text(path.read_text() + "0000000 0\n")
    splits = read_dataset(vehicles)
    assert people(splits.train) == {1, 2, 3, 4} and people(splits.query) == {12, 13, 14}


def test_missing_lists_and_images_are_named(vehicles):
    (vehicles / "image" / "0001100.jpg").unlink()
    with pytest.raises(ValueError, match=r"test_list_800.txt: 1 of 12 .*0001100.jpg \(line 1\)"):
        read_dataset(vehicles)
    (vehicles / "train_test_split" / "test_list_800.txt").unlink()
    with pytest.raises(ValueError, match="test_list_800.txt is missing"):
        read_dataset(vehicles)


def test_a_test_without_queries_is_a_problem(vehicles):
    path = vehicles / "train_test_split" / "test_list_800.txt"
    path.write_text("0001100 11\n0001200 12\n")
    with pytest.raises(ValueError, match="one image per vehicle; nothing is left to ask with"):
        read_dataset(vehicles)


def test_other_counts_are_noted(vehicles, monkeypatch):
    monkeypatch.setitem(VEHICLEID.counts, "800", {"query": (10, 3)})
    assert scan_dataset(vehicles).notes == [
        "VehicleID: query has 9 images of 3, expected 10 of 3 as published"
    ]
