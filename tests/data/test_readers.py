from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from reidlab.data.readers import read_dataset
from reidlab.data.samples import people


def empty(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def test_market_folders_are_read_in_sorted_order(market_folder):
    splits = read_dataset(market_folder)
    assert splits.name == "market"
    assert splits.cameras == [1, 2, 3]
    assert [len(part) for part in (splits.train, splits.query, splits.gallery)] == [24, 12, 24]
    assert people(splits.train) == {1, 2, 3, 4}
    assert people(splits.query) == people(splits.gallery) == {100, 101, 102, 103}
    first = splits.train[0]
    assert (first.path.name, first.pid, first.camid) == ("0001_c1s1_000010_00.jpg", 1, 1)
    assert first.path.is_absolute()
    names = [sample.path.name for sample in splits.train]
    assert names == sorted(names)
    assert splits.validation == ([], [])
    assert first.attributes is None and first.caption is None


def test_a_relative_path_is_read(market_folder, monkeypatch):
    monkeypatch.chdir(market_folder.parent)
    assert read_dataset("market").fingerprint == read_dataset(market_folder).fingerprint


def test_junk_and_distractors_stay_in_the_gallery_only(market_folder):
    for folder in ("bounding_box_train", "bounding_box_test", "query"):
        for name in ("-1_c1s1_000001_00.jpg", "0000_c2s1_000001_00.jpg"):
            Image.new("RGB", (32, 64)).save(market_folder / folder / name)
    splits = read_dataset(market_folder)
    assert [sample.pid for sample in splits.gallery[:2]] == [-1, 0]
    assert min(sample.pid for sample in splits.train) == 1
    assert min(sample.pid for sample in splits.query) == 100
    assert len(splits.gallery) == 26


@pytest.mark.parametrize("extension", ["JPG", "jpeg", "Png", "bmp", "webp", "tif"])
def test_image_extensions_are_known_in_any_case(market_folder, extension):
    name = f"0009_c12s1_000001_00.{extension}"
    Image.new("RGB", (32, 64)).save(market_folder / "bounding_box_train" / name)
    sample = read_dataset(market_folder).train[-1]
    assert (sample.path.name, sample.pid, sample.camid) == (name, 9, 12)


def test_other_files_are_ignored(market_folder):
    train = market_folder / "bounding_box_train"
    for name in ("Thumbs.db", "readme.txt", "._0001_c1s1_000010_00.jpg", ".DS_Store"):
        (train / name).write_bytes(b"x")
    (train / "0001_c1s1_000099_00.jpg").mkdir()
    assert len(read_dataset(market_folder).train) == 24


def test_a_broken_link_is_left_to_those_who_check_images(market_folder):
    os.symlink("nowhere", market_folder / "query" / "0100_c1s1_999999_00.jpg")
    assert len(read_dataset(market_folder).query) == 13


@pytest.mark.parametrize("name", ["person.jpg", "c1_0001.jpg", "-2_c1.jpg", "x0001_c1.jpg"])
def test_misnamed_images_are_listed(market_folder, name):
    (market_folder / "query" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"query: 1 of 13 .*{name}.*0002_c1s1_000451_03.jpg"):
        read_dataset(market_folder)


def test_only_some_of_many_misnamed_images_are_listed(market_folder):
    for i in range(5):
        (market_folder / "query" / f"bad{i}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="5 of 17 .* bad0.jpg, bad1.jpg, bad2.jpg; expected"):
        read_dataset(market_folder)


def test_an_unknown_name_lists_what_can_be_read():
    for name in ("msmt18", "market-1502", "/no/such/folder"):
        with pytest.raises(ValueError, match=f"'{name}' is neither.*synthetic, market1501"):
            read_dataset(name)


def test_something_that_is_no_path_is_refused():
    with pytest.raises(ValueError, match="expected a name or a path, got 7"):
        read_dataset(7)  # pyright: ignore[reportArgumentType]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "market.zip").write_bytes(b"")
    with pytest.raises(ValueError, match="market.zip is a file; expected a folder that holds"):
        read_dataset(tmp_path / "market.zip")


def test_missing_folders_are_named(market_folder):
    (market_folder / "query").rename(market_folder / "queries")
    with pytest.raises(ValueError, match=r"holds bounding_box_test, bounding_box_train, queries;"):
        read_dataset(market_folder)
    with pytest.raises(ValueError, match=r"missing: query$"):
        read_dataset(market_folder)


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="nothing holds nothing; expected bounding_box_train"):
        read_dataset(tmp_path / "nothing")


def test_the_parent_of_the_dataset_is_recognised(market_folder):
    with pytest.raises(ValueError, match=rf"They lie in {market_folder}: give that folder"):
        read_dataset(market_folder.parent)
    outer = market_folder.parent / "outer"
    shutil.copytree(market_folder, outer / "inner" / "market")
    with pytest.raises(ValueError, match="outer/inner/market: give that folder"):
        read_dataset(outer)


def test_a_folder_inside_the_dataset_is_recognised(market_folder):
    with pytest.raises(ValueError, match=rf"They lie in {market_folder}: give that folder"):
        read_dataset(market_folder / "query")


def test_a_folder_without_images_says_what_it_holds(market_folder):
    train = empty(market_folder / "bounding_box_train")
    with pytest.raises(ValueError, match="bounding_box_train holds no images.*it is empty"):
        read_dataset(market_folder)
    (train / "readme.txt").write_text("")
    with pytest.raises(ValueError, match="found readme.txt; expected files like 0002_c1"):
        read_dataset(market_folder)
    (train / "0001").mkdir()
    (train / "0001" / "0001_c1s1_000001_00.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="its folder 0001 holds 1, 0001_c1s1.* move them"):
        read_dataset(market_folder)


def test_one_person_is_not_enough_to_train(market_folder):
    for path in (market_folder / "bounding_box_train").glob("000[234]*"):
        path.unlink()
    with pytest.raises(ValueError, match="shows 1 person in 6 images; training needs two"):
        read_dataset(market_folder)


def test_queries_of_nobody_are_refused(market_folder):
    empty(market_folder / "query")
    Image.new("RGB", (32, 64)).save(market_folder / "query" / "0000_c1s1_000001_00.jpg")
    with pytest.raises(ValueError, match="distractors and junk only"):
        read_dataset(market_folder)


def test_people_on_both_sides_are_mentioned(market_folder, caplog):
    for path in (market_folder / "bounding_box_train").glob("0001*"):
        shutil.copy(path, market_folder / "bounding_box_test" / path.name)
    read_dataset(market_folder)
    assert "1 people, for instance 1, are in training and test" in caplog.text


def test_unknown_options_list_the_valid_ones(market_folder, tmp_path):
    with pytest.raises(ValueError, match="no option cams, idz; it understands: ids, valid"):
        read_dataset("synthetic", tmp_path, idz=3, cams=2)
    with pytest.raises(ValueError, match="no option ids; it understands: validation_ids, seed"):
        read_dataset(market_folder, ids=3)


def test_market_is_found_below_the_data_folder(market_folder, tmp_path, monkeypatch):
    root = tmp_path / "root"
    (root / "cache").mkdir(parents=True)
    with pytest.raises(
        ValueError, match="Market-1501 is not in .*root: .*research only.*https://zheng-lab"
    ):
        read_dataset("market1501", root)
    shutil.copytree(market_folder, root / "other")
    with pytest.raises(ValueError, match="There is .*other; if that is it, read it by its path"):
        read_dataset("market1501", root)
    (root / "other").rename(root / "market1501")
    assert read_dataset("market1501", root).name == "Market-1501"
    (root / "market1501").rename(root / "Market-1501-v15.09.15")
    monkeypatch.setenv("REIDLAB_DATA", str(root))
    assert read_dataset("Market1501").name == "Market-1501"
    assert read_dataset(root / "Market-1501-v15.09.15").name == "Market-1501"


def test_training_people_can_be_held_out(market_folder):
    whole = read_dataset(market_folder)
    splits = read_dataset(market_folder, validation_ids=2)
    query, gallery = splits.validation
    assert len(people(splits.train)) == 2
    assert people(query) == people(gallery)
    assert people(splits.train) | people(query) == people(whole.train)
    assert not people(splits.train) & people(query)
    assert len(splits.train) + len(query) + len(gallery) == len(whole.train)
    assert len({(s.pid, s.camid) for s in query}) == len(query) == 6
    for asked in query:
        assert any(s.pid == asked.pid and s.camid != asked.camid for s in gallery)
    assert splits.fingerprint != whole.fingerprint


def test_who_is_held_out_depends_on_the_seed_only(market_folder):
    def held(seed):
        return people(read_dataset(market_folder, validation_ids=2, seed=seed).validation[0])

    assert held(0) == held(0)
    assert len({frozenset(held(seed)) for seed in range(6)}) > 1


def test_two_people_are_left_to_train(market_folder):
    with pytest.raises(ValueError, match="validation_ids=3, but at most 2 of 4 training people"):
        read_dataset(market_folder, validation_ids=3)


def test_people_of_one_camera_are_not_held_out(market_folder):
    for path in (market_folder / "bounding_box_train").glob("000[12]_c[23]*"):
        path.unlink()
    for seed in range(5):
        splits = read_dataset(market_folder, validation_ids=2, seed=seed)
        assert people(splits.validation[0]) == {3, 4}
    (market_folder / "bounding_box_train" / "0005_c1s1_000010_00.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="validation_ids=3, but at most 2 of 5"):
        read_dataset(market_folder, validation_ids=3)


def test_validation_ids_below_zero_are_refused(market_folder):
    with pytest.raises(ValueError, match="validation_ids of 0 or more, got -1"):
        read_dataset(market_folder, validation_ids=-1)


def test_a_rendered_folder_brings_all_it_knows(rendered):
    splits = read_dataset(rendered)
    assert splits.name == "synthetic-a (smoke)"
    query, gallery = splits.validation
    assert people(query) == people(gallery) == {5, 6}
    assert sum(sample.pid == 0 for sample in gallery) == 2
    assert sum(sample.pid == -1 for sample in splits.gallery) == 2
    assert all(s.attributes and s.caption for s in splits.train)
    with pytest.raises(ValueError, match="validation folders with 2 people already"):
        read_dataset(rendered, validation_ids=1)


def test_held_out_people_change_the_fingerprint_of_a_rendered_folder(copied):
    for name in ("validation_query", "validation_gallery"):
        shutil.rmtree(copied / name)
    content = json.loads((copied / "manifest.json").read_text())
    content["images"] = [i for i in content["images"] if "validation" not in i["split"]]
    content["pack"]["shape"][0] = len(content["images"])
    (copied / "manifest.json").write_text(json.dumps(content))
    whole = read_dataset(copied)
    assert whole.fingerprint == content["fingerprint"]
    assert read_dataset(copied, validation_ids=1).fingerprint != whole.fingerprint


def test_a_rendered_folder_that_lost_images_has_another_fingerprint(copied):
    whole = read_dataset(copied)
    whole.train[0].path.unlink()
    splits = read_dataset(copied)
    assert splits.fingerprint != whole.fingerprint
    assert len(splits.train) == len(whole.train) - 1
    assert splits.train[0].attributes


def test_a_broken_manifest_leaves_the_images_readable(copied):
    (copied / "manifest.json").write_text("{")
    splits = read_dataset(copied)
    assert len(splits.train) == 16
    assert splits.train[0].caption is None


def test_the_annotations_beside_the_folders_give_attributes(copied):
    known = {s.pid: s.attributes for s in read_dataset(copied).train}
    (copied / "manifest.json").unlink()
    assert {s.pid: s.attributes for s in read_dataset(copied).train} == known
    (copied / "market_attribute.mat").unlink()
    splits = read_dataset(copied)
    assert {s.pid: s.attributes for s in splits.train} == known
    assert all(s.attributes for s in splits.query)
    assert not any(s.attributes for s in splits.gallery if s.pid < 1)


def test_broken_annotations_leave_the_images_readable(copied, caplog):
    (copied / "manifest.json").unlink()
    (copied / "market_attribute.mat").write_bytes(b"MATLAB")
    splits = read_dataset(copied)
    assert splits.train[0].attributes is None
    assert "market_attribute.mat" in caplog.text and "without the attributes" in caplog.text
