from __future__ import annotations

import csv
import filecmp
import json
import logging
import os
import re
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from reidlab.data.captions import describe
from reidlab.data.packs import MANIFEST, PACK, read_manifest
from reidlab.data.synthetic import dataset, staging, writing
from reidlab.data.synthetic.dataset import make_dataset, open_dataset, synthetic, validate
from reidlab.data.synthetic.plan import SyntheticOptions, make_plan


def asked(options: SyntheticOptions) -> dict:
    return options.as_dict()


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".partial")]


def first_image(folder: Path) -> Path:
    return sorted((folder / "bounding_box_train").iterdir())[0]


def edit_manifest(folder: Path, change) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch, rendered: Path):
    """Rendering replaced by copying the files of `rendered`; counts how often it happens."""
    calls = []

    def copy(folder, plan, *, progress, device):
        calls.append(plan.options)
        for name, data in contents(rendered).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

    monkeypatch.setattr(dataset, "write_dataset", copy)
    return calls


def test_the_same_seed_gives_the_same_bytes(rendered, tiny, tmp_path):
    again = make_dataset(tmp_path / "again", tiny)
    assert contents(again) == contents(rendered)


def test_the_files_are_those_of_market(rendered, tiny):
    folders = {path.name for path in rendered.iterdir() if path.is_dir()}
    validation = {"validation_query", "validation_gallery"}
    assert folders == {"bounding_box_train", "query", "bounding_box_test"} | validation
    planned = {image.file for image in make_plan(tiny).images}
    written = {name for name in contents(rendered) if "/" in name}
    assert written == planned
    assert all(re.fullmatch(r"\w+/(\d{4}|-1)_c[123]s1_\d{6}_00\.jpg", name) for name in written)


def test_the_manifest_lists_every_image_with_its_truth(rendered, tiny):
    content = json.loads((rendered / MANIFEST).read_text())
    assert SyntheticOptions(**content["options"]) == tiny
    planned = {image.file: image for image in make_plan(tiny).images}
    assert [entry["file"] for entry in content["images"]] == list(planned)
    for entry in content["images"]:
        image = planned[entry["file"]]
        assert (entry["pid"], entry["camid"], entry["split"]) == (
            image.pid, image.camid, image.split,
        )  # fmt: skip
        data = (rendered / entry["file"]).read_bytes()
        assert (entry["bytes"], entry["crc32"]) == (len(data), zlib.crc32(data))
        assert "poor" not in entry
        if image.shot.person is not None:
            assert entry["yaw"] == pytest.approx(image.shot.yaw, abs=0.06)
        if image.split == "train":
            assert {"parts", "occluded", "box", "truncated"} <= set(entry)


def test_poor_crops_are_flagged_and_other_options_are_told_apart(rendered, tiny, tmp_path):
    options = replace(tiny, poor=0.5)
    folder = make_dataset(tmp_path / "poor", options)
    planned = {image.file: image.poor for image in make_plan(options).images}
    entries = read_manifest(folder).content["images"]
    assert {entry["file"]: entry.get("poor") for entry in entries} == planned
    assert any(planned.values())
    good, changed = contents(rendered), contents(folder)
    for file, poor in planned.items():
        assert (changed[file] != good[file]) == (poor is not None)
    splits, plain = open_dataset(folder, options), open_dataset(rendered, tiny)
    assert [(s.pid, s.camid) for s in splits.train] == [(s.pid, s.camid) for s in plain.train]
    assert splits.fingerprint != plain.fingerprint
    assert validate(folder, tiny) == "it was made with poor=0.5, not 0.0"
    assert validate(rendered, options) == "it was made with poor=0.0, not 0.5"


def test_the_pack_holds_the_pixels_of_the_files(rendered):
    pack = np.load(rendered / PACK, mmap_mode="r")
    for row, name in enumerate(read_manifest(rendered).rows):
        with Image.open(rendered / name) as image:
            assert np.array_equal(np.asarray(image).transpose(2, 0, 1), pack[row])
    assert pack.std() > 20


