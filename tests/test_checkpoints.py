import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from reidlab.checkpoints import atomic_write, load_model, read_checkpoint, save_model
from reidlab.models.baseline import baseline_small


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = baseline_small(6, width=4, image_size=(64, 32)).eval()
    save_model(tmp_path / "run", model, {"seed": 3, "scores": {"mAP": 0.5}})
    return model, tmp_path / "run"


def test_a_model_comes_back_with_its_weights_and_its_preprocessing(saved):
    model, run = saved
    loaded, preprocess = load_model(run)
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(loaded.embed(images), model.embed(images))
    assert preprocess == model.preprocess and preprocess.size == (64, 32)
    assert not loaded.training


def test_the_card_says_how_the_model_came_to_be(saved):
    card = json.loads((saved[1] / "model.json").read_text())
    assert card["origin"]["model"] == "baseline_small"
    assert card["origin"]["arguments"]["num_ids"] == 6
    assert card["seed"] == 3 and card["scores"] == {"mAP": 0.5}
    assert card["versions"]["torch"] == torch.__version__


def test_a_weights_file_can_be_named_directly(saved):
    load_model(saved[1] / "model.safetensors")


def misspell(file, old, new):
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "model.json").unlink(), "model.json is missing"),
        (lambda run: (run / "model.json").write_text("{}"), "is no model card"),
        (lambda run: (run / "model.json").write_text("words"), "is no model card"),
        (lambda run: (run / "model.safetensors").write_bytes(b"1234567890"), "is damaged"),
        (lambda run: misspell(run / "model.json", '"size"', '"sise"'), "card beside .* is damaged"),
        (lambda run: misspell(run / "model.json", '"num_ids"', '"ids"'), "card .* is damaged"),
        (lambda run: (run / "model.safetensors").unlink(), "no model at"),
    ],
)
def test_damage_is_named(saved, damage, message):
    damage(saved[1])
    with pytest.raises(ValueError, match=message):
        load_model(saved[1])


def test_weights_cut_short_are_damaged(saved):
    file = saved[1] / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged"):
        load_model(saved[1])


def test_weights_of_another_network_are_listed(saved):
    file = saved[1] / "model.safetensors"
    state = load_file(file)
    del state["neck.norm.weight"]
    state["extra"] = torch.zeros(1)
    state["neck.classifier.weight"] = torch.zeros(9, 32)
    save_file(state, file)
    with pytest.raises(ValueError, match="another network") as caught:
        load_model(saved[1])
    for part in ("missing neck.norm.weight", "unknown extra", "(9, 32), expected (6, 32)"):
        assert part in str(caught.value)


def test_an_unfinished_run_says_how_to_finish_it(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="did not finish.*continues where it stopped"):
        load_model(tmp_path)


def test_a_model_must_say_how_to_construct_it(tmp_path):
    model = baseline_small(3)
    model.origin = {}
    with pytest.raises(ValueError, match="does not say how to construct it"):
        save_model(tmp_path, model, {})


def test_files_that_would_execute_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"format": 1, "x": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        read_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("content", [b"words", b"", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_refused_without_torchs_advice(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ValueError, match="damaged or no checkpoint") as caught:
        read_checkpoint(tmp_path / "checkpoint.pt")
    assert "weights_only" not in str(caught.value)


def test_writing_replaces_the_whole_file_or_nothing(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    atomic_write(file, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        monkeypatch.setattr(f"os.{step}", full)
        with pytest.raises(ValueError, match="No space left"):
            atomic_write(file, "new")
        monkeypatch.undo()
        assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
