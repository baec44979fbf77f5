"""`reidlab train attributes`: from a folder of people to a network with a card."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import torch

from reidlab.calibration.temperature import AttributeCalibration
from reidlab.checkpoints import load_model, read_card
from reidlab.cli import main
from reidlab.cli.train import Train, _reading
from reidlab.data.attributes import read_attributes, write_csv
from reidlab.data.heads import COLUMNS, class_weights, counts
from reidlab.data.readers import read_dataset
from reidlab.data.targets import people_of
from reidlab.recipes import recipe

ENV = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads()), "CUDA_VISIBLE_DEVICES": ""}
MAKE = "--ids 12 --validation-ids 4 --test-ids 4 --distractors 4 --junk 2 --images-per-id 4"
TINY = "--ids-per-batch 4 --device cpu --pretrained none"


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*words, check=True):
    """The command as a user types it, in this process."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(" ".join(map(str, words)).split())
        except SystemExit as left:
            status = int(left.code or 0)
    done = Done(status, out.getvalue(), err.getvalue())
    assert status == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "people"
    run("data make --out", folder, MAKE, "--cameras 3 --difficulty smoke")
    return folder


def test_a_run_ends_in_a_network_its_log_and_a_card(people, tmp_path):
    out = tmp_path / "run"
    done = run("train attributes --data", people, "--epochs 2", TINY, "--out", out)
    assert "kept epoch" in done.stdout and f"reidlab attributes --model {out}" in done.stdout
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and {"hat", "up_color", "val_loss", "val_balanced"} <= set(rows[0])
    card = read_card(out)
    assert AttributeCalibration.from_dict(card["calibration"]).images > 0
    assert card["origin"]["classes"]["age"] == ["young", "teenager", "adult", "old"]
    assert card["method"] == "attributes" and card["held_out"] == []
    model, _ = load_model(out)
    assert len(model.heads) == 12
    run("evaluate", out)  # its features rank people, too


def test_without_validation_people_rare_attributes_are_held_out(people, tmp_path):
    folder, out = tmp_path / "plain", tmp_path / "run"
    shutil.copytree(people, folder)
    for name in ("validation_query", "validation_gallery"):
        shutil.rmtree(folder / name)
    for name in ("manifest.json", "pack.npy"):
        (folder / name).unlink()
    words = f"--epochs 1 {TINY} --share 0.7 --out {out}"
    done = run("train attributes --data", folder, words)
    assert "people train and" in done.stdout and "asked for 70.0%" in done.stdout
    held = set(read_card(out)["held_out"])
    train = {sample.pid for sample in read_dataset(folder).train}
    assert held and held < train


def test_annotations_may_lie_elsewhere(market_folder, tmp_path):
    train = f"train attributes --data {market_folder} --epochs 1 {TINY} --out {tmp_path / 'run'}"
    refused = run(train, check=False)
    assert refused.returncode == 1 and "or name a file with --annotations" in refused.stderr
    rows = {1: _labels(1), 2: _labels(2), 3: _labels(1), 4: _labels(2)}
    write_csv(tmp_path / "a.csv", rows)
    run(train, "--annotations", tmp_path / "a.csv", "--share 0.5")
    write_csv(tmp_path / "b.csv", {pid: rows[pid] for pid in (1, 2, 3)})
    refused = run(train, "--annotations", tmp_path / "b.csv", "--restart", check=False)
    assert refused.returncode == 1 and "person 4" in refused.stderr


def _labels(code):
    return dict.fromkeys(COLUMNS, 1) | {"hat": code, "age": code}


def test_a_killed_run_ends_in_the_same_network(people, tmp_path):
    train = f"train attributes --data {people} --epochs 6 --patience 6 {TINY}"
    run(train, "--out", tmp_path / "whole")
    words = f"{train} --out {tmp_path / 'cut'}".split()
    with subprocess.Popen([sys.executable, "-m", "reidlab", *words], env=ENV) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "cut" / "checkpoint.pt").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    run(train, "--out", tmp_path / "cut")
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    cards = [json.loads(file.with_suffix(".json").read_text()) for file in files]
    assert cards[0]["calibration"] == cards[1]["calibration"]