def test_images_are_compressed_like_their_camera_does(rendered, tiny, tmp_path):
    cameras = make_plan(tiny).cameras
    assert len({camera.jpeg_quality for camera in cameras}) > 1
    for entry in read_manifest(rendered).content["images"]:
        quality = cameras[entry["camid"] - 1].jpeg_quality
        Image.new("RGB", (8, 8)).save(tmp_path / "reference.jpg", quality=quality)
        with (
            Image.open(rendered / entry["file"]) as image,
            Image.open(tmp_path / "reference.jpg") as reference,
        ):
            assert image.quantization == reference.quantization


TEST_ORDER = (
    "age backpack bag handbag clothes down up hair hat gender upblack upwhite upred uppurple "
    "upyellow upgray upblue upgreen downblack downwhite downpink downpurple downyellow downgray "
    "downblue downgreen downbrown"
).split()
TRAIN_ORDER = (
    "age backpack bag handbag downblack downblue downbrown downgray downgreen downpink downpurple "
    "downwhite downyellow upblack upblue upgreen upgray uppurple upred upwhite upyellow clothes "
    "down up hair hat gender"
).split()


@pytest.mark.parametrize(("side", "order"), [("train", TRAIN_ORDER), ("test", TEST_ORDER)])
def test_the_mat_file_reads_by_name_and_agrees_with_the_table(rendered, side, order):
    struct = scipy.io.loadmat(rendered / "market_attribute.mat")["market_attribute"][side][0, 0]
    assert list(struct.dtype.names) == [*order, "image_index"]
    with open(rendered / f"annotations_{side}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", *TEST_ORDER]
    names = [str(cell[0]) for cell in struct["image_index"][0, 0].ravel()]
    assert names == [f"{int(row['id']):04d}" for row in rows] == sorted(names)
    for name in order:
        column = struct[name][0, 0]
        assert column.shape == (1, len(rows)) and column.dtype == np.uint8
        assert column.ravel().tolist() == [int(row[name]) for row in rows]


def test_annotations_are_those_of_the_people(rendered, tiny):
    plan = make_plan(tiny)
    for side in ("train", "validation", "test"):
        with open(rendered / f"annotations_{side}.csv", newline="") as file:
            rows = {int(row.pop("id")): row for row in csv.DictReader(file)}
        assert list(rows) == [pid for pid in plan.people if plan.sides[pid] == side]
        for pid, row in rows.items():
            assert {k: int(v) for k, v in row.items()} == plan.people[pid].attributes()


def test_samples_carry_attributes_and_captions(rendered, tiny):
    splits, plan = open_dataset(rendered, tiny), make_plan(tiny)
    assert splits.name == "synthetic-a (smoke)"
    assert splits.fingerprint == read_manifest(rendered).content["fingerprint"]
    for part in (splits.train, splits.query, *splits.validation):
        for sample in (s for s in part if s.pid > 0):
            assert sample.attributes == plan.people[sample.pid].attributes()
            assert sample.caption == describe(sample.attributes)
    nobody = [sample for sample in splits.gallery if sample.pid <= 0]
    assert len(nobody) == 6
    assert all(s.attributes is None and s.caption is None for s in nobody)


