import contextlib
import csv
import io
import json
import math
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from reidlab.calibration.temperature import calibrate_attributes
from reidlab.checkpoints import load_model, save_model
from reidlab.cli import main
from reidlab.data.attributes import labels_of, write_csv
from reidlab.data.heads import HEADS
from reidlab.data.readers import read_dataset
from reidlab.data.targets import targets_of
from reidlab.embedding.attributes import predict_attributes
from reidlab.embedding.own_attributes import UNNAMED, describe_images, image_files
from reidlab.evaluation.attributes import evaluate_attributes, read_official
from reidlab.models.attributes import attributes_small
from reidlab.models.baseline import baseline_small


def run(*words):
    """Status, standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in ("attributes", *words)])
        except SystemExit as left:
            status = int(left.code or 0)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own_model():
    """Weights large enough that answers differ from image to image."""
    model = attributes_small(width=8, image_size=(64, 32))
    with torch.no_grad():
        for name, weight in model.heads.named_parameters():
            weight.mul_(8.0 if "weight" in name else 0.0)
    return model


@pytest.fixture
def trained(tmp_path):
    """The folder of a run."""
    save_model(tmp_path / "run", own_model(), {"method": "attributes", "flip": True})
    return tmp_path / "run"


@pytest.fixture
def crops(market_folder, tmp_path):
    """Six crops of which nobody says who they show, two of them in a folder below."""
    folder = tmp_path / "crops"
    (folder / "deep").mkdir(parents=True)
    for i, file in enumerate(sorted((market_folder / "bounding_box_test").iterdir())[::4]):
        shutil.copy(file, folder / ("deep" if i % 3 == 2 else ".") / f"crop {i}.jpg")
    return folder


def people_of(folder):
    """By person id, attributes that differ between test people; training people look alike."""
    names = {file.name for part in folder.iterdir() for file in part.iterdir()}
    everyone = sorted({int(name[:4]) for name in names})
    shifts = {pid: pid if pid >= 100 else 1 for pid in everyone}
    return {
        pid: labels_of({head: (shift + i) % len(c) for i, (head, c) in enumerate(HEADS.items())})
        for pid, shift in shifts.items()
    }


@pytest.fixture
def annotated(market_folder):
    """A dataset whose folder holds the attributes of all its people."""
    people = people_of(market_folder)
    write_csv(market_folder / "annotations_train.csv", people)
    name = "0000_c1s1_000001_00.jpg"
    shutil.copy(next((market_folder / "query").iterdir()), market_folder / "query" / "x.txt")
    Image.new("RGB", (32, 64), "gray").save(market_folder / "bounding_box_test" / name)
    return market_folder


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_own_images_are_described_with_confidences(trained, crops, tmp_path):
    alone = shutil.copy(crops / "crop 0.jpg", tmp_path / "mine.jpg")
    status, printed, error = run(alone, crops, "--model", trained)
    assert status == 0, error
    model, _ = load_model(trained)
    expected = describe_images(model, [alone, crops], flip=True)
    assert [path.name for path in expected.paths[:2]] == ["mine.jpg", "crop 0.jpg"]
    assert printed.splitlines()[0] == str(alone) and printed.count(str(crops)) == 6
    for i, block in enumerate(printed.rstrip().split("\n/")):
        lines = "\n".join(block.split("\n")[1:])
        cells = re.findall(r"(\w+) +(\w+) +(\d+) %", lines)
        found = {head: (name, chance) for head, name, chance in cells}
        wanted = expected.names(i).items()
        assert found == {head: (name, str(round(100 * p))) for head, (name, p) in wanted}
    assert len({tuple(expected.names(i).values()) for i in range(1, 7)}) == 6  # no two alike
    assert sorted(os.listdir(tmp_path)) == ["crops", "market", "mine.jpg", "run"]


def test_files_hold_all_answers(trained, crops, tmp_path):
    flags = ("--out", "new/card.png", "--csv", "new/a.csv", "--json", "new/a.json", "--k", 2)
    status, printed, error = run(crops, "--model", trained, "--flip", "no", *flags)
    assert status == 0, error
    assert "picture: new/card.png (the first 2 of 6 images)" in printed
    expected = describe_images(trained, crops)
    rows, nested = table("new/a.csv"), json.loads(Path("new/a.json").read_text())
    assert len(rows) == len(nested) == 6
    for i, (row, full) in enumerate(zip(rows, nested, strict=True)):
        assert row["path"] == full["path"] == str(expected.paths[i])
        assert row["pid"] == "" and full["pid"] is None
        for head, (name, chance) in expected.names(i).items():
            assert row[head] == full["attributes"][head]["answer"] == name
            assert float(row[f"{head}_probability"]) == pytest.approx(chance, abs=1e-6)
            chances = full["attributes"][head]["probabilities"]
            assert list(chances) == list(HEADS[head])
            wanted = expected.probabilities[head][i].tolist()
            assert list(chances.values()) == pytest.approx(wanted, abs=1e-6)
    with Image.open("new/card.png") as picture:
        assert picture.width == 1350 and picture.height < 700


@pytest.mark.parametrize("odd", ['a "quoted", name of\n two lines.jpg', "carriage\rreturn.jpg"])
def test_names_of_any_kind_survive_in_the_tables(odd, trained, crops):
    (crops / "crop 0.jpg").rename(crops / odd)
    status, printed, _ = run(crops / odd, "--model", trained, "--csv", "a.csv", "--out", "a.png")
    assert status == 0 and len(printed.split("\n")) == 8
    assert repr(odd)[1:-1] in printed
    with open("a.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(crops / odd)]


def test_described_images_are_nobody(trained, crops):
    found = describe_images(trained, crops / "crop 0.jpg")
    assert found.pids.tolist() == found.camids.tolist() == [UNNAMED]
    assert found.paths == (crops / "crop 0.jpg",)


def test_a_calibration_reaches_own_images(trained, crops):
    class Halved:
        def apply(self, predictions):
            logits = {head: values / 2 for head, values in predictions.logits.items()}
            return type(predictions)(logits, predictions.pids, predictions.camids)

    plain, changed = (describe_images(trained, crops, calibration=c) for c in (None, Halved()))
    assert torch.equal(changed.logits["age"], plain.logits["age"] / 2)


def test_files_and_folders_are_listed_once_and_in_order(crops):
    named = [crops / "crop 3.jpg", crops, crops / "crop 0.jpg"]
    found = [path.name for path in image_files(named)]
    assert found == [f"crop {i}.jpg" for i in (3, 0, 1, 4, 2, 5)]
    assert [path.name for path in image_files(str(crops / "deep"))] == ["crop 2.jpg", "crop 5.jpg"]
    with pytest.raises(ValueError, match="got none"):
        image_files([])


def test_a_truncated_image_is_named_or_left_out(trained, crops, caplog):
    victim = crops / "deep" / "crop 2.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    status, printed, error = run(crops, "--model", trained, "--csv", "a.csv")
    assert status == 1 and str(victim) in error and "truncated" in error and printed == ""
    assert not Path("a.csv").exists()
    status, printed, _ = run(crops, "--model", trained, "--csv", "a.csv", "--on-error", "skip")
    assert status == 0 and len(table("a.csv")) == 5 and str(victim) in caplog.text
    assert str(victim) not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.jpg", "--model", "run"), "nowhere.jpg: no such image or folder"),
        (("empty", "--model", "run"), "empty holds no images"),
        (("crops",), "which model?"),
        (("--model", "run"), "expected image files or folders, or --data DATASET, got neither"),
        (("crops", "--data", "market", "--model", "run"), "got both crops and --data market"),
        (("crops", "--model", "nothing"), "no model at nothing"),
        (("crops", "--model", "run", "--root", "."), "--root belongs to --data"),
        (("crops", "--model", "run", "--official", "a.mat"), "--official belongs to --data"),
        (("crops", "--model", "run", "--k", "0"), "--k must be at least 1"),
        (("crops", "--model", "run", "--k", "3"), "--k is for --find"),
        (("--data", "market", "--model", "run", "--k", "3"), "--k is for --find"),
        (("crops", "--model", "run", "--out", "a.gif"), "ends in .png"),
        (("crops", "--model", "run", "--csv", "empty"), "is a folder"),
        (("crops", "--model", "run", "--out", "crops/a.png"), "among the inputs"),
        (("crops", "--model", "run", "--csv", "x/a.csv", "--out", "crops/x/../a.png"), "inputs"),
        (("crops", "--model", "run", "--csv", "there.csv"), "--overwrite"),
        (("crops", "--model", "run", "--find", "purple hippo"), "hippo"),
        (("--data", "market", "--model", "run", "--json", "market/a.json"), "among the inputs"),
        (
            ("--data", "market", "--model", "run", "--find", "hat", "--official", "a.mat"),
            "--official is for scores",
        ),
        (("--data", "nowhere", "--model", "run"), "nowhere"),
        (("--data", "nowhere", "--model", "run", "--annotations", "x.csv"), "x.csv cannot be read"),
    ],
)
def test_mistakes_are_answered_without_a_traceback(words, message, trained, crops, annotated):
    Path("empty").mkdir()
    Path("there.csv").write_text("mine")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    status, printed, error = run(*words)
    assert status == 1 and error.startswith("reidlab: ") and message in error and printed == ""
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_no_image_that_is_looked_at_is_replaced(trained, crops):
    Image.open(crops / "crop 0.jpg").save("mine.png")
    before = Path("mine.png").read_bytes()
    Path("link.png").symlink_to("mine.png")
    for out in ("mine.png", "link.png"):
        status, _, error = run("mine.png", "--model", trained, "--out", out, "--overwrite")
        assert status == 1 and "is one of the inputs" in error
    assert Path("mine.png").read_bytes() == before


def test_files_are_replaced_only_when_asked_for(trained, crops):
    words = (crops, "--model", trained, "--csv", "a.csv")
    assert run(*words)[0] == 0
    first = Path("a.csv").read_bytes()
    assert run(*words)[0] == 1
    Path("a.csv").write_text("older")
    assert run(*words, "--overwrite")[0] == 0 and Path("a.csv").read_bytes() == first
    status, _, error = run(*words[:3], "--csv", "b.png.csv", "--json", "b.json", "--out", "a.csv")
    assert status == 1 and "ends in .png" in error and not Path("b.json").exists()


def test_a_model_without_heads_says_how_to_get_one(crops, tmp_path):
    save_model(tmp_path / "ids", baseline_small(4, width=8, image_size=(64, 32)), {})
    status, _, error = run(crops, "--model", "ids")
    assert status == 1 and "ids: " in error and "has no attribute heads" in error
    assert "reidlab train attributes" in error


def test_a_dataset_is_scored_beside_the_majority(trained, annotated):
    status, printed, error = run(
        "--data", annotated, "--model", trained, "--json", "s.json", "--csv", "a.csv"
    )
    assert status == 0, error
    splits = read_dataset(annotated)
    asked = [s for s in [*splits.query, *splits.gallery] if s.pid > 0]
    assert len(asked) == len(splits.query) + len(splits.gallery) - 1
    found = predict_attributes(own_model(), asked, flip=True)
    expected = evaluate_attributes(found, asked, train=splits.train)
    stored = json.loads(Path("s.json").read_text())
    assert stored["heads"]["age"]["majority"] == "teenager"  # of training, not of the test
    assert stored["mean_accuracy"] == pytest.approx(expected.mean_accuracy)
    assert stored["mean_majority_accuracy"] == pytest.approx(expected.mean_majority_accuracy)
    assert f"{expected.mean_accuracy:.1%}" in printed and "majority" in printed
    assert [int(row["pid"]) for row in table("a.csv")] == [sample.pid for sample in asked]


def test_scores_can_be_drawn(trained, annotated):
    status, printed, error = run("--data", annotated, "--model", trained, "--out", "s.png")
    assert status == 0, error
    assert "picture: s.png" in printed and Path("s.png").stat().st_size > 10_000


def test_the_official_layout_has_a_row_per_gallery_image(trained, annotated):
    status, printed, error = run("--data", annotated, "--model", trained, "--official", "g.mat")
    assert status == 0, error
    splits = read_dataset(annotated)
    gallery = sorted((s for s in splits.gallery if s.pid > 0), key=lambda s: s.path.name)
    found = predict_attributes(own_model(), gallery, flip=True)
    matrix = read_official("g.mat")
    assert matrix.shape == (len(gallery), 12) and "matrix: g.mat" in printed
    assert matrix[:, 0].tolist() == (found.answers["gender"] + 1).tolist()
    assert matrix[:, 6].tolist() == (found.answers["hat"] + 1).tolist()
    victim = gallery[3].path
    victim.write_bytes(victim.read_bytes()[:300])
    words = ("--data", annotated, "--model", trained, "--on-error", "skip", "--official", "h.mat")
    status, _, error = run(*words)
    assert status == 1 and str(victim) in error and not Path("h.mat").exists()


def test_without_annotations_it_says_which_file_is_expected_where(trained, market_folder):
    status, _, error = run("--data", market_folder, "--model", trained)
    assert status == 1 and "market_attribute.mat" in error and "annotations_train.csv" in error
    assert "dataset's folder" in error and "--annotations FILE" in error
    write_csv("people.csv", people_of(market_folder))
    words = ("--data", market_folder, "--model", trained, "--annotations", "people.csv")
    status, printed, error = run(*words)
    assert status == 0 and "majority" in printed, error
    few = {pid: row for pid, row in people_of(market_folder).items() if pid != 102}
    write_csv("people.csv", few)
    status, _, error = run(*words)
    assert status == 1 and "102" in error and "people.csv" in error


def test_people_who_were_trained_on_are_not_scored(annotated, tmp_path):
    card = {"data": {"read": str(annotated), "ids": [3, 101]}}
    save_model(tmp_path / "run", own_model(), card)
    status, _, error = run("--data", annotated, "--model", "run")
    assert status == 1 and "1 of 4 test people, for instance 101, were trained on" in error


def test_images_are_ranked_by_a_wish(trained, crops):
    flags = ("--json", "h.json", "--csv", "h.csv", "--out", "h.png", "--k", 4)
    status, printed, error = run(
        crops, "--model", trained, "--find", "red top, hat", "--find", "woman", *flags
    )
    assert status == 0, error
    found = describe_images(trained, crops, flip=True)
    p = {head: table.double() for head, table in found.probabilities.items()}
    hat, red = p["hat"][:, 1], p["up_color"][:, HEADS["up_color"].index("red")]
    rows = json.loads(Path("h.json").read_text())
    assert [row["place"] for row in rows] == [1, 2, 3, 4] * 2
    for q, expected in enumerate((hat * red, p["gender"][:, 1])):
        best = expected.sort(descending=True, stable=True)
        own = rows[4 * q : 4 * q + 4]
        assert [row["path"] for row in own] == [str(found.paths[g]) for g in best.indices[:4]]
        assert [row["probability"] for row in own] == pytest.approx(best.values[:4].tolist(), 1e-3)
        assert {row["right"] for row in own} == {None}
    first = [str(path) for path in found.paths].index(rows[0]["path"])
    parts = {"hat": float(hat[first]), "up_color": float(red[first])}
    assert rows[0]["attributes"] == pytest.approx(parts, abs=1e-5)
    for row in rows:
        product = math.prod(row["attributes"].values())
        assert product == pytest.approx(row["probability"], abs=1e-5)
    flat = table("h.csv")
    assert [row["path"] for row in flat] == [row["path"] for row in rows]
    assert "attributes" not in flat[0] and printed.count(str(crops)) == 8
    assert "person" not in printed and Path("h.png").stat().st_size > 10_000


def test_a_gallery_is_ranked_and_judged(trained, annotated):
    words = ("--data", annotated, "--model", trained, "--find", "short hair, teenager")
    status, printed, error = run(*words, "--json", "h.json", "--k", 100, "--out", "h.png")
    assert status == 0, error
    splits, rows = read_dataset(annotated), json.loads(Path("h.json").read_text())
    by_path = {str(sample.path): sample for sample in splits.gallery}
    assert len(rows) == sum(sample.pid > 0 for sample in splits.gallery)  # no distractors
    for row in rows:
        sample = by_path[row["path"]]
        truth = {head: int(value[0]) for head, value in targets_of([sample]).items()}
        assert row["right"] == (truth["hair"] == 0 and truth["age"] == 1)
        wrong = [HEADS["age"][truth["age"]]] if truth["age"] != 1 else []
        wrong += ["hair long"] if truth["hair"] else []
        assert row["instead"] == ", ".join(wrong)
    assert {row["right"] for row in rows} == {True, False}
    assert "has it all" in printed and "  ..." in printed
    (annotated / "annotations_train.csv").unlink()
    status, printed, error = run(*words, "--json", "n.json", "--k", 100)
    assert status == 0 and "probability  image" in printed, error
    unjudged = json.loads(Path("n.json").read_text())
    assert [row["path"] for row in unjudged] == [row["path"] for row in rows]
    assert {(row["right"], row["instead"]) for row in unjudged} == {(None, "")}


def test_a_card_corrects_the_probabilities_of_own_images(trained, crops, annotated):
    splits = read_dataset(annotated)
    shown = [sample for sample in splits.gallery if sample.pid > 0]
    fitted = calibrate_attributes(predict_attributes(own_model(), shown), shown)
    card = {"method": "attributes", "calibration": fitted.as_dict()}
    save_model(trained, own_model(), card)
    assert run(crops, "--model", trained, "--csv", "a.csv", "--calibration", "card")[0] == 0
    assert run(crops, "--model", trained, "--csv", "b.csv")[0] == 0  # as in Python, and as scored
    for name, calibration in (("a.csv", fitted), ("b.csv", None)):
        expected = describe_images(trained, crops, calibration=calibration)
        chances = [float(row["age_probability"]) for row in table(name)]
        wanted = expected.probabilities["age"].amax(dim=1).tolist()
        assert chances == pytest.approx(wanted, abs=1e-5)
    assert Path("a.csv").read_bytes() != Path("b.csv").read_bytes()
    words = ("--data", annotated, "--model", trained, "--find", "old")
    best = []
    for more in ((), ("--calibration", "none")):
        assert run(*words, *more, "--json", "f.json", "--overwrite")[0] == 0
        best.append(json.loads(Path("f.json").read_text())[0]["probability"])
    plain = predict_attributes(own_model(), shown)
    wanted = [found.probabilities["age"][:, 3].max() for found in (fitted.apply(plain), plain)]
    assert best == pytest.approx([float(chance) for chance in wanted], abs=1e-5)
    save_model(trained, own_model(), {"calibration": {"something": 1}})
    status, _, error = run(crops, "--model", trained, "--calibration", "card")
    assert status == 1 and f"the card of {trained}" in error
    save_model(trained, own_model(), {})
    status, _, error = run(crops, "--model", trained, "--calibration", "card")
    assert status == 1 and "holds no calibration" in error
    card = trained / "model.json"
    status, _, error = run(crops, "--model", trained, "--json", card, "--overwrite")
    assert status == 1 and "is one of the inputs" in error
    assert run("--data", annotated, "--model", trained)[0] == 0  # scores are of the plain answers


def test_help_has_examples():
    status, printed, _ = run("--help")
    assert status == 0 and 'reidlab attributes my_crops --model run --find "red top' in printed
