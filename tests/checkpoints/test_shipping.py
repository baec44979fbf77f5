"""Checkpoints that travel with the package: small, without traces of a machine, as good."""

import pytest
import torch

from reidlab.checkpoints import load_model, read_card, save_model
from reidlab.checkpoints.shipping import ship_model
from reidlab.data.variants import VARIANTS, with_variant
from reidlab.models.baseline import baseline_small
from reidlab.models.transreid import transreid_small
from reidlab.models.trunks import load_trunk
from reidlab.paths import shipped
from reidlab.recipes import RECIPES

CARD = {
    "data": {"read": "synthetic", "variant": "crowd"},
    "train": {"epochs": 3, "out": "/home/somebody/run", "device": "cpu"},
    "last": {"epoch": 3, "loss": 1.5, "seconds": 7.0, "images_per_second": 99.0},
}


@pytest.fixture
def run(tmp_path):
    model = baseline_small(3, width=8, image_size=(32, 16)).eval()
    save_model(tmp_path / "run", model, CARD)
    return tmp_path / "run", model


def test_a_shipped_model_is_half_as_large_and_answers_the_same(run, tmp_path):
    folder, model = run
    file = ship_model(folder, "small", tmp_path / "shipped")
    assert file.stat().st_size < 0.6 * (folder / "model.safetensors").stat().st_size
    back, preprocess = load_model(file)
    assert preprocess == model.preprocess and back.neck.classifier.weight.dtype == torch.float32
    images = torch.randn(4, 3, 32, 16)
    torch.testing.assert_close(back.embed(images), model.embed(images), rtol=0.01, atol=0.01)


def test_the_card_keeps_what_was_learnt_and_forgets_the_machine(run, tmp_path):
    card = read_card(ship_model(run[0], "small", tmp_path / "shipped"))
    assert card["train"] == {"epochs": 3} and card["last"] == {"epoch": 3, "loss": 1.5}
    assert card["data"] == CARD["data"] and card["precision"] == "half"


def test_a_model_of_a_private_folder_is_not_shipped(run, tmp_path):
    save_model(run[0], run[1], CARD | {"data": {"read": str(tmp_path / "people")}})
    with pytest.raises(ValueError, match="a place on this machine; train on a dataset that has"):
        ship_model(run[0], "small", tmp_path / "shipped")


@pytest.mark.parametrize(
    "card",
    [
        CARD | {"data": {"read": "C:\\people"}},
        CARD | {"data": {"read": "synthetic", "root": "/home/me/data"}},
        CARD | {"notes": [{"deep": "~/runs/mine"}]},
        {name: value for name, value in CARD.items() if name != "data"},
    ],
)
def test_no_place_of_a_machine_hides_in_a_card(run, tmp_path, card):
    save_model(run[0], run[1], card)
    with pytest.raises(ValueError, match="a place on this machine|does not say what it was"):
        ship_model(run[0], "small", tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_what_is_no_run_or_no_name_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match="expected a name of letters"):
        ship_model(run[0], "../small", tmp_path)
    with pytest.raises(ValueError, match="no model at"):
        ship_model(tmp_path / "nowhere", "small", tmp_path)
    file = ship_model(run[0] / "model.safetensors", "again", tmp_path)  # a file will do
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ValueError, match="is damaged"):
        ship_model(file, "small", tmp_path)


def test_the_starting_weights_of_the_recipes_are_there_and_name_their_data():
    names = {str(r.arguments.get("pretrained")) for r in RECIPES.values() if r.profile == "desk"}
    for name in names - {"None", "False"}:
        file = shipped(f"checkpoints/{name}.safetensors")
        assert file is not None and file.stat().st_size < 5_000_000
        card = read_card(file)
        assert card["data"]["read"] == "synthetic" and card["data"]["variant"] in VARIANTS
        text = file.with_suffix(".json").read_text()
        assert not any(place in text for place in ('"/tmp', '"/home', '"/root', '"/work'))
        model, _ = load_model(name)
        if card["origin"]["model"] == "transreid":
            target = transreid_small(5, seed=1, pretrained=name)
            assert len(target.origin["start"]["weights"]) == 12
            of = [net.trunk.blocks[0].attn.qkv.weight for net in (model, target)]
        else:
            target = baseline_small(5, seed=1)
            assert len(load_trunk(target.trunk, name)) == 12
            of = [net.trunk.layer4[0].conv2.weight for net in (model, target)]
        assert torch.equal(*of)


def test_no_set_of_a_lesson_shows_people_of_the_crowd():
    crowd = with_variant({"variant": "crowd"})
    assert crowd["seed"] != with_variant({"variant": "wide"}).get("seed", 0)
    assert crowd["seed"] != with_variant({}).get("seed", 0)
    assert with_variant({"variant": "wide", "ids": 7})["ids"] == 7
    with pytest.raises(ValueError, match="synthetic has no variant 'narrow'; choose one of: wide"):
        with_variant({"variant": "narrow"})
