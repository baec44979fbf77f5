import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidlab.data.benchmarks.facts import Benchmark
from reidlab.data.benchmarks.scan import Scan
from reidlab.data.findings import KINDS, LEVELS, Finding, Report
from reidlab.data.inspection import inspect
from reidlab.data.packs import MANIFEST
from reidlab.data.readers import scan_dataset
from reidlab.data.samples import Sample
from reidlab.data.synthetic.unlabelled import make_unlabelled


@pytest.fixture
def check(market_folder):
    """Inspect the small dataset; the findings of one kind, as (file name, message)."""

    def found(kind):
        report = inspect(scan_dataset(market_folder))
        return [(f.path and f.path.name, f.message) for f in report.findings if f.kind == kind]

    return found


def paint(path: Path, seed=0, size=(32, 64)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def scan_of(folder, labelled=True, benchmark=None, **parts):
    """A scan of painted images: part -> (name, pid, camid, seed of the pixels)."""
    samples = {
        part: [Sample(paint(folder / part / name, seed), pid, cam) for name, pid, cam, seed in rows]
        for part, rows in parts.items()
    }
    return Scan(folder, "painted", samples, [], [], benchmark, labelled)


def kinds(report):
    return [finding.kind for finding in report.findings]


def test_a_good_dataset_has_nothing_to_complain_of(market_folder):
    report = inspect(scan_dataset(market_folder))
    assert report.findings == [] and report.images == 60
    assert report.text().endswith("nothing to complain of")


def test_a_rendered_dataset_has_nothing_to_complain_of(rendered):
    assert [f.message for f in inspect(scan_dataset(rendered)).findings] == []


def test_what_the_reader_refuses_and_warns_of_comes_along(tmp_path):
    scan = Scan(tmp_path, "none", {}, ["the train folder is missing"], ["people on both sides"])
    report = inspect(scan)
    assert [(f.level, f.message) for f in report.findings] == [
        ("error", "the train folder is missing"),
        ("warning", "people on both sides"),
    ]


def test_images_that_cannot_be_read_are_named_with_the_reason(market_folder, check):
    query = market_folder / "query"
    (query / "0100_c1s1_000001_00.jpg").write_bytes(b"")
    (query / "0101_c1s1_000002_00.jpg").write_bytes(b"<html>")
    assert check("unreadable") == [
        ("0100_c1s1_000001_00.jpg", "found an empty file; replace or remove it"),
        ("0101_c1s1_000002_00.jpg", "found a web page; replace or remove it"),
    ]


def test_links_to_nothing_are_found_among_images_and_beside_them(market_folder, check):
    query = market_folder / "query"
    try:
        (query / "0100_c1s1_000009_00.jpg").symlink_to("gone.jpg")
    except OSError:
        pytest.skip("this system makes no links")
    (market_folder / "extra").symlink_to(market_folder / "nowhere")
    (query / "loop").symlink_to(query / "loop")
    (query / "fine").symlink_to(market_folder)
    [(name, message)] = check("unreadable")
    assert name == "0100_c1s1_000009_00.jpg" and "broken link to gone.jpg" in message
    assert [name for name, _ in check("link")] == ["extra", "loop"]


def test_one_picture_under_two_people_is_a_contradiction(tmp_path):
    rows = [("a.png", 1, 1, 5), ("b.png", 2, 3, 5), ("c.png", 2, 1, 6), ("d.png", 1, 2, 7)]
    [finding] = inspect(scan_of(tmp_path, train=rows)).findings
    assert (finding.kind, finding.level, finding.path.name) == ("conflict", "error", "a.png")
    assert "person 1, camera 1" in finding.message
    assert os.path.join("train", "b.png") + " (person 2, camera 3)" in finding.message


def test_one_picture_on_two_sides_is_a_leak(tmp_path):
    train = [("a.png", 1, 1, 5), ("b.png", 1, 2, 6), ("c.png", 2, 1, 7), ("d.png", 2, 2, 8)]
    test = {"query": [("e.png", 3, 1, 5)], "gallery": [("f.png", 3, 2, 10)]}
    [finding] = inspect(scan_of(tmp_path, train=train, **test)).findings
    assert (finding.kind, finding.level) == ("leak", "error")
    held = {"validation_query": [("e.png", 3, 1, 5)], "validation_gallery": [("f.png", 3, 2, 10)]}
    assert kinds(inspect(scan_of(tmp_path / "v", train=train, **held))) == ["leak"]


def test_what_public_benchmarks_repeat_is_a_warning(tmp_path):
    rows = [("a.png", 1, 1, 5), ("b.png", 2, 3, 5), ("c.png", 2, 1, 6), ("d.png", 1, 3, 7)]
    facts = Benchmark("b", "B", ("b",), {}, "somewhere", "terms", "paper")
    report = inspect(scan_of(tmp_path, benchmark=facts, train=rows))
    assert [(f.kind, f.level) for f in report.findings] == [("conflict", "warning")]


def test_copies_of_a_picture_that_contradict_nothing_are_a_note(tmp_path):
    rows = [("a.png", 1, 1, 5), ("b.png", 1, 1, 5), ("c.png", 1, 2, 6)]
    gallery = [("d.png", 3, 1, 9), ("e.png", 0, 2, 9), ("f.png", -1, 2, 9)]  # distractor and junk
    report = inspect(scan_of(tmp_path, train=rows, gallery=gallery))
    assert [(f.kind, f.level) for f in report.findings] == [("copies", "note")] * 2


def test_without_labels_nobody_is_on_a_wrong_side(tmp_path):
    rows = [("a.png", 1, 0, 5), ("b.png", 2, 0, 5), ("c.png", 3, 0, 6)]
    assert kinds(inspect(scan_of(tmp_path, labelled=False, train=rows))) == ["copies"]


def test_a_file_listed_twice_is_an_error_and_no_copy(tmp_path):
    scan = scan_of(tmp_path, train=[("a.png", 1, 1, 5), ("b.png", 1, 2, 6)])
    again = Sample(scan.parts["train"][0].path, 2, 1)
    scan.parts["train"].append(again)
    found = [f for f in inspect(scan).findings if f.level == "error"]
    assert [(f.kind, f.message) for f in found] == [
        ("listed", "again in train, as person 2, camera 1")
    ]


def test_a_name_that_says_person_and_camera_belongs_to_one_picture(tmp_path):
    name = "0001_c1s1_000001_00.png"
    train = [(name, 1, 1, 5), ("0001_c2s1_000001_00.png", 1, 2, 6), ("same.png", 1, 3, 7)]
    gallery = [("0003_c1s1_000001_00.png", 3, 1, 8), ("same.png", 3, 2, 9)]
    query = [(name, 3, 1, 10)]
    report = inspect(scan_of(tmp_path, train=train, gallery=gallery, query=query))
    [finding] = [f for f in report.findings if f.kind == "names"]
    assert finding.path == tmp_path / "query" / name
    assert finding.message == f"another picture than {os.path.join('train', name)}; rename one"


def test_a_query_that_is_also_searched_shares_its_name_rightly(tmp_path):
    name = "0003_c1s1_000001_00.png"
    gallery = [(name, 3, 1, 8), ("0003_c2s1_000001_00.png", 3, 2, 9)]
    report = inspect(scan_of(tmp_path, query=[(name, 3, 1, 8)], gallery=gallery))
    assert kinds(report) == ["copies"]


def test_names_that_windows_and_macos_confuse(tmp_path):
    samples = [
        Sample(tmp_path / folder / name, i + 1, 1)
        for i, (folder, name) in enumerate(
            [
                ("train", "caf\u00e9.png"),
                ("train", "cafe\u0301.png"),
                ("train", "CAF\u00c9.png"),
                ("other", "cafe\u0301.png"),
                ("train", "cafe.png"),
            ]
        )
    ]
    for i, sample in enumerate(samples):
        paint(sample.path, i)
    found = inspect(Scan(tmp_path, "names", {"train": samples}, [], [])).findings
    confused = [f for f in found if f.kind == "spelling"]
    assert [f.path for f in confused] == [samples[1].path, samples[2].path]
    assert confused[0].level == "warning" and "train" in confused[0].message


def test_people_on_two_sides_are_counted_one_by_one(tmp_path):
    train = [("a.png", 1, 1, 1), ("b.png", 1, 2, 2), ("c.png", 2, 1, 3), ("d.png", 2, 2, 4)]
    gallery = [("e.png", 2, 1, 5), ("f.png", 0, 1, 6), ("g.png", -1, 1, 7)]
    report = inspect(scan_of(tmp_path, train=train, gallery=gallery))
    assert [(f.kind, f.message) for f in report.findings] == [
        ("people", "person 2: 2 in training, 1 in test; scores will flatter")
    ]


@pytest.mark.parametrize("side", ["", "validation_"])
def test_queries_that_cannot_find_anybody(tmp_path, side):
    query = [("a.png", 3, 1, 1), ("b.png", 4, 1, 2), ("c.png", 5, 1, 3)]
    gallery = [("d.png", 3, 1, 4), ("e.png", 4, 2, 5), ("f.png", 4, 1, 6)]
    parts = {f"{side}query": query, f"{side}gallery": gallery}
    found = inspect(scan_of(tmp_path, **parts)).findings
    assert [(f.kind, f.path.name) for f in found] == [
        ("unmatched", "a.png"),
        ("unmatched", "c.png"),
    ]
    assert "only under its own camera" in found[0].message
    assert "no image at all" in found[1].message


def test_cameras_that_training_never_saw(tmp_path):
    train = [("a.png", 1, 1, 1), ("b.png", 1, 2, 2), ("c.png", 2, 1, 3), ("d.png", 2, 2, 4)]
    test = {"query": [("e.png", 3, 7, 5)], "gallery": [("f.png", 3, 2, 6), ("g.png", 3, 9, 7)]}
    report = inspect(scan_of(tmp_path, train=train, **test))
    assert [f.message[:20] for f in report.findings] == [
        "camera 7, in query: ",
        "camera 9, in gallery",
    ]
    assert set(kinds(report)) == {"cameras"}


def test_datasets_without_cameras_are_not_blamed_for_it(tmp_path):
    train = [("a.png", 1, 0, 1), ("b.png", 1, 0, 2), ("c.png", 2, 0, 3), ("d.png", 2, 0, 4)]
    test = {"query": [("e.png", 3, 0, 5)], "gallery": [("f.png", 3, 1, 6)]}
    assert inspect(scan_of(tmp_path, train=train, **test)).findings == []


def test_people_from_whom_little_is_learnt_are_notes(tmp_path):
    train = [("a.png", 1, 1, 1), ("b.png", 2, 1, 2), ("c.png", 2, 1, 3), ("d.png", 3, 1, 4)]
    train += [("e.png", 3, 2, 5)]
    found = inspect(scan_of(tmp_path, train=train)).findings
    assert [(f.kind, f.level) for f in found] == [("one image", "note"), ("one camera", "note")]
    assert found[1].message == "person 2: 2 images, all under camera 1"


def test_whole_photographs_and_strips_are_doubtful_and_huge_ones_are_errors(tmp_path):
    sizes = {"a.png": (2001, 2000), "b.png": (16, 129), "c.png": (16, 128)}
    sizes |= {"d.png": (8000, 6251), "e.png": (129, 16)}
    for name, size in sizes.items():
        Image.new("1", size).save(tmp_path / name)
    samples = [Sample(tmp_path / name, 1, 1) for name in sizes]
    found = inspect(Scan(tmp_path, "sizes", {"train": samples}, [], [], labelled=False)).findings
    assert [(f.kind, f.path.name) for f in found] == [
        ("unreadable", "d.png"),
        ("large", "a.png"),
        ("shape", "b.png"),
        ("shape", "e.png"),
    ]


def test_every_difference_from_the_manifest_is_named(copied):
    images = sorted((copied / "bounding_box_train").iterdir())
    content = images[1].read_bytes()
    shutil.copy(images[3], images[0])  # another picture
    images[1].unlink()
    images[2].write_bytes(b"")  # unreadable: said once
    images[0].with_name("0001_c1s1_999999_00.jpg").write_bytes(content)
    report = inspect(scan_dataset(copied))
    changed = {f.path.name: f.message for f in report.findings if f.kind == "changed" and f.path}
    assert set(changed) == {images[0].name, images[1].name, "0001_c1s1_999999_00.jpg"}
    assert "another picture" in changed[images[0].name]
    assert "missing" in changed[images[1].name]
    assert "not listed" in changed["0001_c1s1_999999_00.jpg"]
    assert [f.path for f in report.findings if f.kind == "unreadable"] == [images[2]]


def test_another_version_of_the_renderer_is_a_note_and_hides_no_damage(copied):
    content = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps(content | {"generator": "0-0"}))
    report = inspect(scan_dataset(copied))
    assert [(f.kind, f.level) for f in report.findings] == [("version", "note")]
    os.truncate(copied / "pack.npy", 200)
    assert kinds(inspect(scan_dataset(copied))) == ["changed", "version"]