def test_two_processes_train_and_one_speaks(people, tmp_path):
    train = f"train attributes --data {people} --epochs 2 {TINY} --out {tmp_path / 'run'}"
    words = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", "reidlab"]
    environment = ENV | {"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, *words, *train.split()], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("kept epoch") == 1
    assert load_model(tmp_path / "run")[0].eval()(torch.zeros(1, 3, 128, 64)).logits["hat"].shape


def test_the_synthetic_set_of_attributes_is_the_wide_one():
    chosen = recipe("attributes")
    assert _reading(Train(), chosen).variant == "wide"
    assert _reading(Train(data="people"), chosen).variant is None
    assert _reading(Train(), recipe("baseline")).variant is None


def test_flags_of_attributes_are_refused_elsewhere_and_those_of_people_here(people, tmp_path):
    (tmp_path / "a.csv").write_text("id\n")
    words = f"--data {people} --out {tmp_path / 'run'}"
    refused = run("train baseline", words, "--annotations", tmp_path / "a.csv", check=False)
    assert refused.returncode == 1 and "--annotations is for train attributes" in refused.stderr
    for flags, message in (
        ("--unweighted", "--unweighted is for train attributes"),
        ("--patience 2 --validate-every 1", "there are: val_mAP, val_rank1"),
        ("--patience 2", "none, for lack of --validate-every 1"),
        ("--patience 2 --validate-every 2 --monitor val_mAP", "add --validate-every 1"),
    ):
        refused = run("train baseline", words, flags, check=False)
        assert refused.returncode == 1 and message in refused.stderr
    for flags, message in (
        ("--monitor val_acc", "there are: val_loss, val_accuracy, val_balanced"),
        ("--share 0.5", "has validation people; leave out --share"),
        ("--validate-every 2", "validated after every epoch; leave out --validate-every"),
    ):
        refused = run("train attributes", words, TINY, flags, check=False)
        assert refused.returncode == 1 and message in refused.stderr
    assert not (tmp_path / "run" / "log.csv").exists()  # all before the first epoch
    watched = "--patience 1 --validate-every 1 --monitor val_mAP"
    run("train baseline", words, watched, "--epochs 2 --ids-per-batch 4 --device cpu")


def test_the_epoch_that_was_best_is_kept_scored_and_named(people, tmp_path):
    best = {}
    for monitor in ("val_loss", "val_accuracy"):
        out = tmp_path / monitor
        words = f"--epochs 6 --patience 6 --monitor {monitor} {TINY} --out {out}"
        done = run("train attributes --data", people, words)
        with (out / "log.csv").open() as file:
            column = [float(row[monitor]) for row in csv.DictReader(file)]
        pick = min if monitor == "val_loss" else max
        best[monitor] = column.index(pick(column)) + 1
        card = read_card(out)
        assert f"kept epoch {best[monitor]};" in done.stdout
        assert card["kept"]["epoch"] == best[monitor]
        assert card["validation"]["mean_accuracy"] == pytest.approx(card["kept"]["val_accuracy"])
    assert set(best.values()) != {6}  # else the last epoch would do as well


def test_the_controls_have_flags(people, tmp_path):
    words = f"--epochs 1 {TINY}"
    run("train attributes --data", people, words, "--joint --reduction mean --out", tmp_path / "a")
    run("train attributes --data", people, words, "--unweighted --out", tmp_path / "b")
    joint, plain = (read_card(tmp_path / name) for name in "ab")
    assert joint["origin"]["arguments"]["joint"] and joint["loss"] == {"reduction": "mean"}
    assert not plain["origin"]["arguments"]["joint"]
    found = [AttributeCalibration.from_dict(card["calibration"]).weights for card in (joint, plain)]
    weights = class_weights(counts(people_of(read_dataset(people).train)))
    assert {head: list(row) for head, row in found[0].items()} == weights
    assert all(set(row) == {1.0} for row in found[1].values())


def test_changed_labels_are_another_run(market_folder, tmp_path):
    rows = {pid: _labels(1 + pid % 2) for pid in (1, 2, 3, 4)}
    write_csv(tmp_path / "a.csv", rows)
    words = f"--annotations {tmp_path / 'a.csv'} --share 0.5 --epochs 1 {TINY}"
    train = f"train attributes --data {market_folder} {words} --out {tmp_path / 'run'}"
    run(train)
    swapped = {1: rows[2], 2: rows[1], 3: rows[4], 4: rows[3]}  # the same counts
    write_csv(tmp_path / "a.csv", swapped)
    refused = run(train, check=False)
    assert refused.returncode == 1 and "belongs to another run" in refused.stderr


def test_damaged_annotations_of_the_dataset_are_named(people, tmp_path):
    folder = tmp_path / "people"
    shutil.copytree(people, folder)
    table = read_attributes(people / "annotations_train.csv")
    bad = {pid: dict(row) for pid, row in table.items()}
    write_csv(tmp_path / "good.csv", bad)
    text = (tmp_path / "good.csv").read_text().splitlines()
    cells = text[3].split(",")
    cells[9] = "7"
    text[3] = ",".join(cells)
    (tmp_path / "bad.csv").write_text("\n".join(text) + "\n")
    train = f"train attributes --data {folder} --annotations {tmp_path / 'bad.csv'}"
    refused = run(train, "--out", tmp_path / "run", check=False)
    assert refused.returncode == 1
    assert "bad.csv, row 4" in refused.stderr and "column hat is 7" in refused.stderr


def test_a_row_without_an_image_is_named_or_passed_over(market_folder, tmp_path):
    write_csv(tmp_path / "a.csv", {pid: _labels(1 + pid % 2) for pid in (1, 2, 3, 4, 77)})
    words = f"--annotations {tmp_path / 'a.csv'} --share 0.5 --epochs 1 {TINY}"
    train = f"train attributes --data {market_folder} {words} --out {tmp_path / 'run'}"
    refused = run(train, check=False)
    assert refused.returncode == 1
    assert "a.csv, row 6, column id: person 77 is in none of the images" in refused.stderr
    run(train, "--unused ignore")


def test_damaged_tables_in_the_folder_are_named_with_row_and_column(market_folder, tmp_path):
    write_csv(market_folder / "annotations_train.csv", {p: _labels(1) for p in (1, 2, 3, 4)})
    file = market_folder / "annotations_train.csv"
    rows = file.read_text().splitlines()
    rows[2] = rows[2].replace("2,1", "2,9", 1)
    file.write_text("\n".join(rows) + "\n")
    done = run(f"train attributes --data {market_folder} --out {tmp_path / 'run'}", check=False)
    assert done.returncode == 1
    assert "annotations_train.csv, row 3 (id 2): column age is 9" in done.stderr
