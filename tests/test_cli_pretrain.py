"""`reidlab pretrain`, and the start that it made."""

from __future__ import annotations

import pytest
import torch

from reidlab.checkpoints import load_model, read_card
from reidlab.cli import main
from reidlab.models.transreid import TransReID, transreid_small
from reidlab.paths import shipped
from reidlab.recipes import PRETRAINING, RECIPES


def test_pre_training_is_a_command_of_its_own(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", "--help"])
    assert stopped.value.code == 0
    assert "reidlab pretrain supervised --seed 7" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "other"), [("train", "supervised"), ("pretrain", "transreid")])
def test_each_command_names_its_own_methods(command, other, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, other])
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert f"unknown method '{other}'" in message and f"reidlab {command} METHOD" in message


def test_a_step_of_pre_training_gives_a_start_for_others(market_folder, tmp_path, capsys):
    run = tmp_path / "run"
    main(["pretrain", "supervised", "--data", str(market_folder), "--ids-per-batch", "2",
          "--images-per-id", "2", "--max-steps", "1", "--out", str(run)])  # fmt: skip
    assert "reidlab evaluate" in capsys.readouterr().out
    own, _ = load_model(run)
    started = transreid_small(4, pretrained=run)
    assert isinstance(own, TransReID) and own.parts == 0
    assert started.trunk.pos_embed.equal(own.trunk.pos_embed)
    assert started.origin["start"]["pretrained"] == str(run)


def test_the_shipped_start_says_what_it_learnt_from_and_is_small():
    card = read_card("abroad")
    assert (card["method"], card["data"]["variant"], card["train"]["seed"]) == (
        "supervised",
        "abroad",
        7,
    )
    assert len(card["data"]["ids"]) >= 1000
    file = shipped("checkpoints/abroad.safetensors")
    assert file is not None and file.stat().st_size < 6e6
    own = RECIPES["supervised", "desk"].train
    assert (card["train"]["epochs"], card["train"]["lr"]) == (own.epochs, own.lr)
    model, preprocess = load_model("abroad")
    assert isinstance(model, TransReID) and preprocess.size == (128, 64)


def test_transformers_start_from_it_at_the_desk():
    assert "supervised" in PRETRAINING
    model, _ = load_model("abroad")
    for method in ("transreid", "la-transformer"):
        network = RECIPES[method, "desk"].build(5)
        for key, value in network.trunk.state_dict().items():  # pyright: ignore
            torch.testing.assert_close(value, model.state_dict()[f"trunk.{key}"])
