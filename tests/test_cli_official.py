"""`reidlab evaluate --official SOURCE FILE`."""

import contextlib
import io
import json

import pytest
import torch

from reidlab import embed, evaluate, load_official, read_dataset, save_model
from reidlab.cli import main
from reidlab.models.baseline import baseline_resnet50


def run(*words, check=True):
    """Status and output of the command, in this process."""
    out, status = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main([str(word) for word in words])
        except SystemExit as left:
            status = int(left.code or 0)
    assert (status == 0) == check, out.getvalue()
    return out.getvalue()


@pytest.fixture(scope="module")
def published(golden, tmp_path_factory):
    """A file like those that the strong baseline's authors released, filled by the golden rule."""
    shapes = golden.json("transreid/manifest_resnet50_strong")
    state = {
        key: golden.weight(key, shape, fan_in=True) if shape else torch.tensor(0)
        for key, shape in shapes.items()
    }
    file = tmp_path_factory.mktemp("weights") / "resnet50_market.pth"
    torch.save({f"module.{key}": value for key, value in state.items()}, file)
    return file


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_published_weights_score_as_they_do_in_python(published, market_folder, here):
    words = ["--official", "strong-baseline", published, "--data", market_folder]
    table = run("evaluate", *words, "--image-size", 64, 32)
    splits = read_dataset(market_folder)
    model = load_official("strong-baseline", published, image_size=(64, 32))
    scores = evaluate(embed(model, splits.query), embed(model, splits.gallery))
    header, row = table.splitlines()
    assert f"strong-baseline on {scores.source}" in row and f"{scores.mean_ap:.1%}" in row
    assert [file.name for file in published.parent.iterdir()] == [published.name]
    file = here / "runs" / "official-strong-baseline-resnet50_market" / "scores-market.json"
    found = json.loads(file.read_text())
    assert found["mAP"] == scores.mean_ap and found["mINP"] == scores.mean_inp
    assert found["cmc"] == scores.cmc.tolist() and found["flip"] is False
    assert found["official"] == "strong-baseline" and found["file"] == str(published)
    assert found["weights"] == model.origin["start"]["weights"]
    assert found["fingerprint"] == splits.fingerprint


@pytest.fixture
def narrow(tmp_path):
    """A ResNet-50 of width 4 in the words of the two projects."""
    words = (("trunk.", "base."), ("neck.norm.", "bottleneck."), ("neck.classifier", "classifier"))
    state = baseline_resnet50(7, width=4).state_dict()
    for ours, theirs in words:
        state = {key.replace(ours, theirs): value for key, value in state.items()}
    torch.save(state, tmp_path / "narrow.pth")
    return tmp_path / "narrow.pth"


def test_settings_reach_the_network_and_the_scores_go_where_they_are_told(
    narrow, market_folder, here
):
    words = ["evaluate", "--official", "transreid", narrow, "--data", market_folder]
    size = ["--image-size", 32, 16]
    run(*words, *size, "--out", here / "a")
    other = [*size, "--last-stride", 2, "--flip", "yes", "--neck", "before"]
    run(*words, *other, "--out", here / "b")
    assert sorted(path.name for path in here.iterdir()) == ["a", "b", "market", "narrow.pth"]
    splits = read_dataset(market_folder)
    model = load_official("transreid", narrow, image_size=(32, 16), last_stride=2)
    settings = {"flip": True, "neck": "before"}
    parts = (embed(model, part, **settings) for part in (splits.query, splits.gallery))
    found = json.loads((here / "b" / "scores-market-flip-yes-neck-before.json").read_text())
    assert found["mAP"] == evaluate(*parts).mean_ap
    assert (found["flip"], found["neck"]) == (True, "before")
    first = json.loads((here / "a" / "scores-market.json").read_text())
    assert (first["flip"], first["neck"]) == (False, None)


def test_scores_of_a_run_go_to_its_folder_unless_told_otherwise(market_folder, here):
    save_model(here / "run", baseline_resnet50(7, width=4, image_size=(32, 16)), {})
    table = run("evaluate", "run", "--data", market_folder)
    assert "on market" not in table and (here / "run" / "scores-market.json").is_file()
    run("evaluate", "run", "--data", market_folder, "--out", "elsewhere")
    there, first = (here / name / "scores-market.json" for name in ("elsewhere", "run"))
    assert there.read_text() == first.read_text() and "official" not in first.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "which model? name the folder RUN of a training, or --official SOURCE FILE"),
        ("run --official transreid w.pth --data x", "got both (RUN is run)"),
        ("--official transreid w.pth", "w.pth does not say its dataset; name one with --data"),
        ("--official dino w.pth --data x", "choose one of strong-baseline, transreid"),
        ("--official transreid w.pth --data x", "no weights file at w.pth"),
        ("run --image-size 3 4", "--image-size: only for --official"),
        ("run --last-stride 2", "--last-stride: only for --official"),
        ("--official transreid narrow.pth --data x --image-size 0 4", "image_size must be"),
        ("--official transreid narrow.pth --data nowhere", "nowhere"),
        ("--official transreid", "SOURCE FILE"),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(words, message, here, narrow):
    assert message in run("evaluate", *words.split(), check=False)
    assert list(here.iterdir()) == [narrow]


def test_the_help_shows_the_flags_and_an_example():
    text = run("evaluate", "--help")
    for part in ("[RUN]", "--official SOURCE FILE", "--image-size HEIGHT WIDTH", "--out"):
        assert part in text
    assert "reidlab evaluate --official strong-baseline" in text