def test_a_valid_cache_is_read_not_rendered(copied, tmp_path, tiny, instant):
    splits = synthetic(tmp_path, **asked(tiny))
    assert instant == []
    assert {sample.path.parent.parent for sample in splits.train} == {copied}


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "manifest missing": lambda folder: (folder / MANIFEST).unlink(),
    "manifest cut": lambda folder: os.truncate(folder / MANIFEST, 500),
    "manifest of another format": lambda f: edit_manifest(f, lambda c: c.update(format=99)),
    "manifest relabelled": lambda f: edit_manifest(f, lambda c: c["images"][0].update(pid=3)),
    "other version": lambda f: edit_manifest(f, lambda c: c.update(generator="0-0")),
    "other options": lambda f: edit_manifest(f, lambda c: c["options"].update(seed=9)),
    "image missing": lambda folder: first_image(folder).unlink(),
    "image cut": lambda folder: os.truncate(first_image(folder), 100),
    "image added": lambda f: (f / "query" / "0001_c1s1_000000_00.jpg").write_bytes(b""),
    "folder missing": lambda f: (f / "query").rename(f / "elsewhere"),
    "table cut": lambda folder: os.truncate(folder / "annotations_train.csv", 10),
    "pack missing": lambda folder: (folder / PACK).unlink(),
    "pack cut": lambda folder: os.truncate(folder / PACK, 1000),
    "pack changed": lambda folder: flip_last_byte(folder / PACK),
}
REASONS = {
    "manifest missing": "no manifest",
    "manifest cut": "no manifest",
    "manifest of another format": "no manifest",
    "manifest relabelled": "manifest.json was changed",
    "other version": "drawn by version 0-0",
    "other options": "seed=9, not 0",
    "image missing": r"bounding_box_train/.*jpg is missing",
    "image cut": "has 100 bytes, expected",
    "image added": "1 images were added",
    "folder missing": "query/.*is missing",
    "table cut": "annotations_train.csv has 10 bytes",
    "pack missing": "pack.npy cannot be read",
    "pack cut": "pack.npy has 1000 bytes",
    "pack changed": "pack.npy has changed",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_recognised_and_rendered_again(
    damage, copied, rendered, tmp_path, tiny, instant, caplog
):
    assert validate(copied, tiny) == ""
    DAMAGE[damage](copied)
    assert re.search(REASONS[damage], validate(copied, tiny))
    with pytest.raises(ValueError, match=REASONS[damage]):
        open_dataset(copied, tiny)
    with caplog.at_level(logging.INFO):
        synthetic(tmp_path, **asked(tiny))
    assert re.search(REASONS[damage], caplog.text)
    assert len(instant) == 1
    assert contents(copied) == contents(rendered)
    assert leftovers(copied.parent) == []


def test_a_cache_of_another_version_is_rendered_again(copied, tmp_path, tiny, instant, monkeypatch):
    monkeypatch.setattr(dataset, "generator_version", lambda: "2-new")
    assert "this is 2-new" in validate(copied, tiny)
    synthetic(tmp_path, **asked(tiny))
    assert len(instant) == 1


def test_the_version_changes_with_the_code_that_draws(tmp_path, monkeypatch):
    drawing = tmp_path / "synthetic"
    drawing.mkdir()
    files = [drawing / "render.py", drawing / "dataset.py"]
    files += [tmp_path / name for name in ("attributes.py", "captions.py", "heads.py")]
    for file in files:
        file.write_text("1")
    monkeypatch.setattr(writing, "__file__", str(drawing / "writing.py"))
    for file in files:
        before = writing.generator_version()
        file.write_text("2")
        assert (writing.generator_version() == before) == (file.name == "dataset.py")


def test_other_options_have_a_cache_of_their_own(tiny, tmp_path):
    folders = {
        dataset.cache_folder(SyntheticOptions(**asked(tiny) | change), tmp_path)
        for change in (
            {},
            {"seed": 1},
            {"world": "b"},
            {"size": (128, 64)},
            {"junk": 3},
            {"poor": 0.1},
        )
    }
    assert len(folders) == 6
    assert all(folder.parent == tmp_path / "cache" / "synthetic" for folder in folders)


def test_a_fingerprint_tells_datasets_apart_that_share_names(rendered):
    content = json.loads((rendered / MANIFEST).read_text())
    content["options"]["difficulty"] = "hard"
    assert writing.fingerprint(content) != content["fingerprint"]


def test_a_folder_with_other_things_is_refused(tmp_path, tiny, instant):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="not empty and holds no dataset made by reidlab"):
        make_dataset(tmp_path, tiny, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert instant == []


def test_an_empty_folder_is_filled(tmp_path, tiny, rendered, instant):
    (tmp_path / "new").mkdir()
    assert make_dataset(tmp_path / "new", tiny) == (tmp_path / "new").resolve()
    assert contents(tmp_path / "new") == contents(rendered)


def test_the_same_dataset_is_kept(copied, tiny, instant):
    before = (copied / MANIFEST).stat().st_mtime_ns
    make_dataset(copied, tiny)
    assert instant == []
    assert (copied / MANIFEST).stat().st_mtime_ns == before


def test_another_dataset_is_replaced_only_when_told(copied, tiny, instant):
    other = SyntheticOptions(**asked(tiny) | {"seed": 5, "junk": 1})
    with pytest.raises(ValueError, match=r"junk=2, not 1.*overwrite=True") as error:
        make_dataset(copied, other)
    assert "seed=0, not 5" in str(error.value)
    assert instant == []
    make_dataset(copied, other, overwrite=True)
    assert instant == [other]
    assert leftovers(copied.parent) == []


def test_a_damaged_dataset_of_the_user_is_replaced_only_when_told(copied, rendered, tiny, instant):
    first_image(copied).unlink()
    with pytest.raises(ValueError, match="is missing.*overwrite=True"):
        make_dataset(copied, tiny)
    make_dataset(copied, tiny, overwrite=True)
    assert contents(copied) == contents(rendered)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path, tiny, monkeypatch):
    real, batches = writing.render, []

    def stop(*args, **kwargs):
        if batches:
            raise KeyboardInterrupt
        batches.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(writing, "render", stop)
    monkeypatch.setattr(writing, "BATCH", 4)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(tmp_path / "new", tiny)
    assert batches and list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_dataset(copied, rendered, tiny, monkeypatch):
    monkeypatch.setattr(writing, "render", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_dataset(copied, SyntheticOptions(**asked(tiny) | {"seed": 1}), overwrite=True)
    assert contents(copied) == contents(rendered)


def test_the_manifest_is_written_last(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(writing, "_write_annotations", lambda *a: 1 / 0)
    monkeypatch.setattr(staging.shutil, "rmtree", lambda *a, **k: None)  # as if killed
    with pytest.raises(ZeroDivisionError):
        make_dataset(tmp_path / "new", tiny)
    (left,) = tmp_path.iterdir()
    assert (left / PACK).exists() and not (left / MANIFEST).exists()


def test_what_dead_runs_left_is_removed_and_live_ones_are_not(tmp_path, tiny, instant):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    names = {
        "dead": f".new.{staging._host()}.{process.pid}.ab12.partial",
        "alive": f".new.{staging._host()}.{os.getpid()}.ab12.partial",
        "elsewhere": ".new.another-host.1.ab12.partial",
        "old elsewhere": ".new.another-host.2.ab12.partial",
        "foreign": ".new.x.partial",
    }
    for name in names.values():
        (tmp_path / name / "query").mkdir(parents=True)
    os.utime(tmp_path / names["old elsewhere"], (0, 0))
    make_dataset(tmp_path / "new", tiny)
    left = {label for label, name in names.items() if (tmp_path / name).exists()}
    assert left == {"alive", "elsewhere", "foreign"}


def test_a_run_of_another_user_counts_as_alive(tmp_path, tiny, instant, monkeypatch):
    def refuse(process, signal):
        raise PermissionError

    left = tmp_path / f".new.{staging._host()}.1.ab12.partial"
    left.mkdir()
    monkeypatch.setattr(staging.os, "kill", refuse)
    make_dataset(tmp_path / "new", tiny)
    assert left.exists()


def test_two_runs_at_once_leave_one_complete_dataset(tmp_path, tiny, rendered, instant):
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(synthetic, tmp_path, **asked(tiny)) for _ in range(4)]
        fingerprints = {job.result().fingerprint for job in jobs}
    folder = dataset.cache_folder(tiny, tmp_path)
    assert len(fingerprints) == 1
    assert contents(folder) == contents(rendered)
    assert leftovers(folder.parent) == []


def test_the_quicker_of_two_runs_wins(tmp_path, tiny, rendered, monkeypatch):
    def slow(folder, plan, *, progress, device):
        make_dataset.__globals__["write_dataset"] = fast
        make_dataset(tmp_path / "new", tiny)  # somebody else, meanwhile
        (folder / "mine").write_text("")

    def fast(folder, plan, *, progress, device):
        for name, data in contents(rendered).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

    monkeypatch.setattr(dataset, "write_dataset", slow)
    make_dataset(tmp_path / "new", tiny)
    assert contents(tmp_path / "new") == contents(rendered)
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, tiny):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file"):
        make_dataset(tmp_path / "file" / "people", tiny)
    with pytest.raises(ValueError, match="file is a file"):
        make_dataset(tmp_path / "file", tiny)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_protected_folder_is_named(tmp_path, tiny):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="locked"):
        make_dataset(tmp_path / "locked" / "people", tiny)


def test_a_bar_is_shown_only_when_asked(tmp_path, tiny, capsys):
    make_dataset(tmp_path / "quiet", tiny)
    assert capsys.readouterr() == ("", "")
    make_dataset(tmp_path / "loud", tiny, progress=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "image" in shown.err
    assert filecmp.cmp(tmp_path / "quiet" / MANIFEST, tmp_path / "loud" / MANIFEST, shallow=False)
