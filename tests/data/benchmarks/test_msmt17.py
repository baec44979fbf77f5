import pytest

from reidlab.data.benchmarks.facts import MSMT17
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people

IMAGES = {"MSMT17_V1": ("train", "test"), "MSMT17_V2": ("mask_train_v2", "mask_test_v2")}


def name(pid, shot, camid):
    return f"{pid:04d}/{pid:04d}_{shot:03d}_{camid:02d}_0303morning_0015_{shot}.jpg"


LISTS = {  # people count from 0 on both sides, as in the original
    "list_train.txt": [(p, name(p, s, c)) for p in (0, 1, 2) for s, c in ((0, 1), (1, 12))],
    "list_val.txt": [(p, name(p, 2, 15)) for p in (0, 1, 2)],
    "list_query.txt": [(p, name(p, 0, 1)) for p in (0, 1)],
    "list_gallery.txt": [(p, name(p, s, 3)) for p in (0, 1) for s in (1, 2)],
}


@pytest.fixture
def msmt(plant, monkeypatch):
    """A function that writes one version below a folder."""
    test = {"query": (2, 2), "gallery": (4, 2)}
    monkeypatch.setitem(MSMT17.counts, "with validation", {"train": (9, 3), **test})
    monkeypatch.setitem(MSMT17.counts, "without validation", {"train": (6, 3), **test})

    def write(below, version="MSMT17_V1"):
        for file, rows in LISTS.items():
            images = IMAGES[version][file in ("list_query.txt", "list_gallery.txt")]
            plant(below / version / images, (path for _, path in rows))
            text = "".join(f"{path} {pid}\n" for pid, path in rows)
            (below / version / file).write_text(text)
        return below / version

    return write


def test_the_lists_say_who_trains_and_who_is_searched(msmt, tmp_path, caplog):
    folder = msmt(tmp_path / "MSMT17")
    splits = read_dataset("msmt17", tmp_path)
    assert splits.name == "MSMT17 V1"
    assert [len(part) for part in (splits.train, splits.query, splits.gallery)] == [9, 2, 4]
    assert splits.cameras == [1, 3, 12, 15]
    assert splits.train[0].path == folder / "train" / name(0, 0, 1)
    assert splits.query[1].path == folder / "test" / name(1, 0, 1)
    assert not caplog.text


def test_people_of_test_and_training_are_different_ones_and_nobody_is_a_distractor(msmt, tmp_path):
    splits = read_dataset(msmt(tmp_path))
    assert people(splits.train) == {1, 2, 3}
    assert people(splits.query) == people(splits.gallery) == {4, 5}
    alone = read_dataset(tmp_path / "MSMT17_V1", with_validation=False)
    assert people(alone.query) == {4, 5}
    assert read_dataset(tmp_path / "MSMT17_V1", validation_ids=1).validation[0]


def test_the_val_list_can_be_left_out(msmt, tmp_path, caplog):
    msmt(tmp_path)
    splits = read_dataset("msmt17", tmp_path, with_validation=False)
    assert len(splits.train) == 6 and splits.cameras == [1, 3, 12]
    (tmp_path / "MSMT17_V1" / "list_val.txt").unlink()
    assert len(read_dataset("msmt17", tmp_path, with_validation=False).train) == 6
    assert not caplog.text
    with pytest.raises(ValueError, match="list_val.txt is missing"):
        read_dataset("msmt17", tmp_path)


@pytest.mark.parametrize("where", ["", "MSMT17", "MSMT17/MSMT17_V2", "MSMT17_V2"])
def test_version_two_is_recognised_wherever_it_lies(msmt, tmp_path, where):
    msmt(tmp_path / "MSMT17" if where.startswith("MSMT17/") or where == "MSMT17" else tmp_path,
         "MSMT17_V2")  # fmt: skip
    splits = read_dataset(tmp_path / where) if where else read_dataset("msmt17", tmp_path)
    assert splits.name == "MSMT17 V2"
    assert splits.train[0].path.parts[-3] == "mask_train_v2"


def test_of_two_versions_the_first_is_read_unless_asked(msmt, tmp_path):
    msmt(tmp_path), msmt(tmp_path, "MSMT17_V2")
    scan = scan_dataset("msmt17", tmp_path)
    assert scan.name == "MSMT17 V1" and "both versions" in scan.notes[0]
    assert scan_dataset("msmt17", tmp_path, variant="v2").name == "MSMT17 V2"
    assert scan_dataset("msmt17", tmp_path, variant="v1").notes == []
    for version in ("V1", "V2"):  # a path says which
        scan = scan_dataset(tmp_path / f"MSMT17_{version}")
        assert (scan.name, scan.notes) == (f"MSMT17 {version}", [])
    assert "both versions" in scan_dataset(tmp_path).notes[0]


def test_folders_in_other_capitals_are_found(msmt, tmp_path):
    folder = msmt(tmp_path, "MSMT17_V2")
    (folder / "mask_train_v2").rename(folder / "mask_train_V2")
    (folder / "mask_test_v2").rename(folder / "mask_test_V2")
    assert read_dataset("msmt17", tmp_path).train[0].path.exists()


def test_unknown_and_absent_versions_are_refused(msmt, tmp_path):
    msmt(tmp_path)
    with pytest.raises(ValueError, match="MSMT17 has no variant 'v3'; it understands: v1, v2"):
        read_dataset("msmt17", tmp_path, variant="v3")
    with pytest.raises(ValueError, match="expected MSMT17_V2 with mask_train_v2 and mask_test_v2"):
        read_dataset("msmt17", tmp_path, variant="v2")
    (tmp_path / "MSMT17_V1" / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="expected MSMT17_V1 with train and test or MSMT17_V2"):
        read_dataset("msmt17", tmp_path)


def test_a_missing_list_is_a_problem_and_the_rest_is_scanned(msmt, tmp_path):
    folder = msmt(tmp_path)
    (folder / "list_query.txt").unlink()
    scan = scan_dataset("msmt17", tmp_path)
    assert [problem for problem in scan.problems if "list_query.txt is missing" in problem]
    assert len(scan.parts["train"]) == 9 and scan.parts["query"] == []
    assert scan.folder == folder
    with pytest.raises(ValueError, match="list_query.txt is missing"):
        read_dataset(folder)


def test_listed_images_that_are_not_there_are_counted(msmt, tmp_path):
    folder = msmt(tmp_path)
    (folder / "test" / name(1, 1, 3)).unlink()
    with pytest.raises(ValueError, match=r"list_gallery.txt: 1 of 4 images .* \(line 3\)"):
        read_dataset(folder)


@pytest.mark.parametrize("path", ["0000/0000_01.jpg", "0000/0000_000_x1_.jpg", "0000.jpg"])
def test_a_name_without_a_camera_is_named(msmt, tmp_path, path):
    folder = msmt(tmp_path)
    with (folder / "list_train.txt").open("a") as file:
        file.write(f"{path} 0\n")
    with pytest.raises(ValueError, match=rf"list_train.txt, line 7: .*camera 1\), found '{path}'"):
        read_dataset(folder)


def test_other_counts_are_noted(msmt, tmp_path, monkeypatch):
    msmt(tmp_path)
    monkeypatch.setitem(MSMT17.counts, "with validation", {"train": (9, 4)})
    assert scan_dataset("msmt17", tmp_path).notes == [
        "MSMT17: train has 9 images of 3, expected 9 of 4 as published"
    ]