def test_a_damaged_annotation_is_found(copied):
    (copied / "captions.csv").write_text("")
    [finding] = inspect(scan_dataset(copied)).findings
    assert finding.kind == "changed" and "captions.csv has 0 bytes" in finding.message


def many(count, kind="unreadable"):
    return [Finding(kind, f"reason {i}", Path(f"/data/{i:04d}.jpg")) for i in range(count)]


def test_thousands_of_findings_fit_on_a_screen_unless_all_are_asked_for():
    report = Report("set", Path("/data"), 5000, many(2000))
    lines = report.text().splitlines()
    assert len(lines) == 16 and report.is_cut()
    assert lines[2] == "error: images that cannot be read (2,000)"
    assert lines[3] == "  0000.jpg: reason 0" and lines[13] == "  ... and 1,990 more"
    everything = report.text(everything=True)
    assert all(f"{i:04d}.jpg: reason {i}" in everything for i in range(2000))
    assert not Report("set", Path("/data"), 10, many(10)).is_cut()


def test_the_gravest_come_first_and_are_counted():
    found = [Finding(kind, "x") for kind in reversed(KINDS)]
    report = Report("set", Path("/data"), 1, found)
    assert [f.kind for f in report.findings] == list(KINDS)
    assert [LEVELS.index(f.level) for f in report.findings] == sorted(
        LEVELS.index(kind.level) for kind in KINDS.values()
    )
    errors = sum(kind.level == "error" for kind in KINDS.values())
    assert report.count("error") == errors
    assert Report("s", Path(), 1, [Finding("people", "x"), *many(2)]).summary() == (
        "2 errors, 1 warning"
    )


