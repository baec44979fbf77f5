"""`reidlab train METHOD` for the convolutional networks: flags, validation, what is saved."""

import contextlib
import io
import json
from dataclasses import dataclass

import pytest

from reidlab.checkpoints import load_model, read_card
from reidlab.cli import main

MAKE = "--ids 12 --validation-ids 4 --test-ids 6 --distractors 4 --junk 2 --images-per-id 4"
SMALL = "--image-size 64 32 --epochs 1 --ids-per-batch 4 --images-per-id 2 --device cpu"
NARROW = "--width 8 --pretrained none"
METHODS = {
    "siamese": NARROW,
    "multibranch": NARROW,
    "ianet": NARROW,
    "alignedreid": NARROW,
    "deep-cosine": "--width 4",
}


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*words, check=True):
    """The command as a user types it, in this process."""
    out, err, status = io.StringIO(), io.StringIO(), 0
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
    run("data make --out", folder, MAKE, "--cameras 3 --difficulty smoke --size 64 32")
    return folder


@pytest.fixture
def train(people, tmp_path):
    """Train a method in a small way; flags may be added."""

    def training(method, *flags, check=True):
        words = f"--data {people} --out {tmp_path / 'run'} {SMALL}"
        return run("train", method, words, *flags, check=check), tmp_path / "run"

    return training


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_is_saved_and_can_be_evaluated(train, method, people):
    done, folder = train(method, METHODS[method])
    assert "1 epochs done" in done.stdout and f"next: reidlab evaluate {folder}" in done.stdout
    card = read_card(folder)
    assert card["method"] == method and card["data"]["name"] and card["source"]
    model, preprocess = load_model(folder)
    assert preprocess.size == (64, 32) and not model.training
    scored = run("evaluate", folder)
    assert "mAP" in scored.stdout


def test_settings_of_network_and_loss_reach_both(train):
    done, folder = train(
        "ianet", NARROW, "--fusion renormalised --pairwise circle --pair-margin 0.2"
    )
    card = read_card(folder)
    assert card["loss"]["pairwise"] == "circle" and card["loss"]["pair_margin"] == 0.2
    model, _ = load_model(folder)
    blocks = [m for m in model.modules() if type(m).__name__ == "IABlock"]
    assert blocks and {block.fusion for block in blocks} == {"renormalised"}


def test_without_classes_there_is_no_identity_loss(train):
    done, folder = train("multibranch", NARROW, "--no-classes")
    assert "id " not in done.stdout.split("epoch   1/1")[1].split("images/s")[0]
    model, _ = load_model(folder)
    assert model.num_ids is None and not model.classifiers
    refused, _ = train("ianet", NARROW, "--no-classes", check=False)
    assert refused.returncode == 1
    assert "--no-classes is for train multibranch, not for ianet" in refused.stderr


def test_the_loss_of_validation_people_can_stop_a_training(train):
    done, folder = train("multibranch", NARROW, "--patience 1 --epochs 3 --lr 0.0001")
    assert "val_loss" in done.stdout
    assert "val_loss" in json.loads((folder / "model.json").read_text())["kept"]
    done, folder = train("siamese", NARROW, "--patience 1", "--restart")
    assert "val_loss" in done.stdout
    refused, _ = train("ianet", NARROW, "--patience 1", check=False)
    assert refused.returncode == 1 and "val_loss: no such number" in refused.stderr


def test_mining_needs_its_sampler_and_says_so(train):
    refused, folder = train("multibranch", NARROW, "--sampler pk", check=False)
    assert refused.returncode == 1 and "--mining given --sampler triplets" in refused.stderr
    refused, _ = train("multibranch", NARROW, "--mining hard", check=False)
    assert "mining hard needs sampler pk or groups, got triplets" in refused.stderr
    refused, _ = train("siamese", NARROW, "--sampler pk", check=False)
    assert "pair_loss needs sampler pairs, got pk (--sampler pairs)" in refused.stderr
    refused, _ = train("ianet", NARROW, "--sampler triplets", check=False)
    wanted = "pairwise triplet needs sampler pk or groups, got triplets"
    assert refused.returncode == 1 and wanted in refused.stderr
    assert not folder.exists()  # refused before any work
    done, _ = train("ianet", NARROW, "--sampler shuffle --pairwise none")
    assert "1 epochs done" in done.stdout


def test_mining_trains_with_its_sampler(train):
    done, _ = train("multibranch", NARROW, "--sampler pk --mining hard")
    assert "1 epochs done" in done.stdout


@pytest.mark.parametrize(
    ("method", "flags", "message"),
    [
        ("multibranch", "--no-classes --smoothing 0.1", "--smoothing is of the identity loss"),
        ("multibranch", "--no-classes --id-on=all", "--id-on is of the identity loss"),
        (
            "multibranch",
            "--mining hard --sampler pk --id_on anchor",
            "--id-on is for --mining given",
        ),
        ("deep-cosine", "--no-classes", "is for train multibranch, not for deep-cosine"),
        ("siamese", "--no-classes", "is for train multibranch, not for siamese"),
        ("ianet", "--classification arcface", "--classifier cosine"),
        ("ianet", "--classifier cosine", "--classifier linear"),
        ("multibranch", "--weight -1", "weight must be 0 or more and finite, got -1"),
        ("multibranch", "--margin nan", "margin must be 0 or more and finite, got nan"),
    ],
)
def test_settings_without_effect_or_sense_are_refused(train, method, flags, message):
    refused, _ = train(method, METHODS[method], flags, check=False)
    assert refused.returncode == 1 and message in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("method", "flags", "message"),
    [
        ("ianet", "--pairwise cosine", "triplet"),
        ("ianet", "--fusion half", "renormalised"),
        ("alignedreid", "--local mid", "mean"),
        ("multibranch", "--metric manhattan", "euclidean"),
        ("deep-cosine", "--pretrained crowd", "starts at random"),
    ],
)
def test_a_setting_that_does_not_exist_names_those_that_do(train, method, flags, message):
    refused, _ = train(method, METHODS[method], flags, check=False)
    assert refused.returncode in (1, 2) and message in refused.stderr
    assert "Traceback" not in refused.stderr
