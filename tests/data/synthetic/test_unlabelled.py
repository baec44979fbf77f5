"""Unlabelled sets: reproducible, resumable, refused when in doubt, honest about what they hold."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidlab.cli import data_make
from reidlab.data.synthetic import shards, unlabelled
from reidlab.data.synthetic.crowd import BLOCK, PER_PERSON, Crowd
from reidlab.data.synthetic.dataset import make_dataset
from reidlab.data.synthetic.locking import only_writer
from reidlab.data.synthetic.options import SyntheticOptions, UnlabelledOptions
from reidlab.data.synthetic.plan import make_plan
from reidlab.data.synthetic.poor import KINDS
from reidlab.data.synthetic.unlabelled import make_unlabelled, read_unlabelled_truth

FAST = {"size": (32, 16), "difficulty": "smoke"}
COUNT = 23  # two full shards of ten and a short one


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 10)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Read only: 23 images in three shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD", 10)
        return make_unlabelled(tmp_path_factory.mktemp("crowd") / "made", COUNT, **FAST)


@pytest.fixture
def copied(made, tmp_path) -> Path:
    for name, data in contents(made).items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_bytes(data)
    return tmp_path / "copy"


@pytest.fixture
def counted(monkeypatch):
    """How many images were rendered by each call of the renderer's front door."""
    real, calls = shards.shoot, []

    def shoot(shots, *args, **kwargs):
        calls.append(len(shots))
        return real(shots, *args, **kwargs)

    monkeypatch.setattr(shards, "shoot", shoot)
    return calls


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def edit_manifest(folder: Path, change) -> None:
    content = manifest(folder)
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def test_images_lie_in_numbered_folders_and_nothing_else_does(made):
    assert {path.name for path in made.iterdir()} == {"images", "truth", "manifest.json", ".lock"}
    files = [f"images/{i // 10:03d}/{i:06d}.jpg" for i in range(COUNT)]
    assert sorted(name for name in contents(made) if name.endswith(".jpg")) == files
    for name in files:
        with Image.open(made / name) as image:
            assert image.size == (16, 32)
    content = manifest(made)
    assert (content["format"], content["kind"], content["count"]) == (1, "unlabelled", COUNT)
    assert content["complete"] is True
    assert [shard["images"] for shard in content["shards"]] == [10, 10, 3]
    assert content["options"]["poor"] == 0.25 and content["options"]["supersample"] == 1
    for shard in content["shards"]:
        assert shard["bytes"] == sum(p.stat().st_size for p in (made / shard["folder"]).iterdir())


def test_the_same_call_gives_the_same_bytes(made, tmp_path):
    assert contents(make_unlabelled(tmp_path / "again", COUNT, **FAST)) == contents(made)


def test_a_longer_set_starts_with_the_shorter_one(made, tmp_path):
    longer = contents(make_unlabelled(tmp_path / "longer", 31, **FAST))
    for name, data in contents(made).items():
        if name.endswith(".jpg"):
            assert longer[name] == data
    rows = read_unlabelled_truth(tmp_path / "longer")
    assert len(rows) == 31 and rows[:COUNT] == read_unlabelled_truth(made)


def test_a_finished_set_can_be_made_longer(copied, tmp_path, counted):
    make_unlabelled(copied, 31, **FAST)
    assert counted == [10, 1]  # the short shard is filled, the others are kept
    assert contents(copied) == contents(make_unlabelled(tmp_path / "direct", 31, **FAST))


def test_a_finished_set_is_kept_untouched(copied, counted):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    assert make_unlabelled(copied, COUNT, **FAST) == copied.resolve()
    assert counted == []
    assert before.items() <= {p: p.stat().st_mtime_ns for p in copied.rglob("*")}.items()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"world": "a"}, {"poor": 1.0}, {"ids": 5}, {"difficulty": "hard"},
     {"size": (64, 32)}, {"supersample": 2}, {"cameras": 3}],
)  # fmt: skip
def test_every_option_changes_the_images_and_is_named_when_it_differs(made, change, tmp_path):
    name = next(iter(change))
    with pytest.raises(ValueError, match=rf"{name}=.*overwrite=True"):
        make_unlabelled(made, COUNT, **FAST | change)
    other = make_unlabelled(tmp_path / "other", 4, **FAST | change)
    images = [f"images/000/{i:06d}.jpg" for i in range(4)]
    assert any(contents(other)[name] != contents(made)[name] for name in images)


def test_a_shorter_set_than_there_is_is_refused(made):
    with pytest.raises(ValueError, match=r"count=23, more than 10.*overwrite=True"):
        make_unlabelled(made, 10, **FAST)


