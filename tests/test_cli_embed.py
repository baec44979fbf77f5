import contextlib
import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from reidlab.checkpoints import load_model, save_model
from reidlab.cli import main
from reidlab.cli.embed import weights_digest
from reidlab.data.readers import read_dataset
from reidlab.embedding import embed, embed_blocks, load_embeddings, read_metadata
from reidlab.models.baseline import baseline_small

pytest.importorskip("pyarrow")


def run(*words):
    """Status, standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as left:
            status = int(left.code or 0)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def trained(market_folder, tmp_path):
    """The folder of a run with the tiny Market-like dataset as its training data."""
    card = {
        "method": "baseline",
        "flip": True,
        "data": {
            "read": str(market_folder),
            "fingerprint": read_dataset(market_folder).fingerprint,
        },
    }
    model = baseline_small(4, width=8, image_size=(64, 32))
    model.neck.norm.running_mean += 0.5  # both sides of the neck differ
    save_model(tmp_path / "run", model, card)
    return tmp_path / "run"


def same(found, expected):
    assert found.paths == expected.paths and found.pids.tolist() == expected.pids.tolist()
    assert found.camids.tolist() == expected.camids.tolist()
    torch.testing.assert_close(found.features, expected.features, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_the_file_holds_what_embed_gives(suffix, trained, market_folder, tmp_path):
    out = tmp_path / "features" / f"gallery{suffix}"
    status, printed, _ = run("embed", trained, "--part", "gallery", "--out", out)
    assert status == 0
    model, _ = load_model(trained)
    found = load_embeddings(out)
    same(found, embed(model, read_dataset(market_folder).gallery, flip=True))
    assert found.source == "market"
    size = out.stat().st_size / 1000
    assert printed.startswith(f"{out}: {len(found)} images x 64, {size:.1f} KB, ")
    assert printed.endswith(" images/s\n") and printed.count("\n") == 1


def test_flags_reach_the_embedding(trained, market_folder, tmp_path):
    model, _ = load_model(trained)
    query = read_dataset(market_folder).query
    out = tmp_path / "f.npz"
    words = ("--part", "query", "--flip", "no", "--neck", "before", "--batch-size", 5, "--out", out)
    assert run("embed", trained, "--device", "cpu", *words)[0] == 0
    same(load_embeddings(out), embed(model, query, neck="before"))
    metadata = read_metadata(out)
    assert metadata["flip"] is False and metadata["neck"] == "before"


def test_all_parts_come_in_one_file_and_cameras_keep_their_numbers(
    trained, market_folder, tmp_path, monkeypatch
):
    seen = []

    def watching(model, samples, **settings):
        seen.append(samples)
        return embed_blocks(model, samples, block=7, **settings)

    monkeypatch.setattr("reidlab.cli.embed.embed_blocks", watching)
    out = tmp_path / "all.parquet"
    assert run("embed", trained, "--out", out)[0] == 0
    splits = read_dataset(market_folder)
    everybody = [*splits.train, *splits.query, *splits.gallery]
    assert list(load_embeddings(out).paths) == [sample.path for sample in everybody]
    assert seen[0].cameras == splits.cameras and seen[0].source == "market"
    folders = {Path(path).parts[0] for path in pd.read_parquet(out)["path"]}
    assert folders == {"bounding_box_train", "query", "bounding_box_test"}


def test_metadata_say_where_features_come_from(trained, market_folder, tmp_path):
    out = tmp_path / "q.parquet"
    run("embed", trained, "--part", "query", "--out", out)
    found = read_metadata(out)
    splits = read_dataset(market_folder)
    assert found["model"]["name"] == "baseline_small" and found["model"]["method"] == "baseline"
    assert found["model"]["path"] == str(trained) and len(found["model"]["card"]) == 16
    assert found["model"]["weights"] == weights_digest(load_model(trained)[0])
    assert found["data"] == {
        "name": "market",
        "fingerprint": splits.fingerprint,
        "part": "query",
        "labelled": True,
    }
    assert found["flip"] is True and found["neck"] == "after" and found["size"] == [64, 32]
    assert found["folder"] == str(market_folder)  # the dataset's, not that of the part


def test_the_digest_of_the_weights_sees_every_change():
    model = baseline_small(4, width=8, image_size=(64, 32))
    before = weights_digest(model)
    assert before == weights_digest(model)
    with torch.no_grad():
        model.neck.norm.running_mean[3] += 1e-6
    assert weights_digest(model) != before


def test_a_folder_of_crops_without_labels(trained, market_folder, tmp_path):
    crops = tmp_path / "crops"
    (crops / "deep").mkdir(parents=True)
    for i, file in enumerate(sorted((market_folder / "query").iterdir())[:5]):
        shutil.copy(file, crops / "deep" / f"anything{i}.jpg")
    out = tmp_path / "f.parquet"
    status, _, error = run("embed", trained, "--data", crops, "--unlabelled", "--out", out)
    assert status == 0, error
    assert len(load_embeddings(out)) == 5 and read_metadata(out)["data"]["labelled"] is False
    assert read_metadata(out)["folder"] == str(crops / "deep")


def test_bad_images_are_refused_or_left_out(trained, market_folder, tmp_path, caplog):
    victim = sorted((market_folder / "query").iterdir())[2]
    victim.write_bytes(b"no image")
    words = ("embed", trained, "--part", "query", "--out", tmp_path / "f.parquet")
    status, _, error = run(*words)
    assert status == 1 and victim.name in error and not (tmp_path / "f.parquet").exists()
    status, printed, _ = run(*words, "--on-error", "skip")
    assert status == 0 and victim.name in caplog.text and "11 images x 64" in printed
    assert victim not in load_embeddings(tmp_path / "f.parquet").paths


def test_interrupted_it_says_that_nothing_was_written(trained, tmp_path, monkeypatch):
    def stopping(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("reidlab.cli.embed.embed_blocks", stopping)
    out = tmp_path / "f.npz"
    status, _, error = run("embed", trained, "--out", out)
    assert status == 130 and f"{out} was not written" in error and not out.exists()


def test_mistakes_are_answered_without_a_traceback(trained, market_folder, tmp_path):
    out = tmp_path / "f.npz"
    for words, message in (
        (("nowhere", "--out", out), "no model at nowhere"),
        ((trained, "--out", tmp_path / "f.csv"), "ends in .parquet or .npz"),
        ((trained, "--out", tmp_path), "expected a name that ends in"),
        ((trained, "--part", "validation-query", "--out", out), "no validation-query images; it"),
        ((trained, "--unlabelled", "--out", out), "name the folder of crops with --data"),
        ((trained, "--batch-size", 0, "--out", out), "batch_size must be at least 1"),
        ((trained, "--data", "nowhere", "--out", out), "nowhere"),
    ):
        status, printed, error = run("embed", *words)
        assert status == 1 and message in error and printed == "", words
    card = json.loads((trained / "model.json").read_text())
    card["data"]["fingerprint"] = "another"
    (trained / "model.json").write_text(json.dumps(card))
    status, _, error = run("embed", trained, "--out", out)
    assert status == 1 and "has changed since" in error
    assert run("embed", trained, "--data", market_folder, "--out", out)[0] == 0
    del card["data"]
    (trained / "model.json").write_text(json.dumps(card))
    status, _, error = run("embed", trained, "--out", out)
    assert status == 1 and "name one with --data" in error
