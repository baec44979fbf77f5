"""`reidlab evaluate RUN --local`: stripes added to the score."""

import contextlib
import io
import json

import pytest
import torch

from reidlab import embed, load_model, read_dataset, save_embeddings, save_model
from reidlab.cli import main
from reidlab.evaluation import evaluate
from reidlab.models.aligned import aligned_small
from reidlab.models.baseline import baseline_small
from reidlab.ranking.aligned import dmli_distance

TINY = {"width": 4, "image_size": (64, 32)}


def run(*words, check=True):
    """Standard output and standard error of the command."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as left:
            status = int(left.code or 0)
    assert (status == 0) == check, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def market(market_writer, tmp_path_factory):
    return market_writer(tmp_path_factory.mktemp("people") / "market", people=6)


@pytest.fixture(scope="module")
def runs(market, tmp_path_factory):
    """Folders of two runs, one with stripes and one without."""
    read = {"read": str(market), "fingerprint": read_dataset(market).fingerprint}
    folder = tmp_path_factory.mktemp("runs")
    models = {"aligned": aligned_small(6, **TINY), "baseline": baseline_small(6, **TINY)}
    for name, model in models.items():
        save_model(folder / name, model, {"method": name, "flip": True, "data": read})
    return folder


@pytest.mark.parametrize("kind", ["aligned", "straight"])
def test_the_score_is_that_of_the_added_distance(runs, market, kind):
    text, _ = run("evaluate", runs / "aligned", "--local", kind, "--device", "cpu")
    assert f"global + {kind} local distance" in text
    model, splits = load_model(runs / "aligned")[0], read_dataset(market)
    parts = (splits.query, splits.gallery)
    whole = [embed(model, part, flip=True, device="cpu") for part in parts]
    local = [embed(model, part, flip=True, neck="local", device="cpu") for part in parts]
    added = dmli_distance(*whole, *local, stripes=4, aligned=kind == "aligned")
    stored = json.loads((runs / "aligned" / f"scores-local-{kind}.json").read_text())
    assert stored["local"] == kind and stored["neck"] is None
    assert stored["mAP"] == pytest.approx(evaluate(*whole, distance=added).mean_ap)


def test_all_protocols_and_the_picture_know_the_local_distance(runs, tmp_path):
    picture = tmp_path / "hits.png"
    words = ("--local", "aligned", "--protocol", "all", "--picture", picture, "--device", "cpu")
    text, _ = run("evaluate", runs / "aligned", *words)
    assert "global + aligned local distance" in text and picture.is_file()


@pytest.mark.parametrize("neck", ["global", "local"])
def test_either_feature_alone_can_be_scored(runs, market, neck):
    run("evaluate", runs / "aligned", "--neck", neck, "--device", "cpu")
    model, splits = load_model(runs / "aligned")[0], read_dataset(market)
    parts = (splits.query, splits.gallery)
    sides = [embed(model, part, flip=True, neck=neck, device="cpu") for part in parts]
    stored = json.loads((runs / "aligned" / f"scores-neck-{neck}.json").read_text())
    assert stored["neck"] == neck
    assert stored["mAP"] == pytest.approx(evaluate(*sides).mean_ap)


def test_a_network_without_stripes_is_refused(runs):
    _, error = run("evaluate", runs / "baseline", "--local", "aligned", check=False)
    assert "--local: Baseline has no stripes" in error and "train alignedreid" in error


def test_files_and_other_rankings_are_refused(runs, market, tmp_path):
    words = ("--local", "straight")
    for other in (("--rerank", "zhong"), ("--expand", "1")):
        _, error = run("evaluate", runs / "aligned", *words, *other, check=False)
        assert "--local: not together with --rerank or --expand" in error
    splits = read_dataset(market)
    model = load_model(runs / "aligned")[0]
    head = {"model": {"weights": "w"}, "data": {"fingerprint": splits.fingerprint}}
    files = []
    for part in ("query", "gallery"):
        found = embed(model, getattr(splits, part), device="cpu")
        files.append(save_embeddings(tmp_path / f"{part}.npz", found, metadata=head))
    _, error = run("evaluate", "--embeddings", *files, *words, check=False)
    assert "--local needs the network" in error


def test_the_help_explains_it():
    text, _ = run("evaluate", "--help")
    flat = " ".join(text.replace("│", " ").split())
    assert "--scoring.local" in flat or "--local" in flat
    assert "Add the distance of stripes" in flat


def test_official_weights_are_scored_with_stripes(market, tmp_path, monkeypatch):
    from reidlab.checkpoints.keys import LAYOUTS
    from reidlab.models.aligned import aligned_resnet50

    monkeypatch.chdir(tmp_path)
    layout = next(each for each in LAYOUTS if each.source == "alignedreid")
    state = aligned_resnet50(3, width=4).state_dict()
    torch.save({layout.theirs(key): value for key, value in state.items()}, "weights.pth")
    words = ("--official", "alignedreid", "weights.pth", "--image-size", 64, 32, "--data", market)
    text, _ = run("evaluate", *words, "--last-stride", 1, "--local", "aligned", "--device", "cpu")
    assert "alignedreid on market" in text and "global + aligned local distance" in text