def test_a_set_of_another_version_is_refused(copied, monkeypatch):
    monkeypatch.setattr(unlabelled, "generator_version", lambda: "2-new")
    with pytest.raises(ValueError, match="drawn by version 1-.*, this is 2-new"):
        make_unlabelled(copied, COUNT, **FAST)


def test_overwrite_replaces_another_set_and_leaves_nothing_of_it(copied, tmp_path):
    make_unlabelled(copied, 4, **FAST, seed=1, overwrite=True)
    assert contents(copied) == contents(make_unlabelled(tmp_path / "new", 4, **FAST, seed=1))


DAMAGE = {
    "image missing": lambda f: (f / "images/001/000012.jpg").unlink(),
    "image cut": lambda f: os.truncate(f / "images/001/000012.jpg", 50),
    "image added": lambda f: (f / "images/001/x.jpg").write_bytes(b"1"),
    "folder missing": lambda f: (f / "images/001").rename(f / "truth/elsewhere"),
    "table missing": lambda f: (f / "truth/001.csv").unlink(),
    "table changed": lambda f: (f / "truth/001.csv").write_text("file\n"),
    "not listed": lambda f: edit_manifest(f, lambda c: c["shards"].pop(1)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_rendered_again_and_no_other(damage, copied, made, counted):
    DAMAGE[damage](copied)
    make_unlabelled(copied, COUNT, **FAST)
    assert counted == [10]
    mended = contents(copied)
    assert {name: mended[name] for name in contents(made)} == contents(made)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for again in (False, True):
        with pytest.raises(ValueError, match="not empty and holds no unlabelled set"):
            make_unlabelled(tmp_path, 4, **FAST, overwrite=again)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_labelled_set_is_not_overwritten(rendered, tiny, copied):
    with pytest.raises(ValueError, match="holds no unlabelled set"):
        make_unlabelled(rendered, 4, **FAST, overwrite=True)
    with pytest.raises(ValueError, match="holds no dataset made by reidlab"):
        make_dataset(copied, tiny, overwrite=True)


@pytest.mark.parametrize(
    "broken",
    ["{", "[]", '{"format": 1, "kind": "unlabelled"}',
     '{"format": 1, "kind": "unlabelled", "generator": "", "options": {}, "count": 1, '
     '"shards": [{"folder": "../../etc", "images": 1, "bytes": 1, '
     '"truth": {"file": "truth/000.csv", "crc32": 1}}]}'],
)  # fmt: skip
def test_a_broken_manifest_is_no_set(broken, copied):
    (copied / "manifest.json").write_text(broken)
    with pytest.raises(ValueError, match="holds no unlabelled set"):
        make_unlabelled(copied, COUNT, **FAST, overwrite=True)
    with pytest.raises(ValueError, match="holds no unlabelled set"):
        read_unlabelled_truth(copied)


SLOW = """
import sys
from reidlab.data.synthetic import shards, unlabelled
shards.SHARD = 10
real = shards.shoot
def shoot(shots, *args, **kwargs):
    for i, taken in enumerate(real(shots, *args, **kwargs)):
        if "images/000" in open(sys.argv[1] + "/manifest.json").read() and i == 5:
            print("inside the second shard", flush=True)
            sys.stdin.read()  # until somebody kills us
        yield taken
shards.shoot = shoot
unlabelled.make_unlabelled(sys.argv[1], 23, size=(32, 16), difficulty="smoke")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_run_is_continued_and_a_second_one_beside_it_refused(made, tmp_path, counted):
    folder = tmp_path / "crowd"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "inside the second shard\n"
        before = contents(folder)
        with pytest.raises(ValueError, match="another process is writing into"):
            make_unlabelled(folder, COUNT, **FAST)
        assert contents(folder) == before and counted == []
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (folder / ".partial").is_dir()
    assert manifest(folder)["complete"] is False
    assert len(read_unlabelled_truth(folder)) == 10  # what is finished can be used
    make_unlabelled(folder, COUNT, **FAST)
    assert counted == [10, 3]
    assert contents(folder) == contents(made)


def test_ctrl_c_keeps_the_finished_shards(made, tmp_path, monkeypatch):
    real = shards.shoot

    def stop(shots, *args, **kwargs):
        for i, taken in enumerate(real(shots, *args, **kwargs)):
            if len(shots) == 3 and i == 1:
                raise KeyboardInterrupt
            yield taken

    monkeypatch.setattr(shards, "shoot", stop)
    with pytest.raises(KeyboardInterrupt):
        make_unlabelled(tmp_path / "crowd", COUNT, **FAST)
    monkeypatch.setattr(shards, "shoot", real)
    assert not (tmp_path / "crowd" / ".partial").exists()
    left = manifest(tmp_path / "crowd")
    assert (len(left["shards"]), left["complete"]) == (2, False)
    assert contents(make_unlabelled(tmp_path / "crowd", COUNT, **FAST)) == contents(made)


def test_a_kill_between_putting_a_shard_and_listing_it_loses_only_that_shard(
    made, tmp_path, monkeypatch, counted
):
    real, calls = shards.ShardWriter._save, []

    def save(self):
        calls.append(1)
        if len(calls) == 3:
            raise SystemExit  # as if killed
        real(self)

    monkeypatch.setattr(shards.ShardWriter, "_save", save)
    with pytest.raises(SystemExit):
        make_unlabelled(tmp_path / "crowd", COUNT, **FAST)
    assert (tmp_path / "crowd/images/001").is_dir()
    monkeypatch.setattr(shards.ShardWriter, "_save", real)
    counted.clear()
    make_unlabelled(tmp_path / "crowd", COUNT, **FAST)
    assert counted == [10, 3] and contents(tmp_path / "crowd") == contents(made)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "make room and run the same again"), (errno.EIO, "see that it can be written")],
)
def test_a_full_disk_is_told_with_what_is_safe(number, advice, tmp_path, monkeypatch):
    real = Path.write_bytes

    def write(self, data):
        if self.name == "000013.jpg":
            raise OSError(number, os.strerror(number))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    message = rf"cannot write into .*{os.strerror(number)}.*10 of 23 images are finished; {advice}"
    with pytest.raises(ValueError, match=message):
        make_unlabelled(tmp_path / "crowd", COUNT, **FAST)
    monkeypatch.setattr(Path, "write_bytes", real)
    assert len(read_unlabelled_truth(tmp_path / "crowd")) == 10
    make_unlabelled(tmp_path / "crowd", COUNT, **FAST)
    assert manifest(tmp_path / "crowd")["complete"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file"):
        make_unlabelled(tmp_path / "file", 4, **FAST)
    with pytest.raises(ValueError, match="file"):
        make_unlabelled(tmp_path / "file" / "crowd", 4, **FAST)


def test_the_lock_is_free_again_afterwards(tmp_path):
    with only_writer(tmp_path):
        pass
    with only_writer(tmp_path), pytest.raises(ValueError, match="another process"):
        with only_writer(tmp_path):
            pass


@pytest.mark.parametrize(
    ("count", "options", "complaint"),
    [
        (0, {}, "count of at least 1, got 0"),
        (2.5, {}, "count to be an integer"),
        (4, {"ids": 1}, "ids of at least 2"),
        (4, {"supersample": 0}, "supersample of at least 1"),
        (4, {"supersample": 1.5}, "supersample to be an integer"),
        (4, {"poor": 2}, "share from 0 to 1"),
        (4, {"world": "z"}, "'z'.*'a', 'b', 'c'"),
        (4, {"difficulty": "easy"}, "'smoke', 'default', 'hard'"),
        (4, {"size": (100, 64)}, "twice as high as wide"),
        (4, {"seed": -1}, "seed of at least 0"),
        (4, {"cameras": 1}, "cameras of at least 2"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(count, options, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        make_unlabelled(tmp_path / "crowd", count, **options)
    assert not (tmp_path / "crowd").exists()


def test_the_truth_is_that_of_the_images_and_marked_as_not_for_training(made):
    rows = read_unlabelled_truth(made)
    assert [row.file for row in rows] == [f"images/{i // 10:03d}/{i:06d}.jpg" for i in range(COUNT)]
    crowd = Crowd(UnlabelledOptions(**FAST))
    for i, row in enumerate(rows):
        snapshot = crowd.snapshot(i)
        assert (row.pid, row.camid, row.poor) == (snapshot.pid, snapshot.camid, snapshot.poor)
        assert (row.pid == 0) == (snapshot.shot.person is None) == (row.yaw is None)
        assert row.poor != "empty" or row.pid == 0
        if row.yaw is not None:
            assert row.yaw == pytest.approx(snapshot.shot.yaw, abs=0.06)
        quality = crowd.network[row.camid - 1].jpeg_quality
        with Image.open(made / row.file) as image:
            assert image.quantization[0][0] == reference_quantization(quality)[0][0]
    assert "NOT to train on" in manifest(made)["truth"]
    assert "NOT to train on" in (made / "truth" / "README.txt").read_text()
    with open(made / "truth" / "000.csv", newline="") as file:
        assert next(csv.reader(file)) == ["file", "pid", "camid", "poor", "yaw"]


def reference_quantization(quality):
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).quantization


def test_a_changed_or_missing_table_is_told(copied):
    (copied / "truth" / "001.csv").write_text("file,pid,camid,poor,yaw\n")
    with pytest.raises(ValueError, match=r"001.csv has changed.*repairs it"):
        read_unlabelled_truth(copied)
    (copied / "truth" / "001.csv").unlink()
    with pytest.raises(ValueError, match=r"001.csv cannot be read"):
        read_unlabelled_truth(copied)


@pytest.fixture(scope="module")
def stream():
    crowd = Crowd(UnlabelledOptions())
    return [crowd.snapshot(i) for i in range(1100)]


def test_many_people_come_by_a_few_times_each(stream):
    seen = Counter(s.pid for s in stream[: BLOCK * PER_PERSON] if s.pid)
    assert len(seen) > 0.95 * BLOCK * (1 - np.exp(-PER_PERSON))
    assert 2 < np.mean(list(seen.values())) < 5 and max(seen.values()) < 15
    assert {s.camid for s in stream} == set(range(1, 7))
    later = {s.pid for s in stream[BLOCK * PER_PERSON :] if s.pid}
    assert min(later) > BLOCK  # new people keep coming


def test_a_quarter_is_poor_in_all_five_ways(stream):
    kinds = Counter(s.poor for s in stream)
    assert (len(stream) - kinds[None]) / len(stream) == pytest.approx(0.25, abs=0.04)
    assert set(kinds) == {None, *KINDS}
    assert min(kinds[kind] for kind in KINDS) > 30


def test_an_image_is_drawn_from_its_number_alone(stream):
    crowd = Crowd(UnlabelledOptions())
    for i in (1050, 3, 700, 3):
        assert crowd.snapshot(i) == stream[i]


def test_another_share_leaves_the_good_images_as_they_are(stream):
    clean, all_poor = Crowd(UnlabelledOptions(poor=0)), Crowd(UnlabelledOptions(poor=1))
    for snapshot in stream[:200]:
        good = clean.snapshot(snapshot.index)
        assert good.poor is None and good.shot.person is not None
        assert all_poor.snapshot(snapshot.index).poor is not None
        assert snapshot.poor or snapshot == good


def test_a_given_number_of_people_is_kept_to():
    crowd = Crowd(UnlabelledOptions(ids=7, poor=1.0))
    seen = {crowd.snapshot(i).pid for i in range(150)}
    assert seen == set(range(8))  # and nobody, in empty boxes
    assert {crowd.snapshot(i).camid for i in range(60)} == set(range(1, 7))


def test_nobody_stands_beside_himself():
    crowd = Crowd(UnlabelledOptions(ids=3, poor=0.5, difficulty="hard"))
    shots = [crowd.snapshot(i).shot for i in range(150)]
    beside = [shot for shot in shots if shot.bystander and shot.person]
    assert len(beside) > 15
    assert all(shot.person != shot.bystander for shot in beside)


def test_people_are_others_than_in_the_labelled_set_of_the_same_seed(stream):
    labelled = set(make_plan(SyntheticOptions(ids=40, world="c", test_ids=40)).people.values())
    assert not labelled & {s.shot.person for s in stream}


def test_a_bar_is_shown_only_when_asked(tmp_path, capsys):
    make_unlabelled(tmp_path / "quiet", 3, **FAST)
    assert capsys.readouterr() == ("", "")
    make_unlabelled(tmp_path / "loud", 3, **FAST, progress=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "3/3" in shown.err


SHORT = "--size 32 16 --difficulty smoke".split()


def test_the_command_makes_a_set_and_says_what_is_in_it(tmp_path, capsys, made):
    out = tmp_path / "crowd"
    data_make.main(["--unlabelled", str(COUNT), "--out", str(out), *SHORT])
    assert contents(out) == contents(made)
    rows = read_unlabelled_truth(out)
    poor = sum(row.poor is not None for row in rows)
    said = capsys.readouterr().out
    people = len({r.pid for r in rows} - {0})
    assert f"{COUNT} images of {people} people, {poor} of them poor crops" in said
    data_make.main([f"--unlabelled={COUNT}", "--out", str(out), *SHORT])
    with pytest.raises(ValueError, match="poor=0.25, not 0.0"):
        data_make.main(["--unlabelled", str(COUNT), "--out", str(out), "--poor", "0", *SHORT])


def test_the_command_explains_its_flags(capsys):
    with pytest.raises(SystemExit):
        data_make.main(["--unlabelled", "--help"])
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--supersample", "--poor", "--ids", "--world"))
    assert "--test-ids" not in shown
    with pytest.raises(SystemExit):
        data_make.main(["--unlabelled", "5", "--out", "x", "--test-ids", "3"])


def test_time_is_not_part_of_a_set(made):
    assert str(time.localtime().tm_year) not in (made / "manifest.json").read_text()
