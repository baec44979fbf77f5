"""The experiments on vision transformers: arms, statements and measures, tiny."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlab.claims import run_experiment
from reidlab.claims.catalog import EXPERIMENTS
from reidlab.claims.la_transformer import la_experiment, of_lists, with_token
from reidlab.claims.people import both_sides, retrieval, start_people
from reidlab.claims.sides import KNOCKED, about_cameras, knocked_out, sides_experiment
from reidlab.claims.transreid import (
    LEAST_HIDDEN,
    few_experiment,
    hidden,
    transreid_experiment,
)
from reidlab.claims.unseen import by_camera, unseen_experiment, with_unseen, without_camera
from reidlab.data.packs import read_manifest
from reidlab.data.readers import read_dataset
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.models.transreid import TransReID
from reidlab.recipes import recipe

TINY = {
    "ids": 6, "validation_ids": 2, "test_ids": 12, "images_per_id": 6, "cameras": 3,
    "distractors": 3, "junk": 2,
}  # fmt: skip
MADE = {
    "transreid": transreid_experiment,
    "jpm-few": few_experiment,
    "unseen-camera": unseen_experiment,
    "la-transformer": la_experiment,
    "sides-vivid": lambda *given, **more: sides_experiment("vivid", *given, **more),
}


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return read_dataset("synthetic", tmp_path_factory.mktemp("data"), **TINY)


def tiny(name):
    """An experiment with one short epoch."""
    desk = recipe("la-transformer" if name == "la-transformer" else "transreid", "desk")
    train = replace(desk.train, epochs=1, ids_per_batch=3, images_per_id=2, warmup_epochs=0)
    return MADE[name](replace(desk, train=train), options=TINY)


def differs(experiment, arm, base):
    settings = experiment.settings
    names = settings[base].keys() | settings[arm].keys()
    pairs = {n: (settings[base].get(n), settings[arm].get(n)) for n in names}
    return {name: new for name, (old, new) in pairs.items() if old != new}


@pytest.mark.parametrize(
    ("arm", "base", "expected"),
    [
        ("jpm", "plain", {"arguments.parts": None}),
        ("sie", "plain", {"counts": ["num_cameras", "untrained"]}),
        ("both", "sie", {"arguments.parts": None}),
        ("both", "jpm", {"counts": ["num_cameras", "untrained"]}),
        ("no-neck", "plain", {"arguments.bnneck": False}),
        ("dense", "plain", {"arguments.stride": [8, 16]}),
        ("dense-jpm", "dense", {"arguments.parts": None}),
        ("jpm-scratch", "plain-scratch", {"arguments.parts": None}),
        ("both-scratch", "jpm-scratch", {"counts": ["num_cameras", "untrained"]}),
    ],
)
def test_arms_of_transreid_differ_from_their_control_in_one_thing(arm, base, expected):
    assert differs(EXPERIMENTS["transreid"](), arm, base) == expected


def test_starts_differ_in_weights_and_rate_and_longer_training_in_epochs():
    own = EXPERIMENTS["transreid"]()
    changed = differs(own, "plain-scratch", "plain")
    assert set(changed) == {"arguments.pretrained", "start", "train.lr"}
    assert set(differs(own, "plain-longer", "plain")) == {"train.epochs"}


@pytest.mark.parametrize(
    ("arm", "base", "expected"),
    [
        ("mean", "rows", {"arguments.parts_from": "mean"}),
        ("both", "mean", {"arguments.parts_from": "both"}),
        ("mean-triplet", "mean", {"loss_arguments.triplet": 1.0}),
    ],
)
def test_arms_of_la_transformer_differ_from_their_control_in_one_thing(arm, base, expected):
    assert differs(EXPERIMENTS["la-transformer"](), arm, base) == expected


def test_fewer_people_are_seen_more_often():
    own, usual = EXPERIMENTS["jpm-few"](), EXPERIMENTS["transreid"]()
    assert own.options == {"ids": 50}
    assert own.arms["jpm"].train.epochs == 3 * usual.arms["jpm"].train.epochs
    assert differs(own, "jpm", "plain") == differs(usual, "jpm", "plain")


def test_the_margin_is_a_loss_and_the_heads_it_needs():
    own = EXPERIMENTS["la-transformer"]()
    assert differs(own, "mean-margin", "mean") == {
        "arguments.head": "cosine",
        "loss_arguments.identity": "am-softmax",
        "loss_arguments.triplet": 1.0,
    }
    changed = differs(own, "mean-tuned", "mean-margin")
    assert (changed.pop("loss_arguments.scale"), changed.pop("loss_arguments.margin")) == (16, 0.1)
    assert changed == {"arguments.dropout": 0.0, "train.lr": 2 * own.arms["mean"].train.lr}
    assert differs(own, "rows-tuned", "mean-tuned") == {"arguments.parts_from": "rows"}


@pytest.mark.parametrize("name", [*MADE])
def test_every_statement_reads_measures_that_its_arms_have(name, splits, tmp_path):
    experiment = tiny(name)
    named = {s.treatment for s in experiment.statements} | {
        s.control for s in experiment.statements
    }
    assert named == set(experiment.arms)
    fewer = {"transreid": ("plain", "both", "jpm")}.get(name, (*experiment.arms,)[:2])
    for arm in fewer:
        found = experiment.run(arm, 0, splits)  # raises where a statement lacks a measure
        assert all(0 <= value <= 1 for value in found.values())


def test_runs_are_written_and_read(splits, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLAB_DATA", str(tmp_path))
    table = run_experiment(tiny("unseen-camera"), out=tmp_path, seeds=[0])
    assert len(table.runs) == 2


def test_hidden_queries_are_those_of_the_manifest(splits):
    manifest = read_manifest(splits.query[0].path.parents[1])
    share = {
        image["file"].split("/")[-1]: image["occluded"] for image in manifest.content["images"]
    }
    chosen = hidden(splits)
    assert chosen.dtype == bool and len(chosen) == len(splits.query)
    for sample, own in zip(splits.query, chosen, strict=True):
        assert own == (share[sample.path.name] >= LEAST_HIDDEN)


def test_data_without_a_manifest_hide_nobody(market_folder):
    with pytest.raises(ValueError, match="no manifest"):
        hidden(read_dataset(market_folder))


def test_knocking_out_the_table_changes_the_ranking_and_leaves_the_network_as_it_was(splits):
    arm = tiny("transreid").arms["sie"]
    model = start_people(arm, splits, 0)
    assert isinstance(model, TransReID) and model.trunk.side_embed is not None
    with torch.no_grad():
        model.trunk.side_embed.mul_(50)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = knocked_out(model, splits)
    assert set(found) == {f"mAP/{name}" for name in KNOCKED}
    own = retrieval(*both_sides(model, splits))["mAP"]
    assert found["mAP/none"] != own != found["mAP/wrong"]
    for key, value in model.state_dict().items():
        assert value.equal(before[key])
    with torch.no_grad():
        model.trunk.side_embed.zero_()
    assert retrieval(*both_sides(model, splits))["mAP"] == pytest.approx(found["mAP/none"])


def test_a_network_without_a_table_has_nothing_to_knock_out(splits):
    assert knocked_out(start_people(tiny("transreid").arms["plain"], splits, 0), splits) == {}


def test_shares_of_strangers_add_up(splits):
    model = start_people(tiny("transreid").arms["plain"], splits, 0)
    found = about_cameras(*both_sides(model, splits))
    assert found["strangers"] + found["others"] == pytest.approx(1)
    assert 0 < found["expected"] < 1


def test_without_a_camera_its_images_are_gone_from_training_only(splits):
    left = without_camera(splits, splits.cameras[-1])
    assert {sample.camid for sample in left.train} == set(splits.cameras[:-1])
    assert left.cameras == splits.cameras and len(left.query) == len(splits.query)
    with pytest.raises(ValueError, match="camera must be one of"):
        without_camera(splits, 99)


def test_a_twin_gives_new_cameras_something_else_and_old_ones_the_same(splits):
    left = without_camera(splits, splits.cameras[-1])
    model = start_people(tiny("unseen-camera").arms["sie"], left, 0).eval()
    assert isinstance(model, TransReID)
    twin = with_unseen(model, "none")
    images, camids = torch.randn(3, 3, 128, 64), torch.tensor([0, 1, 2])
    with torch.no_grad():
        own, other = model.embed(images, camids), twin.embed(images, camids)
    torch.testing.assert_close(own[:2], other[:2])
    assert not torch.allclose(own[2], other[2])
    assert model.sides is not None and model.sides.unseen == "mean"


def test_scores_by_camera_are_means_over_its_queries():
    r = np.random.default_rng(0)
    pids, camids = r.integers(1, 5, 30), r.integers(1, 4, 30)
    query = Embeddings(r.normal(size=(30, 4)), pids, camids)
    gallery = Embeddings(r.normal(size=(60, 4)), np.tile(pids, 2), np.tile(camids % 3 + 1, 2))
    ap = evaluate(query, gallery).per_query.ap
    found = by_camera(query, gallery, 3)
    new, known = [], []
    for score, camid in zip(ap, camids, strict=True):
        (new if camid == 3 else known).append(score)
    assert found == pytest.approx({"new": np.mean(new), "known": np.mean(known)})


def test_lists_of_ten_count_as_the_released_test_does():
    query = Embeddings(np.array([[1.0, 0.0]]), [7], [1])
    angles = np.linspace(0.1, 1.5, 20)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pids = np.full(20, 3)
    pids[[1, 3, 15]] = 7  # two among the ten, one beyond
    found = of_lists(query, Embeddings(features, pids, np.ones(20, int)))
    assert found["rank1/ten"] == 0
    assert found["mAP/ten"] == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_the_class_token_is_left_out_unless_asked_for(splits):
    model = start_people(tiny("la-transformer").arms["rows"], splits, 0).eval()
    images = torch.randn(2, 3, 128, 64)
    with torch.no_grad():
        own, fused = model.embed(images), with_token(model).embed(images)
    assert not torch.allclose(own, fused)
    with pytest.raises(ValueError, match="expected an LA-Transformer"):
        with_token(torch.nn.Linear(1, 1))
