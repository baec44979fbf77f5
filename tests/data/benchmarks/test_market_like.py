"""Benchmarks in the folders and names of Market-1501."""

import pytest

from reidlab.data.benchmarks.facts import DUKE, MARKET
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people

SMALL = {"train": (6, 3), "query": (2, 2), "gallery": (4, 2)}


def market_name(pid, camid, shot):
    return f"{pid:04d}_c{camid}s1_{shot:06d}_00.jpg"


def duke_name(pid, camid, shot):
    return f"{pid:04d}_c{camid}_f{shot:07d}.jpg"


@pytest.mark.parametrize(
    ("name", "folder", "title"),
    [
        ("market1501", "Market-1501-v15.09.15", "Market-1501"),
        ("dukemtmc", "DukeMTMC-reID", "DukeMTMC-reID"),
        ("occluded-duke", "Occluded_Duke", "Occluded-Duke"),
    ],
)
def test_a_named_benchmark_is_read_by_name_and_by_path(
    plant_market, tmp_path, monkeypatch, caplog, name, folder, title
):
    from reidlab.data.benchmarks.facts import BENCHMARKS

    monkeypatch.setitem(BENCHMARKS[name].counts, "", SMALL)
    plant_market(tmp_path / folder, market_name if name == "market1501" else duke_name)
    splits = read_dataset(name.upper(), tmp_path)
    assert splits.name == title == read_dataset(tmp_path / folder).name
    assert splits.cameras == [1, 2]
    assert (people(splits.train), people(splits.gallery)) == ({1, 2, 3}, {7, 8})
    assert not caplog.text
    scan = scan_dataset(name, tmp_path)
    assert scan.benchmark is BENCHMARKS[name] and not scan.problems and not scan.notes


def test_other_counts_than_published_are_a_warning(plant_market, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(DUKE.counts, "", SMALL | {"query": (3, 2), "gallery": (4, 3)})
    plant_market(tmp_path / "DukeMTMC-reID", duke_name)
    scan = scan_dataset("dukemtmc", tmp_path)
    assert scan.notes == [
        "DukeMTMC-reID: query has 2 images of 2, expected 3 of 2 as published",
        "DukeMTMC-reID: gallery has 4 images of 2, expected 4 of 3 as published",
    ]
    read_dataset("dukemtmc", tmp_path)
    assert caplog.messages == scan.notes


def test_a_folder_of_ones_own_is_not_compared(plant_market, tmp_path, caplog):
    plant_market(tmp_path / "own", market_name)
    scan = scan_dataset(tmp_path / "own")
    assert scan.benchmark is None and scan.name == "own" and not scan.notes


def test_a_scan_tells_all_problems_and_the_reader_the_first(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    (folder / "query" / "stranger.jpg").write_bytes(b"")
    (folder / "bounding_box_test").rename(folder / "gallery")
    scan = scan_dataset(folder)
    assert len(scan.problems) == 2
    assert "missing: bounding_box_test" in scan.problems[0]
    assert "stranger.jpg" in scan.problems[1]
    assert [len(scan.parts[part]) for part in ("train", "query", "gallery")] == [6, 2, 0]
    with pytest.raises(ValueError, match=r"missing: bounding_box_test \(1 more: `reidlab data c"):
        read_dataset(folder)


def test_numbers_too_long_for_a_label_are_misnamed(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    (folder / "query" / f"{'9' * 30}_c1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="1 of 3 image names"):
        read_dataset(folder)


def test_validation_people_in_another_part_are_a_problem(plant, plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    for part in ("validation_query", "validation_gallery"):
        plant(folder / part, ["0001_c1s1_000001_00.jpg"])
    (problem,) = scan_dataset(folder).problems
    assert "1 validation people are also in train, for instance 1" in problem


def test_a_single_camera_of_the_test_is_mentioned(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", lambda p, c, s: f"{p}_c4_{c}{s}.jpg")
    (note,) = scan_dataset(folder).notes
    assert "of camera 4" in note and "protocol='no-camera-filter'" in note


def test_names_in_any_language_long_paths_and_links_are_read(plant_market, tmp_path):
    deep = tmp_path.joinpath(*["ordner-mit-langem-namen" * 5] * 6)
    folder = plant_market(deep / "人再識別", lambda p, c, s: f"{p}_c{c}_{s}_写真_é.jpg")
    (tmp_path / "link").symlink_to(folder)
    (folder / "query" / "7_c1_LINK.jpg").symlink_to(folder / "query" / "7_c1_2_写真_é.jpg")
    (folder / "query" / "7_c1_link.jpg").symlink_to(folder / "query" / "7_c1_2_写真_é.jpg")
    splits = read_dataset(tmp_path / "link")
    assert splits.name == "人再識別"
    assert [s.path.name for s in splits.query if "LINK" in s.path.name.upper()] == [
        "7_c1_LINK.jpg",
        "7_c1_link.jpg",
    ]


def test_file_names_that_are_no_text_are_read(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    try:
        (folder / "query" / "0007_c1_\udcff.jpg").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes valid text only")
    assert len(read_dataset(folder).query) == 3


def test_a_folder_that_may_only_be_read_is_read(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o500)
    try:
        assert len(read_dataset(folder).train) == 6
    finally:
        for path in (folder, *folder.iterdir()):
            path.chmod(0o700)


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-this-name/data"])
def test_what_cannot_be_a_path_is_refused(name):
    with pytest.raises(ValueError, match=r"'(x{80}|~nobody.*)' (cannot be the path|is neither)"):
        read_dataset(name)


def test_an_unknown_layout_lists_the_known_ones(plant_market, tmp_path):
    folder = plant_market(tmp_path / "own", market_name)
    with pytest.raises(ValueError, match="unknown layout 'x'; expected one of: csv, market, veri"):
        read_dataset(folder, layout="x")
    assert len(read_dataset(folder, layout="market").train) == 6


def test_the_market_folder_is_found_in_other_capitals(plant_market, tmp_path, monkeypatch):
    monkeypatch.setitem(MARKET.counts, "", SMALL)
    plant_market(tmp_path / "MARKET1501", market_name)
    assert read_dataset("market1501", tmp_path).name == "Market-1501"


def test_a_rendered_set_is_no_benchmark_whatever_it_is_called(copied, tmp_path):
    scan = scan_dataset(copied.rename(tmp_path / "market1501"))
    assert scan.name == "synthetic-a (smoke)" and scan.benchmark is None and not scan.notes


def test_a_synthetic_set_can_be_scanned(rendered, tiny):
    options = {**tiny.as_dict(), "size": tuple(tiny.size)}
    scan = scan_dataset("synthetic", rendered.parents[2], **options)
    assert scan.folder == rendered and not scan.problems and not scan.notes
    assert scan.name == "synthetic-a (smoke)"
    with pytest.raises(ValueError, match="synthetic has no option depth"):
        scan_dataset("synthetic", rendered.parents[2], depth=1)
