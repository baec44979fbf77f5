import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from reidlab.cli import main
from reidlab.cli.data_info import some_images, some_people
from reidlab.data.images import read_image
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample, Samples
from reidlab.data.summary import (
    images_per_camera,
    images_per_person,
    in_columns,
    parts_of,
    summarize,
)


def run(*words):
    """Exit status, standard output and standard error of `reidlab data WORDS`."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["data", *map(str, words)])
        except SystemExit as left:
            status = int(left.code or 0)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def damaged(market_folder):
    """Twelve unreadable queries, a person of whom one image is left, and a repeated picture."""
    for path in (market_folder / "query").iterdir():
        path.write_bytes(b"")
    train = market_folder / "bounding_box_train"
    for path in sorted(train.glob("0001_*"))[1:]:
        path.unlink()
    shutil.copy(train / "0002_c1s1_000010_00.jpg", train / "0003_c1s1_000010_00.jpg")
    return market_folder


def test_a_good_dataset_passes_even_strictly(market_folder):
    status, out, err = run("check", market_folder, "--strict")
    assert (status, err) == (0, "")
    assert f"market in {market_folder}: 60 images read" in out
    assert out.endswith("nothing to complain of\n")


def test_errors_are_listed_by_kind_and_give_status_1(damaged):
    status, out, err = run("check", damaged)
    lines = out.splitlines()
    assert status == 1 and err == "reidlab: market has 13 errors, listed above\n"
    assert "error: images that cannot be read (12)" in lines
    assert "error: one picture under two people (1)" in lines
    assert "note: people with a single image in training (1)" in lines
    assert "  ... and 2 more" in lines
    assert "13 errors, 1 note" in lines
    assert lines[-1] == "--all prints the full list, --json FILE writes it"


def test_everything_is_printed_on_demand(damaged):
    _, out, _ = run("check", damaged, "--all")
    assert out.count("found an empty file") == 12 and "more" not in out and "--all" not in out


def test_the_full_list_goes_into_a_file(damaged, tmp_path):
    file = tmp_path / "new" / "findings.json"
    status, out, _ = run("check", damaged, "--json", file)
    content = json.loads(file.read_text())
    assert (status, content["errors"], len(content["findings"])) == (1, 13, 14)
    assert out.splitlines()[-1] == f"--all prints the full list; all are in {file}"
    assert [path.name for path in file.parent.iterdir()] == ["findings.json"]


def test_warnings_count_when_strict_and_notes_never_do(market_folder):
    Image.new("RGB", (9, 100)).save(market_folder / "query" / "0100_c1s1_000000_00.jpg")
    status, out, err = run("check", market_folder)
    assert (status, err) == (0, "") and out.endswith("1 warning\n")
    status, out, err = run("check", market_folder, "--strict")
    assert status == 1 and err == "reidlab: market has 1 warning, listed above\n"


def test_a_missing_dataset_says_where_to_obtain_it(tmp_path):
    for command in ("check", "info"):
        status, out, err = run(command, "market1501", "--root", tmp_path)
        assert (status, out) == (1, "")
        assert str(tmp_path) in err and "https://" in err
        status, _, err = run(command, tmp_path / "nowhere")
        assert status == 1 and "neither the name of a dataset nor" in err


def test_what_the_reader_refuses_is_listed_with_all_the_rest(market_folder):
    queries = sorted((market_folder / "query").iterdir())
    queries[0].rename(queries[0].with_name("misnamed.jpg"))
    queries[1].write_bytes(b"")
    status, out, _ = run("check", market_folder)
    assert status == 1 and "do not say person and camera" in out and "an empty file" in out
    status, _, err = run("info", market_folder)
    assert status == 1 and "do not say person and camera" in err


def test_a_variant_is_passed_to_the_reader(market_folder):
    status, _, err = run("check", market_folder, "--variant", "v2")
    assert status == 1 and "variant" in err


def test_info_counts_people_cameras_sizes_and_draws(market_folder, tmp_path):
    status, out, err = run("info", market_folder, "--picture", tmp_path / "new" / "sheet.png")
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert str(read_dataset(market_folder)) in out
    assert "train 6 6 6 3" in lines and "query 3 3 3 3" in lines  # per person
    assert "camera 2 8 4 8" in lines
    assert "sizes of all 60 images, in pixels" in lines and "64 high and 32 wide" in lines
    assert lines[-1] == f"picture: {tmp_path / 'new' / 'sheet.png'}"
    with Image.open(tmp_path / "new" / "sheet.png") as picture:
        assert picture.format == "PNG" and picture.width == 900
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_info_says_how_to_get_a_picture(market_folder):
    assert run("info", market_folder)[1].endswith("--picture FILE.png draws some of it\n")


def test_a_picture_of_another_kind_is_refused_before_the_work(market_folder, tmp_path):
    status, out, err = run("info", market_folder, "--picture", tmp_path / "sheet.txt")
    assert (status, out) == (1, "") and "ends in .png" in err


def test_info_draws_around_damaged_images_and_counts_them(market_folder, tmp_path):
    for path in sorted((market_folder / "bounding_box_train").iterdir())[::2]:
        path.write_bytes(b"")
    status, out, _ = run("info", market_folder, "--picture", tmp_path / "sheet.png")
    assert status == 0 and (tmp_path / "sheet.png").is_file()
    assert "12 cannot be read; `reidlab data check` names them" in out


def test_an_unlabelled_dataset_shows_no_people(market_folder, tmp_path):
    pool = tmp_path / "pool"
    shutil.copytree(market_folder / "bounding_box_train", pool / "images")
    (pool / "manifest.json").write_text('{"kind": "unlabelled", "count": 24, "name": "pool"}')
    status, out, _ = run("info", pool, "--picture", tmp_path / "sheet.png")
    assert status == 0 and "per person" not in out and "sizes of all 24 images" in out
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_both_commands_explain_themselves():
    for command in ("check", "info"):
        status, out, _ = run(command, "--help")
        assert status == 0 and f"reidlab data {command}" in out and "examples:" in out


def people(*rows):
    samples = [Sample(f"{i}.jpg", pid, camid) for i, (pid, camid) in enumerate(rows)]
    return Samples(samples, [1, 2], "made up")


def test_people_who_fill_their_row_are_drawn_first_and_by_chance_among_equals():
    rows = [(0, 1), (-1, 2)] + [(1, 1)] * 9
    rows += [(pid, camid) for pid in range(2, 30) for camid in (1, 1, 1, 2, 2)]
    chosen = some_people(people(*rows), 3, 4, seed=0)
    assert 1 not in {s.pid for s in chosen} and min(s.pid for s in chosen) > 0
    assert [(s.pid, s.camid) for s in chosen].count((chosen[0].pid, 1)) == 2
    assert len(chosen) == 12 and chosen.cameras == [1, 2]
    assert list(chosen) == list(some_people(people(*rows), 3, 4, seed=0))
    assert list(chosen) != list(some_people(people(*rows), 3, 4, seed=1))
    lone = [(pid, 1) for pid in range(100, 140)] * 4
    full = [(pid, camid) for pid in (50, 150, 190) for camid in (1, 2)] * 2
    assert {s.pid for s in some_people(people(*lone, *full), 3, 4, seed=0)} == {50, 150, 190}


def test_random_images_are_drawn_once_each():
    samples = people(*[(pid, 1) for pid in range(1, 50)])
    chosen = some_images(samples, 10, seed=0)
    assert len({s.path for s in chosen}) == 10
    assert list(chosen) == sorted(chosen, key=lambda s: s.pid)
    assert len(some_images(samples, 100, seed=0)) == 49


def test_attributes_captions_and_mixed_sizes_are_described(market_folder):
    splits = read_dataset(market_folder)
    labels = {1: {"hat": 1, "age": 2}, 2: {"hat": 2, "age": 2}, 3: {"hat": 1, "age": 4}}
    for i, s in enumerate(splits.train):
        known = labels.get(s.pid)
        splits.train[i] = Sample(
            s.path, s.pid, s.camid, attributes=known, caption=f"number {s.pid}"
        )
    read_image(splits.query[0].path).resize((50, 99)).save(splits.query[0].path)
    lines = [" ".join(line.split()) for line in summarize(splits).splitlines()]
    assert "attributes of 3 of 8 people (code: people)" in lines
    assert "hat 1: 2, 2: 1 age 2: 2, 4: 1" in lines
    assert "captions of 4 people; person 1: number 1" in lines
    assert "64 to 99 high, median 64" in lines and "32 to 50 wide, median 32" in lines


def test_only_a_sample_of_many_images_is_opened(market_folder, monkeypatch):
    monkeypatch.setattr("reidlab.data.summary.SAMPLED", 7)
    assert "sizes of 7 of 60 images" in summarize(read_dataset(market_folder))


def test_distractors_and_junk_are_no_people_to_count():
    rows = [(0, 1)] * 9 + [(-1, 1)] * 8 + [(1, 1)] * 2 + [(2, 1), (2, 2)] * 2 + [(3, 1)] * 3
    line = images_per_person({"gallery": people(*rows)}).splitlines()[-1]
    assert line.split() == ["gallery", "2", "3", "4", "1"]


def test_a_single_camera_has_no_table():
    assert images_per_camera({"train": people((1, 1), (2, 1))}) == ""
    assert "camera 2" in images_per_camera({"train": people((1, 1), (2, 2))})


def test_parts_without_images_are_left_out(market_folder):
    assert list(parts_of(read_dataset(market_folder))) == ["train", "query", "gallery"]


def test_columns_are_read_from_top_to_bottom():
    cells = [f"{i:<29}" for i in range(8)]  # with the gap, three in a line
    rows = [line.split() for line in in_columns(cells)]
    assert rows == [["0", "3", "6"], ["1", "4", "7"], ["2", "5"]]
    assert in_columns(["x" * 200, "y"]) == ["x" * 200, "y"]