def test_the_level_of_a_finding_counts_more_than_its_kind():
    mild = Finding("conflict", "of a public benchmark", level="warning")
    report = Report("set", Path("/data"), 1, [mild, Finding("listed", "x")])
    assert [f.level for f in report.findings] == ["error", "warning"]


def test_json_holds_everything_and_can_be_read_back():
    report = Report("set", Path("/data"), 50, [*many(30), Finding("people", "person 3")])
    content = json.loads(report.as_json())
    assert (content["errors"], content["warnings"], content["notes"]) == (30, 1, 0)
    assert len(content["findings"]) == 31
    assert content["findings"][0] == {
        "level": "error",
        "kind": "unreadable",
        "path": str(Path("/data/0000.jpg")),
        "message": "reason 0",
    }
    assert content["findings"][-1]["path"] is None


def test_names_that_would_upset_a_terminal_are_escaped():
    finding = Finding("unreadable", "bad", Path("/data/a\x1b[31m\n\udcff\u00e9.jpg"))
    report = Report("set", Path("/data"), 1, [finding])
    assert "  a\\x1b[31m\\n\\udcff\u00e9.jpg: bad" in report.text().splitlines()
    report.text().encode()
    assert json.loads(report.as_json())["findings"][0]["path"] == str(finding.path)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unreadable"):
        Finding("strange", "x")
    with pytest.raises(ValueError, match="warning"):
        Finding("unreadable", "x", level="fatal")


def test_pictures_of_an_unlabelled_set_that_changed_places_are_noticed(tmp_path):
    make_unlabelled(tmp_path / "crowd", 4, size=(32, 16), difficulty="smoke", cameras=2)
    assert not inspect(scan_dataset(tmp_path / "crowd")).count("error")
    first, second = sorted((tmp_path / "crowd" / "images" / "000").iterdir())[:2]
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    report = inspect(scan_dataset(tmp_path / "crowd"))
    assert [finding.kind for finding in report.findings if finding.level == "error"] == ["changed"]
    assert "other pictures than those that were rendered" in report.findings[0].message
