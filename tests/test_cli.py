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

from reidlab.cli import CONTINUES, main, overview

MAKE = "--ids 4 --validation-ids 2 --test-ids 4 --distractors 4 --junk 2 --images-per-id 6"
SMALL = "--cameras 3 --difficulty smoke"


# As many threads as in this process: another number adds up floats in another order.
ENV = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads()), "CUDA_VISIBLE_DEVICES": ""}


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


def test_the_command_runs_as_a_process_and_leaves_with_its_status():
    command = [sys.executable, "-m", "reidlab", "evaluate", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("reidlab: no model at nowhere") and done.stdout == ""


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "people"
    run("data make --out", folder, MAKE, SMALL)
    return folder


def test_a_first_session_ends_in_a_table(people, tmp_path):
    out = tmp_path / "run"
    trained = run("train baseline --data", people, "--epochs 2 --ids-per-batch 4 --out", out)
    assert f"reidlab evaluate {out}" in trained.stdout
    with (out / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    table = run("evaluate", out, "--picture", tmp_path / "hits.png").stdout
    assert "mAP" in table and "market" in table.lower()
    scores = json.loads((out / "scores.json").read_text())
    assert 0 < scores["mAP"] <= 1 and scores["flip"] is True
    assert (tmp_path / "hits.png").stat().st_size > 10_000
    other = run("evaluate", out, "--split validation --flip no --neck before --ap trapezoid").stdout
    assert other != table
    second = json.loads((out / "scores-validation-trapezoid-flip-no-neck-before.json").read_text())
    assert (second["ap"], second["split"], second["flip"]) == ("trapezoid", "validation", False)
    assert json.loads((out / "scores.json").read_text()) == scores


def test_killed_and_started_again_the_scores_are_the_same(people, tmp_path):
    train = f"train baseline --data {people} --epochs 6 --ids-per-batch 4"
    run(train, "--out", tmp_path / "whole")
    words = [*f"{train} --out {tmp_path / 'cut'}".split()]
    with subprocess.Popen([sys.executable, "-m", "reidlab", *words], env=ENV) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "cut" / "checkpoint.pt").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    unfinished = run("evaluate", tmp_path / "cut", check=False)
    assert unfinished.returncode == 1 and "did not finish" in unfinished.stderr
    run(train, "--out", tmp_path / "cut")
    for name in ("whole", "cut"):
        run("evaluate", tmp_path / name)
    whole, cut = (
        json.loads((tmp_path / name / "scores.json").read_text()) for name in ("whole", "cut")
    )
    assert whole == cut
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_damaged_image_of_a_rendered_dataset_is_named_or_left_out(people, tmp_path):
    shutil.copytree(people, tmp_path / "people")
    victim = sorted((tmp_path / "people" / "bounding_box_train").glob("*.jpg"))[2]
    victim.write_bytes(victim.read_bytes()[:200])
    train = f"train baseline --data {tmp_path / 'people'} --epochs 1 --ids-per-batch 4"
    refused = run(train, "--out", tmp_path / "run", check=False)
    assert refused.returncode == 1 and victim.name in refused.stderr
    run(train, "--on-error skip --out", tmp_path / "run")


def test_a_dataset_that_changed_since_the_training_is_not_scored_by_accident(people, tmp_path):
    shutil.copytree(people, tmp_path / "people")
    train = f"train baseline --data {tmp_path / 'people'} --epochs 1 --ids-per-batch 4"
    run(train, "--out", tmp_path / "run")
    sorted((tmp_path / "people" / "bounding_box_test").glob("0000*.jpg"))[0].unlink()
    refused = run("evaluate", tmp_path / "run", check=False)
    assert refused.returncode == 1 and "has changed since" in refused.stderr
    run("evaluate", tmp_path / "run", "--data", tmp_path / "people")


def test_a_plain_market_folder_trains_with_people_held_out(market_folder, tmp_path):
    out = tmp_path / "run"
    train = f"train baseline --data {market_folder} --epochs 2 --ids-per-batch 2 --images-per-id 2"
    run(train, "--validation-ids 1 --validate-every 1 --out", out)
    with (out / "log.csv").open() as file:
        assert all(0 <= float(row["val_mAP"]) <= 1 for row in csv.DictReader(file))
    run("evaluate", out)
    run("evaluate", out, "--split validation")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trian baseline", "did you mean 'train'?"),
        ("data mkae", "did you mean 'data make'?"),
        ("train", "no method; write"),
        ("train baseline --data nowhere", "nowhere"),
        ("evaluate nowhere", "no model at nowhere"),
        ("train baseline --sampler shuffle", "reid_loss needs sampler pk or groups, got shuffle"),
        ("train baseline --validation-ids 3", "leave out --validation-ids"),
        ("evaluate run --picture x.foo", "ends in .png"),
        ("data make --out /proc/nowhere", "/proc"),
        ("train baseline --epochs 0", "epochs must be above 0"),
        ("train baseline --pretrained x.pth", "--pretrained is for --profile paper"),
    ],
)
def test_mistakes_are_answered_without_a_traceback(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(words, check=False)
    assert done.returncode in (1, 2) and message in done.stderr + done.stdout


def test_unknown_flags_are_refused():
    assert run("train baseline --epoch 3", check=False).returncode == 2


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", ["data make", "train", "evaluate", "a first session"]),
        ("--help", ["data make", "train", "evaluate"]),
        ("data", ["data make"]),
        ("data --help", ["data make"]),
        ("data make --help", ["--difficulty", "--out", "examples:", "reidlab data make --out"]),
        ("train baseline --help", ["--epochs", "--ids-per-batch", "--flip", "examples:"]),
        ("evaluate --help", ["--neck", "--ap", "examples:"]),
        ("--version", ["reidlab 0."]),
    ],
)
def test_help_shows_flags_and_examples(words, parts):
    text = run(words).stdout
    assert all(part in text for part in parts), text


def test_help_shows_the_defaults_of_the_profile():
    desk, paper = (run(f"train baseline --profile {p} --help").stdout for p in ("desk", "paper"))
    assert "(default: 20)" in desk and "(default: 120)" in paper


def test_control_c_leaves_quietly(monkeypatch, capsys):
    from reidlab import cli

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Command, "load", lambda self: interrupted)
    for words, then in ((["evaluate", "run"], "starts again"), (["train", "baseline"], CONTINUES)):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 130
        assert f"interrupted; the same command {then}" in capsys.readouterr().err
    assert "a first session" in overview()


def test_only_training_is_shared_by_processes(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        main(["evaluate", "run"])
    assert "process 1 of 2: evaluate is work for one process" in capsys.readouterr().err
