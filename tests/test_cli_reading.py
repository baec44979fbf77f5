"""The same dataset is read by every command, and read again from a model's card."""

import json
import shutil

import pytest

from reidlab.cli import main
from reidlab.cli.reading import Reading, read_again

FAST = ["--epochs", "1", "--ids-per-batch", "2", "--images-per-id", "2", "--device", "cpu"]


@pytest.fixture
def crops(market_folder, tmp_path):
    """One folder per person: eight of them."""
    for file in (market_folder / "bounding_box_train").iterdir():
        target = tmp_path / "crops" / f"visitor {file.name[:4]}"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "crops"


def test_people_held_out_for_training_are_held_out_for_scoring(crops, tmp_path, capsys):
    run = tmp_path / "run"
    main(["train", "baseline", "--data", str(crops), "--test-ids", "2", "--out", str(run), *FAST])
    assert json.loads((run / "model.json").read_text())["data"]["test_ids"] == 2
    main(["evaluate", str(run), "--device", "cpu"])
    whole = json.loads((run / "scores.json").read_text())
    main(["evaluate", str(run), "--data", str(crops), "--device", "cpu"])
    named = json.loads((run / "scores-crops.json").read_text())
    assert whole["fingerprint"] == named["fingerprint"] and whole["cmc"] == named["cmc"]
    main(["embed", str(run), "--part", "query", "--out", str(tmp_path / "q.npz")])
    assert "q.npz: 6 images" in capsys.readouterr().out


def test_people_who_were_trained_on_are_not_scored(crops, tmp_path, capsys):
    run = tmp_path / "run"
    main(["train", "baseline", "--data", str(crops), "--out", str(run), *FAST])
    assert "next:" not in capsys.readouterr().out  # there is nobody to search for
    for words, message in (
        (["--data", str(crops), "--test-ids", "2"], "2 of 2 query people, for instance"),
        (["--data", str(crops)], "train with --test-ids N to hold people out"),
    ):
        with pytest.raises(SystemExit):
            main(["evaluate", str(run), *words])
        assert message in capsys.readouterr().err


def test_a_dataset_by_name_is_found_below_the_root(market_folder, tmp_path):
    root = tmp_path / "sets"
    shutil.copytree(market_folder, root / "market1501")
    run = tmp_path / "run"
    words = ["--data", "market1501", "--root", str(root)]
    main(["train", "baseline", *words, "--out", str(run), *FAST])
    main(["evaluate", str(run), "--device", "cpu"])
    assert json.loads((run / "scores.json").read_text())["valid_queries"] == 12


def test_flags_of_a_dataset_need_a_dataset(market_folder, tmp_path, capsys):
    run = tmp_path / "run"
    main(["train", "baseline", "--data", str(market_folder), "--out", str(run), *FAST])
    for words in (["evaluate", str(run)], ["embed", str(run), "--out", str(tmp_path / "x.npz")]):
        with pytest.raises(SystemExit):
            main([*words, "--variant", "v1"])
        assert "belong to --data; name a dataset" in capsys.readouterr().err


def test_readings_survive_a_card_and_say_only_what_was_given(tmp_path):
    reading = Reading.of("cuhk03", tmp_path, variant="labeled", validation_ids=3)
    stored = json.loads(json.dumps(reading.as_dict()))
    assert set(stored) == {"read", "root", "variant", "validation_ids"}
    assert Reading.of_card({"data": stored | {"fingerprint": "x", "name": "y"}}) == reading
    assert Reading.of_card({}) is None
    assert Reading.of("some/folder").read.startswith("/")


def test_people_stay_held_out_only_in_the_same_dataset():
    trained = Reading("a", validation_ids=3, test_ids=2)
    assert Reading("a").like(trained) == trained
    assert Reading("b").like(trained) == Reading("b")
    assert Reading("a", variant="v2").like(trained) == Reading("a", variant="v2")
    assert Reading("a", test_ids=5).like(trained) == Reading("a", test_ids=5)


def test_a_card_without_a_dataset_asks_for_one(tmp_path):
    with pytest.raises(ValueError, match="does not say its dataset; name one with --data"):
        read_again(None, None, tmp_path, "embed")
