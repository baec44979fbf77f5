"""The official evaluator's matrix, against loops written from its description."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import torch

from reidlab.data.attributes import AttributeTable
from reidlab.data.heads import HEADS, labels_of
from reidlab.data.samples import Sample
from reidlab.embedding.attributes import AttributePredictions
from reidlab.evaluation import (
    evaluate_official,
    official_matrix,
    read_official,
    several_colors,
    write_official,
)

UPPER = "black white red purple gray blue green yellow".split()
LOWER = "black white pink gray blue green brown yellow purple".split()
ORDER = "gender hair age up down clothes hat backpack bag handbag".split()
LARGEST = [2, 2, 4, 2, 2, 2, 2, 2, 2, 2, 8, 9]


@pytest.fixture
def gallery(tmp_path):
    """Six people, a distractor and junk; names whose order is not that of the list."""
    rng = np.random.default_rng(0)
    samples = []
    for pid in (3, 1, 2, 6, 5, 4):
        worn = {head: int(rng.integers(0, len(names))) for head, names in HEADS.items()}
        worn["up_color"], worn["down_color"] = (8 if pid == 2 else pid), (9 if pid in (2, 6) else 1)
        for shot in (2, 1):
            path = tmp_path / f"{pid:04d}_c{shot}s1_000001_00.jpg"
            samples.append(Sample(path, pid, shot, attributes=labels_of(worn)))
    samples.insert(2, Sample(tmp_path / "0000_c1s1_000001_00.jpg", 0, 1))
    samples.insert(5, Sample(tmp_path / "-1_c1s1_000001_00.jpg", -1, 1))
    return samples


@pytest.fixture
def predictions(gallery):
    rng = np.random.default_rng(1)
    count = len(gallery)
    logits = {h: torch.tensor(rng.normal(size=(count, len(n)))) for h, n in HEADS.items()}
    logits["up_color"][:4, 8] = 9.0
    pids, camids = (torch.tensor([getattr(s, k) for s in gallery]) for k in ("pid", "camid"))
    return AttributePredictions(logits, pids, camids, tuple(s.path for s in gallery))


def rows_by_hand(predictions):
    """File name -> the twelve codes."""
    found = {}
    for i, path in enumerate(predictions.paths):
        if int(predictions.pids[i]) <= 0:
            continue
        row = [int(predictions.logits[head][i].argmax()) + 1 for head in ORDER]
        for head, order in (("up_color", UPPER), ("down_color", LOWER)):
            table = predictions.logits[head][i]
            best = max(order, key=lambda name: float(table[HEADS[head].index(name)]))  # noqa: B023
            row.append(order.index(best) + 1)
        found[path.name] = row
    return found


def test_rows_go_by_file_name_and_columns_by_the_evaluator(predictions):
    by_hand = rows_by_hand(predictions)
    matrix = official_matrix(predictions)
    assert matrix.dtype == np.uint8
    assert matrix.tolist() == [by_hand[name] for name in sorted(by_hand)]


def test_answers_of_several_colours_are_counted(predictions):
    labelled = [i for i in range(len(predictions)) if predictions.pids[i] > 0]
    expected = {
        head: sum(int(predictions.answers[head][i]) == len(HEADS[head]) - 1 for i in labelled)
        for head in ("up_color", "down_color")
    }
    assert several_colors(predictions) == expected
    assert expected["up_color"] >= 3


def test_scores_count_as_described(predictions, gallery):
    by_hand = rows_by_hand(predictions)
    right, several = np.zeros(12), {"up_color": 0, "down_color": 0}
    shown = [sample for sample in gallery if sample.pid > 0]
    for sample in shown:
        row, labels = by_hand[sample.path.name], sample.attributes
        for column, head in enumerate(ORDER):
            right[column] += row[column] == labels[head]
        for column, garment, order in ((10, "up", UPPER), (11, "down", LOWER)):
            worn = [name for name in order if labels[garment + name] == 2]
            right[column] += bool(worn) and row[column] == order.index(worn[0]) + 1
            several[f"{garment}_color"] += not worn
    scores = evaluate_official(official_matrix(predictions), gallery)
    assert list(scores.accuracy) == [*ORDER, "up_color", "down_color"]
    assert list(scores.accuracy.values()) == pytest.approx((right / len(shown)).tolist())
    assert scores.mean == pytest.approx((right / len(shown)).mean())
    assert scores.several == several == {"up_color": 2, "down_color": 4}
    assert (scores.images, scores.either) == (12, 4)
    text = str(scores)
    assert "12 images; 4 show a garment of several colours" in text
    assert [line.split()[0] for line in text.splitlines()[1:14]] == [*scores.accuracy, "mean"]


def test_a_perfect_matrix_fails_only_where_there_is_no_code(gallery):
    shown = sorted((s for s in gallery if s.pid > 0), key=lambda s: s.path.name)
    rows = []
    for sample in shown:
        row = [sample.attributes[head] for head in ORDER]
        for garment, order in (("up", UPPER), ("down", LOWER)):
            row.append(
                1 + next((i for i, n in enumerate(order) if sample.attributes[garment + n] == 2), 0)
            )
        rows.append(row)
    scores = evaluate_official(np.array(rows, float), gallery)
    assert list(scores.accuracy.values()) == pytest.approx([1] * 10 + [10 / 12, 8 / 12])


def test_attributes_may_come_from_a_table(predictions, gallery):
    table = AttributeTable({s.pid: dict(s.attributes) for s in gallery if s.pid > 0})
    bare = [Sample(s.path, s.pid, s.camid) for s in gallery]
    matrix = official_matrix(predictions)
    assert evaluate_official(matrix, bare, table) == evaluate_official(matrix, gallery)
    with pytest.raises(ValueError, match=r"0001_c1.*expected attributes of person 1, got none"):
        evaluate_official(matrix, bare)


def test_another_number_of_rows_is_refused(predictions, gallery):
    matrix = official_matrix(predictions)
    with pytest.raises(ValueError, match="expected 12 rows, one row per gallery image .* got 11"):
        evaluate_official(matrix[:11], gallery)
    whole = np.ones((14, 12), int)
    with pytest.raises(ValueError, match="got 14: leave out distractors and junk"):
        evaluate_official(whole, gallery)
    with pytest.raises(ValueError, match="expected 0 rows"):
        evaluate_official(matrix[:0], [s for s in gallery if s.pid < 1])


def test_predictions_must_say_which_image_is_which(predictions):
    bare = AttributePredictions(predictions.logits, predictions.pids, predictions.camids)
    with pytest.raises(ValueError, match="expected predictions with paths"):
        official_matrix(bare)
    fewer = {head: table for head, table in predictions.logits.items() if head != "hat"}
    with pytest.raises(ValueError, match="all twelve heads, hat missing"):
        official_matrix(
            AttributePredictions(fewer, predictions.pids, predictions.camids, predictions.paths)
        )
    with pytest.raises(ValueError, match="got 2 images, none with such an id"):
        official_matrix(predictions[[2, 5]])


def some_codes(rows=5):
    rng = np.random.default_rng(3)
    return np.stack([rng.integers(1, top + 1, rows) for top in LARGEST], axis=1).astype(np.uint8)


@pytest.mark.parametrize("rows", [1, 5, 300])
def test_a_matrix_survives_its_file(rows, tmp_path):
    codes = some_codes(rows)
    path = write_official(tmp_path / "new" / "a.mat", codes)
    found = read_official(path)
    np.testing.assert_array_equal(found, codes)
    assert found.dtype == np.uint8
    held = scipy.io.loadmat(path)["gallery_market"]
    np.testing.assert_array_equal(held, codes)
    assert held.dtype == np.uint8
    again = write_official(tmp_path / "b.mat", codes)
    assert again.read_bytes() == path.read_bytes()
    assert write_official(tmp_path / "b.mat", codes, name="mine") == again
    np.testing.assert_array_equal(scipy.io.loadmat(again)["mine"], codes)


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_other_programs_are_read(compressed, tmp_path):
    codes = some_codes()
    content = {"x": codes.astype(float), "note": "text beside it"}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    np.testing.assert_array_equal(read_official(tmp_path / "a.mat"), codes)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((3, 6), 3, r"row 4, column 7 \(hat\): found 3, expected one of: 1 no, 2 yes"),
        ((0, 0), 0, r"row 1, column 1 \(gender\): found 0"),
        ((4, 10), 9, r"row 5, column 11 \(up_color\): found 9, .*5 gray, 6 blue, 7 green, 8 yel"),
        ((1, 11), 10, r"row 2, column 12 \(down_color\): found 10, .*7 brown, 8 yellow, 9 purple"),
        ((1, 2), 1.5, r"row 2, column 3 \(age\): found 1.5"),
        ((1, 2), np.nan, r"found nan"),
    ],
)
def test_values_that_a_column_does_not_allow_are_named(place, value, message, tmp_path):
    wrong = some_codes().astype(float)
    wrong[place] = value
    scipy.io.savemat(tmp_path / "a.mat", {"x": wrong})
    with pytest.raises(ValueError, match=rf"a\.mat, {message}" if "row" in message else message):
        read_official(tmp_path / "a.mat")
    with pytest.raises(ValueError, match=message):
        write_official(tmp_path / "b.mat", wrong)
    assert not (tmp_path / "b.mat").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"x": some_codes().T},
            r"12 codes per image, found x of shape \(12, 5\); it lies on",
        ),
        ({"x": some_codes()[:, :11]}, r"found x of shape \(5, 11\)$"),
        ({"x": np.ones((2, 12, 3))}, r"found x of shape \(2, 12, 3\)$"),
        ({"x": some_codes(), "y": some_codes(2)}, r"found x \(5, 12\), y \(2, 12\)"),
        ({"x": "text"}, "one matrix of numbers, found none"),
    ],
)
def test_other_contents_are_refused(content, message, tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(ValueError, match=rf"a\.mat: expected .*{message}"):
        read_official(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_anywhere_is_refused(compressed, tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": some_codes(20)}, do_compression=compressed)
    data = path.read_bytes()
    for length in [*range(0, len(data), 17), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"a\.mat"):
            read_official(path)


def test_a_wrong_byte_never_ends_in_another_error(tmp_path):
    path = write_official(tmp_path / "a.mat", some_codes(3))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in range(116, len(data)):
        spoilt = data.copy()
        spoilt[at] = int(rng.integers(256))
        path.write_bytes(spoilt)
        try:
            assert read_official(path).shape[1] == 12
        except ValueError as error:
            assert str(path) in str(error)


def test_names_and_paths_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"a\.csv: expected a name that ends in \.mat"):
        write_official(tmp_path / "a.csv", some_codes())
    for name in ("1st", "_x", "a b", "", "x" * 32):
        with pytest.raises(ValueError, match="starts with a letter, got"):
            write_official(tmp_path / "a.mat", some_codes(), name=name)
    with pytest.raises(ValueError, match=r"none\.mat cannot be read"):
        read_official(tmp_path / "none.mat")
    with pytest.raises(ValueError, match=r"numbers of shape \(images, 12\)"):
        write_official(tmp_path / "a.mat", some_codes()[0])
