from __future__ import annotations

import csv
import logging
import os
import pickle
import random
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import reidlab
from reidlab.data import attributes
from reidlab.data.attributes import (
    COLUMNS,
    HEADS,
    TRAIN_COLUMNS,
    AttributeTable,
    class_weights,
    classes,
    counts,
    labels_of,
    majority,
    read_attributes,
    write_csv,
    write_mat,
)

TEST_ORDER = (
    "age backpack bag handbag clothes down up hair hat gender upblack upwhite upred uppurple "
    "upyellow upgray upblue upgreen downblack downwhite downpink downpurple downyellow downgray "
    "downblue downgreen downbrown"
).split()
TRAIN_ORDER = (
    "age backpack bag handbag downblack downblue downbrown downgray downgreen downpink downpurple "
    "downwhite downyellow upblack upblue upgreen upgray uppurple upred upwhite upyellow clothes "
    "down up hair hat gender"
).split()

# Head -> people per class in train and in test, and the weights that follow, of Market-1501.
PUBLISHED = {
    "age": ([14, 569, 160, 8], [2, 640, 103, 5], [40.6429, 1, 3.5562, 71.125]),
    "backpack": ([552, 199], [563, 187], [1, 2.7739]),
    "bag": ([566, 185], [565, 185], [1, 3.0595]),
    "handbag": ([665, 86], [674, 76], [1, 7.7326]),
    "clothes": ([110, 641], [85, 665], [5.8273, 1]),
    "down": ([294, 457], [262, 488], [1.5544, 1]),
    "up": ([39, 712], [45, 705], [18.2564, 1]),
    "hair": ([506, 245], [475, 275], [1, 2.0653]),
    "hat": ([731, 20], [727, 23], [1, 36.55]),
    "gender": ([431, 320], [414, 336], [1, 1.3469]),
    "up_color": (
        [113, 228, 78, 30, 36, 86, 46, 56, 78],
        [109, 208, 76, 24, 61, 106, 52, 45, 69],
        [2.0177, 1, 2.9231, 7.6, 6.3333, 2.6512, 4.9565, 4.0714, 2.9231],
    ),
    "down_color": (
        [293, 58, 29, 2, 10, 123, 123, 14, 69, 30],
        [287, 50, 20, 0, 1, 126, 154, 20, 48, 44],
        [1, 5.0517, 10.1034, 146.5, 29.3, 2.3821, 2.3821, 20.9286, 4.2464, 9.7667],
    ),
}
MAJORITY = {
    "age": 0.8533, "backpack": 0.7507, "bag": 0.7533, "handbag": 0.8987, "clothes": 0.8867,
    "down": 0.6507, "up": 0.9400, "hair": 0.6333, "hat": 0.9693, "gender": 0.5520,
    "up_color": 0.2773, "down_color": 0.3827,
}  # fmt: skip


def made_up(pids: list[int], side: int) -> dict[int, dict[str, int]]:
    """People whose classes are as frequent as those of Market-1501's `side`: 0 train, 1 test."""
    rng = random.Random(side)
    drawn = {}
    for head, row in PUBLISHED.items():
        drawn[head] = [i for i, n in enumerate(row[side]) for _ in range(n)]
        assert len(drawn[head]) == len(pids)
        rng.shuffle(drawn[head])
    people = {}
    for row, pid in enumerate(pids):
        codes = {head: drawn[head][row] + 1 for head in PUBLISHED if "_" not in head}
        for garment, prefix in (("up_color", "up"), ("down_color", "down")):
            names = [n for n in TEST_ORDER if n.startswith(prefix) and n != prefix]
            codes |= {n: 2 if i == drawn[garment][row] else 1 for i, n in enumerate(names)}
        people[pid] = codes
    return people


@pytest.fixture(scope="session")
def people() -> tuple[dict, dict]:
    """Train and test people as many and as varied as those of Market-1501."""
    pids = list(range(1, 1502))
    random.Random(7).shuffle(pids)
    return made_up(sorted(pids[:751]), 0), made_up(sorted(pids[751:]), 1)


def struct(people: dict, order: list[str], **changes) -> dict:
    fields = {name: np.array([[p[name] for p in people.values()]], np.uint8) for name in order}
    cells = np.empty((1, len(people)), object)
    cells[0, :] = [f"{pid:04d}" for pid in people]
    return fields | {"image_index": cells} | changes


@pytest.fixture(scope="session")
def published(people, tmp_path_factory) -> Path:
    """A file like the published one, not written by the package."""
    path = tmp_path_factory.mktemp("mat") / "market_attribute.mat"
    content = {"test": struct(people[1], TEST_ORDER), "train": struct(people[0], TRAIN_ORDER)}
    scipy.io.savemat(path, {"market_attribute": content})
    return path


@pytest.fixture
def few(people) -> dict:
    return {pid: people[0][pid] for pid in list(people[0])[:4]}


def lines(few: dict, columns: list[str] = TEST_ORDER) -> list[str]:
    head = ",".join(["id", *columns])
    return [head, *(",".join(map(str, [pid, *(p[c] for c in columns)])) for pid, p in few.items())]


def cells(text: list[str]) -> list[list[str]]:
    return [line.split(",") for line in text]


def joined(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def submission(few: dict, name: str = "{pid:04d}_c1s1_000451_03.jpg") -> list[list[str]]:
    """The layout with columns for several colours and image names."""
    at = {"upmulticolor": "upgreen", "downmulticolor": "downbrown"}
    columns = list(TEST_ORDER)
    for multi, before in at.items():
        columns.insert(columns.index(before) + 1, multi)
    rows = [["id", *columns]]
    for pid, labels in few.items():
        several = {
            f"{part}multicolor": 2
            if all(labels[n] == 1 for n in TEST_ORDER if n.startswith(part) and n != part)
            else 1
            for part in ("up", "down")
        }
        codes = labels | several
        rows.append([name.format(pid=pid), *(str(codes[c]) for c in columns)])
    return rows


def test_the_columns_are_those_of_the_published_file():
    assert list(COLUMNS) == TEST_ORDER and list(TRAIN_COLUMNS) == TRAIN_ORDER
    assert sorted(COLUMNS) == sorted(TRAIN_COLUMNS) and len(set(COLUMNS)) == 27


def test_twelve_heads_have_41_classes():
    assert list(HEADS) == list(PUBLISHED)
    assert [len(names) for names in HEADS.values()] == [4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 9, 10]
    assert HEADS["age"] == ("young", "teenager", "adult", "old")
    assert HEADS["clothes"] == ("dress", "trousers") and HEADS["hat"] == ("no", "yes")
    assert HEADS["up"] == HEADS["down"] == ("long", "short") and HEADS["hair"] == ("short", "long")
    for head, prefix in (("up_color", "up"), ("down_color", "down")):
        columns = [n for n in TEST_ORDER if n.startswith(prefix) and n != prefix]
        assert [prefix + name for name in HEADS[head][:-1]] == columns
        assert HEADS[head][-1] == "multi"


def test_the_published_counts_come_out_of_both_field_orders(published):
    for side, part in enumerate(("train", "test")):
        table = read_attributes(published, part)
        assert len(table) == 751 - side
        assert counts(table) == {head: row[side] for head, row in PUBLISHED.items()}


def test_the_published_weights_come_out(published):
    weights = class_weights(counts(read_attributes(published, "train")))
    for head, (_, _, expected) in PUBLISHED.items():
        assert weights[head] == pytest.approx(expected, abs=5e-5), head


def test_the_majority_answers_score_what_they_score_on_the_real_people(published):
    accuracy, mean = majority(
        read_attributes(published, "train"), read_attributes(published, "test")
    )
    assert {head: round(value, 4) for head, value in accuracy.items()} == MAJORITY
    assert round(mean, 4) == 0.7123


def test_the_majority_is_that_of_train():
    codes = {head: 0 for head in HEADS}
    bald, curly = labels_of(codes), labels_of(codes | {"hair": 1})
    accuracy, _ = majority([bald, bald, curly], [curly, curly, curly, bald])
    assert accuracy["hair"] == 0.25 and accuracy["hat"] == 1.0
    assert majority([bald, curly], [bald])[0]["hair"] == 1.0  # of equals, the first
    with pytest.raises(ValueError, match="got 1 in train, 0 in test"):
        majority([bald], [])


def test_a_class_of_nobody_has_weight_0_and_is_reported(published, caplog):
    with caplog.at_level(logging.WARNING):
        weights = class_weights(counts(read_attributes(published, "test")))
    assert weights["down_color"][3] == 0.0
    assert weights["down_color"][4] == 287 and weights["down_color"][0] == 1
    assert "down_color: nobody is purple" in caplog.text
    assert len(caplog.records) == 1


def test_weights_need_counts_of_every_head(published):
    found = counts(read_attributes(published, "train"))
    for numbers in ([], [1, 2, 3], [0, 0], [-1, 3]):
        with pytest.raises(ValueError, match=re.escape(f"hat has counts {numbers}, expected 2")):
            class_weights(found | {"hat": numbers})


def test_counts_takes_images_as_well_as_people(few):
    first = next(iter(few.values()))
    assert counts([first, first]) == counts(iter([first, first]))
    assert sum(counts([first, first])["hat"]) == 2
    assert counts(few) == counts(AttributeTable(few)) == counts(few.values())


def test_classes_and_labels_are_inverse(people):
    for labels in [*people[0].values(), *people[1].values()]:
        found = classes(labels)
        assert list(found) == list(HEADS)
        assert labels_of(found) == labels
        assert list(labels_of(found)) == TEST_ORDER


def test_classes_by_hand():
    labels = dict.fromkeys(TEST_ORDER, 1) | {"age": 3, "hat": 2, "upred": 2}
    found = classes(labels)
    assert found["age"] == 2 and found["hat"] == 1 and found["gender"] == 0
    assert HEADS["up_color"][found["up_color"]] == "red"
    assert HEADS["down_color"][found["down_color"]] == "multi"


@pytest.mark.parametrize("index", [-1, 2, 0.5])
def test_a_class_that_is_not_there_is_refused(index):
    with pytest.raises(ValueError, match=f"hat has no class {index}; expected 0 to 1 .no, yes."):
        labels_of(dict.fromkeys(HEADS, 0) | {"hat": index})


def test_heads_that_are_missing_or_unknown_are_refused():
    with pytest.raises(ValueError, match="expected the heads age, .*; got hat"):
        labels_of({"hat": 0})
    with pytest.raises(ValueError, match="shoes"):
        labels_of(dict.fromkeys(HEADS, 0) | {"shoes": 0})


def test_both_parts_are_joined_and_sorted(published, people):
    table = read_attributes(published)
    assert list(table) == list(range(1, 1502))
    assert table.rows == people[0] | people[1]
    assert all(list(row) == TEST_ORDER for row in table.values())
    assert all(type(code) is int for code in table[1].values())
    assert str(published) in table.source
    assert "train" in read_attributes(published, "train").source


def test_the_reader_agrees_with_scipy(published):
    content = scipy.io.loadmat(published)["market_attribute"]
    for part in ("train", "test"):
        table, theirs = read_attributes(published, part), content[part][0, 0]
        names = [str(cell[0]) for cell in theirs["image_index"][0, 0].ravel()]
        assert [f"{pid:04d}" for pid in table] == names
        for column in TEST_ORDER:
            expected = theirs[column][0, 0].ravel().tolist()
            assert [labels[column] for labels in table.values()] == expected


def test_scipy_reads_what_is_written(people, tmp_path):
    write_mat(tmp_path / "a.mat", AttributeTable(people[0]), people[1])
    content = scipy.io.loadmat(tmp_path / "a.mat")
    assert content["__version__"] == "1.0"
    for side, (part, order) in enumerate((("train", TRAIN_ORDER), ("test", TEST_ORDER))):
        found = content["market_attribute"][part][0, 0]
        assert list(found.dtype.names) == [*order, "image_index"]
        names = [str(cell[0]) for cell in found["image_index"][0, 0].ravel()]
        assert names == [f"{pid:04d}" for pid in people[side]]
        for column in order:
            values = found[column][0, 0]
            assert values.dtype == np.uint8 and values.shape == (1, 751 - side)
            assert values.ravel().tolist() == [p[column] for p in people[side].values()]


def test_tables_survive_mat_to_csv_to_mat(published, people, tmp_path):
    train, test = (read_attributes(published, part) for part in ("train", "test"))
    write_csv(tmp_path / "train.csv", train)
    write_csv(tmp_path / "test.csv", test)
    again = [read_attributes(tmp_path / f"{part}.csv") for part in ("train", "test")]
    assert again == [train, test]
    write_mat(tmp_path / "again.mat", *again)
    assert read_attributes(tmp_path / "again.mat", "train") == train
    assert read_attributes(tmp_path / "again.mat").rows == people[0] | people[1]


def test_the_same_people_give_the_same_bytes(few, people, tmp_path):
    turned = {pid: dict(reversed(few[pid].items())) for pid in reversed(few)}
    write_mat(tmp_path / "a.mat", few, people[1])
    write_mat(tmp_path / "b.mat", AttributeTable(turned), people[1])
    data = (tmp_path / "a.mat").read_bytes()
    assert data == (tmp_path / "b.mat").read_bytes()
    assert data[:116] == b"MATLAB 5.0 MAT-file, written by reidlab".ljust(116)  # no date
    write_csv(tmp_path / "a.csv", few)
    write_csv(tmp_path / "b.csv", turned)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_csv_has_the_layout_of_the_course(few, tmp_path):
    write_csv(tmp_path / "a.csv", few)
    assert (tmp_path / "a.csv").read_bytes() == ("\n".join(lines(few)) + "\n").encode()
    with open(tmp_path / "a.csv", newline="") as file:
        assert [int(row["id"]) for row in csv.DictReader(file)] == list(few)


def test_nobody_is_a_table_too(tmp_path):
    write_csv(tmp_path / "a.csv", {})
    write_mat(tmp_path / "a.mat", {}, {})
    assert len(read_attributes(tmp_path / "a.csv")) == len(read_attributes(tmp_path / "a.mat")) == 0


def test_people_in_both_parts_are_refused(few, tmp_path):
    one = dict([next(iter(few.items()))])
    with pytest.raises(ValueError, match="1 people, for instance .*, are in train and test"):
        write_mat(tmp_path / "a.mat", few, one)
    assert not (tmp_path / "a.mat").exists()
    content = {"train": struct(few, TRAIN_ORDER), "test": struct(one, TEST_ORDER)}
    scipy.io.savemat(tmp_path / "b.mat", {"market_attribute": content})
    assert len(read_attributes(tmp_path / "b.mat", "test")) == 1
    with pytest.raises(
        ValueError,
        match=r"b\.mat, test, row 1, column image_index: 1 people, .*are in train and test",
    ):
        read_attributes(tmp_path / "b.mat")


@pytest.mark.parametrize("write", [write_csv, lambda path, people: write_mat(path, people, {})])
def test_a_failed_write_leaves_the_old_file(write, few, tmp_path, monkeypatch):
    path = tmp_path / "table"
    path.write_text("old")
    with pytest.raises(ValueError, match="person .*column hat is 7"):
        write(path, {1: dict(few[next(iter(few))], hat=7)})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match="cannot write .*table .No space left on device"):
        write(path, few)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_named(few, tmp_path):
    with pytest.raises(ValueError, match="cannot write .*nowhere"):
        write_csv(tmp_path / "nowhere" / "a.csv", few)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot write .*file"):
        write_csv(tmp_path / "file" / "a.csv", few)


# the table


def test_a_table_is_a_mapping_by_person(few):
    table = AttributeTable(dict(reversed(few.items())), "somewhere")
    assert list(table) == sorted(few) and len(table) == 4
    assert table[min(few)]["age"] == few[min(few)]["age"]
    assert 9999 not in table and table == AttributeTable(few)
    assert repr(table) == "AttributeTable(4 people, source 'somewhere')"
    assert reidlab.AttributeTable is AttributeTable
    assert reidlab.read_attributes is read_attributes


def test_a_table_does_not_change_with_what_it_was_made_from(few):
    rows = {pid: dict(labels) for pid, labels in few.items()}
    table = AttributeTable(rows)
    rows[min(few)]["hat"] = 77
    rows.clear()
    assert table.rows == few


def test_a_table_knows_where_every_person_stands(few, tmp_path):
    rows = submission(few)
    (tmp_path / "a.csv").write_text(joined([rows[0], [""] * 30, *rows[1:], rows[2]]))
    table = read_attributes(tmp_path / "a.csv")
    for row, pid in enumerate(few, 3):  # the first row of several, empty ones counted
        assert table.place(pid) == f"{tmp_path / 'a.csv'}, row {row}, column id"
    path = saved(tmp_path / "a.mat", struct(few, TRAIN_ORDER), struct({77: plain()}, TEST_ORDER))
    table = read_attributes(path)
    assert table.place(77) == f"{path}, test, row 1, column image_index"
    assert table.place(list(few)[2]) == f"{path}, train, row 3, column image_index"
    assert AttributeTable(few).place(3) == "the table, person 3"
    assert AttributeTable(few, "mine").place(3) == "mine, person 3"
    assert AttributeTable(few, places={3: "here"}) == AttributeTable(few)


def test_integers_of_numpy_are_taken(few):
    table = AttributeTable(
        {np.int64(pid): {c: np.uint8(v) for c, v in p.items()} for pid, p in few.items()}  # type: ignore
    )
    assert table.rows == few
    assert {type(v) for row in table.values() for v in row.values()} == {int}


@pytest.mark.parametrize("value", [0, 3, -1, 1.0, "1", None, True, float("nan")])
def test_a_code_out_of_range_is_named(few, value):
    pid = min(few)
    expected = (
        rf"person {pid}: column hat is {re.escape(repr(value))}, expected one of: 1 no, 2 yes"
    )
    with pytest.raises(ValueError, match=expected):
        AttributeTable({pid: few[pid] | {"hat": value}})


@pytest.mark.parametrize("column", TEST_ORDER)
def test_every_column_has_its_range(few, column):
    pid = min(few)
    plain = {name: 1 for name in TEST_ORDER}
    top = 4 if column == "age" else 2
    for code in range(1, top + 1):
        AttributeTable({pid: plain | {column: code}})
    for code in (0, top + 1):
        with pytest.raises(ValueError, match=f"person {pid}: column {column} is {code}, expected"):
            AttributeTable({pid: plain | {column: code}})


def test_the_meaning_of_codes_is_told(few):
    with pytest.raises(ValueError, match="age is 5, expected one of: 1 young, 2 teenager, 3 adult"):
        AttributeTable({3: few[min(few)] | {"age": 5}})


@pytest.mark.parametrize(("first", "second"), [("upred", "upblue"), ("downpink", "downbrown")])
def test_two_colours_of_one_garment_are_refused(first, second):
    plain = dict.fromkeys(TEST_ORDER, 1)
    AttributeTable({5: plain | {"upred": 2, "downbrown": 2}})
    with pytest.raises(ValueError, match=f"person 5: columns {first}, {second} are all 2"):
        AttributeTable({5: plain | {first: 2, second: 2}})


def test_missing_and_unknown_columns_are_named(few):
    labels = dict(few[min(few)])
    with pytest.raises(ValueError, match="person 5: unknown columns boots"):
        AttributeTable({5: labels | {"boots": 1}})
    del labels["hat"]
    with pytest.raises(ValueError, match="person 5: missing hat"):
        AttributeTable({5: labels})


@pytest.mark.parametrize("pid", [0, -1, 1.5, "0002", True])
def test_a_person_id_is_a_positive_integer(few, pid):
    with pytest.raises(ValueError, match="integers above 0, got"):
        AttributeTable({pid: few[min(few)]})


# CSV files that are fine


def test_columns_may_stand_in_any_order(few, tmp_path):
    shuffled = random.Random(3).sample(TEST_ORDER, 27)
    (tmp_path / "a.csv").write_text("\n".join(lines(few, shuffled)))
    assert read_attributes(tmp_path / "a.csv").rows == few


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda t: t.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(lambda t: t.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(lambda t: t.replace("\n", "\r").encode(), id="CR"),
        pytest.param(lambda t: t.rstrip("\n").encode(), id="no newline at the end"),
        pytest.param(lambda t: (t + "\n\n").encode(), id="newlines at the end"),
        pytest.param(lambda t: re.sub(r"(\w+)", r'"\1"', t).encode(), id="quoted"),
        pytest.param(lambda t: t.replace(",", " , ").encode(), id="spaces"),
        pytest.param(lambda t: re.sub(r"^(\d+)", r"000\1", t, flags=re.M).encode(), id="zeros"),
    ],
)
def test_spreadsheets_may_spell_a_csv_their_way(few, tmp_path, spell):
    (tmp_path / "a.CSV").write_bytes(spell("\n".join(lines(few)) + "\n"))
    assert read_attributes(tmp_path / "a.CSV").rows == few


@pytest.mark.parametrize(
    "name", ["{pid:04d}_c1s1_000451_03.jpg", "train/{pid:04d}_c6_000045121.PNG"]
)
def test_images_that_name_a_person_are_read_as_that_person(few, tmp_path, name):
    rows = submission(few, name)
    assert len(rows[0]) == 30
    assert {
        row[rows[0].index("upmulticolor")] for row in submission(dict.fromkeys([1], plain()))[1:]
    } == {"2"}
    (tmp_path / "a.csv").write_text(joined([*rows, *rows[1:]]))  # every person twice, agreeing
    assert read_attributes(tmp_path / "a.csv").rows == few


def plain() -> dict[str, int]:
    return dict.fromkeys(TEST_ORDER, 1)


# CSV files that are not


def change(row: int, column: str, value: str):
    def apply(rows: list[list[str]]) -> None:
        rows[row - 1][rows[0].index(column)] = value

    return apply


def drop(column: str):
    def apply(rows: list[list[str]]) -> None:
        at = rows[0].index(column)
        for row in rows:
            del row[at]

    return apply


def rename(column: str, name: str):
    return change(1, column, name)


def cut(row: int, length: int):
    def apply(rows: list[list[str]]) -> None:
        rows[row - 1] = rows[row - 1][:length]
        del rows[row:]

    return apply


def repeat(row: int):
    return lambda rows: rows.append(list(rows[row - 1]))


WRONG = {
    "missing column": (drop("hat"), r"row 1: columns hat missing"),
    "unknown column": (rename("hat", "boots"), r"row 1: columns hat missing; unknown .*'boots'"),
    "repeated column": (rename("hat", "bag"), r"row 1: column bag stands there more than once"),
    "one column for several colours": (
        rename("hat", "upmulticolor"),
        r"row 1: columns hat, downmulticolor missing",
    ),
    "no id": (drop("id"), r"row 1: expected the first column id, found 'age'"),
    "too large": (
        change(3, "hat", "3"),
        r"row 3 \(id \d+\): column hat is 3, expected one of: 1 no",
    ),
    "zero": (change(2, "age", "0"), r"row 2 .*column age is 0, expected one of: 1 young"),
    "empty cell": (change(4, "up", ""), r"row 4, column up: expected an integer, found an empty"),
    "fraction": (change(2, "up", "1.0"), r"row 2, column up: expected an integer, found '1\.0'"),
    "negative": (change(2, "up", "-1"), r"row 2, column up: expected an integer, found '-1'"),
    "word": (change(2, "gender", "male"), r"row 2, column gender: expected an integer, found 'mal"),
    "other digits": (change(2, "gender", "\u0662"), r"row 2, column gender: expected an integer"),
    "huge": (change(2, "gender", "1" * 5000), r"row 2, column gender: expected an integer"),
    "NUL": (change(2, "gender", "1\0"), r"row 2, column gender|no complete CSV"),
    "empty id": (change(3, "id", ""), r"row 3, column id: expected an integer, found an empty"),
    "id 0": (change(3, "id", "0"), r"row 3, column id: expected a person id above 0"),
    "junk": (change(3, "id", "-1"), r"row 3, column id: expected an integer, found '-1'"),
    "repeated id": (repeat(3), r"row 6, column id: \d+ is person \d+ of row 3 again"),
    "cut row": (cut(4, 12), r"row 4 has 12 cells, expected 28 .*; column upwhite has no cell, is"),
    "long row": (
        lambda rows: rows[2].append("1"),
        r"row 3 has 29 cells, expected 28 .*after column downbrown belongs to none",
    ),
    "semicolons in a row": (
        lambda rows: rows.__setitem__(2, [";".join(rows[2])]),
        r"row 3 has 1 cells, expected 28 .*; separate cells by commas, not by ';'",
    ),
    "open quote": (
        lambda rows: change(3, "hat", '"' + rows[2][9])(rows),
        r"row 3, column hat is no complete CSV .*is a quote missing",
    ),
    "quote inside": (
        change(4, "gender", '"1"2'),
        r"row 4, column gender is no complete CSV",
    ),
    "unnamed image": (
        change(2, "id", "017734.jpg"),
        r"row 2, column id: the image 017734\.jpg does",
    ),
    "image of a distractor": (
        change(2, "id", "0000_c1s1_1_0.jpg"),
        r"row 2, .* distractor or junk",
    ),
    "image of junk": (
        change(2, "id", "-1_c1s1_1_0.jpg"),
        r"row 2, column id: .*distractor or junk",
    ),
    "semicolons": (lambda rows: rows.insert(0, ["id;age"]), r"row 1: .*commas, not by ';'"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_csv_is_refused_by_row_and_column(mistake, few, tmp_path):
    apply, message = WRONG[mistake]
    rows = cells(lines(few))
    apply(rows)
    (tmp_path / "a.csv").write_text(joined(rows), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        read_attributes(tmp_path / "a.csv")
    assert str(error.value).startswith(str(tmp_path / "a.csv"))


def test_two_colours_in_a_csv_are_refused(few, tmp_path):
    rows = cells(lines(few))
    for column in ("upred", "upblue"):
        change(3, column, "2")(rows)
    (tmp_path / "a.csv").write_text(joined(rows))
    with pytest.raises(ValueError, match=r"row 3 .*upred.*upblue.* are all 2"):
        read_attributes(tmp_path / "a.csv")


def test_images_of_one_person_must_agree(few, tmp_path):
    rows = submission(few)
    other = list(rows[1])
    hat = rows[0].index("hat")
    other[hat] = "2" if other[hat] == "1" else "1"
    (tmp_path / "a.csv").write_text(joined([*rows, other]))
    with pytest.raises(ValueError, match=r"row 6, column hat: .* but person \d+ of row 2 is "):
        read_attributes(tmp_path / "a.csv")


@pytest.mark.parametrize("part", ["up", "down"])
def test_several_colours_and_one_colour_exclude_each_other(part, tmp_path):
    rows = submission({3: plain()})
    change(2, f"{part}multicolor", "1")(rows)
    (tmp_path / "a.csv").write_text(joined(rows))
    expected = rf"row 2, column {part}multicolor: found 1, expected 2, because no colour column"
    with pytest.raises(ValueError, match=expected):
        read_attributes(tmp_path / "a.csv")
    rows = submission({3: plain()})
    change(2, f"{part}blue", "2")(rows)
    (tmp_path / "a.csv").write_text(joined(rows))
    with pytest.raises(ValueError, match=rf"found 2, expected 1, because {part}blue is 2"):
        read_attributes(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; expected in row 1 a header"),
        (b"\n\n", "is empty"),
        (pickle.dumps({"id": 1}), "row 1, cell 1 is no text in UTF-8"),
        ("id,age".encode("utf-16"), "row 1, cell 1 is no text in UTF-8"),
        (b"id,age,hat\r\n1,2,1\r\n2,3,\xff\r\n", r"row 3, column hat is no text in UTF-8 .byte 23"),
        (b'\xef\xbb\xbf"id","age"\r1,2\r\xff', r"row 3, column id is no text in UTF-8 .byte 18"),
        (b'id,"age', "row 1, cell 2 is no complete CSV"),
        (b'id,age\n"1,2\n' + b"3,4\n" * 99_999, "row 2, column id is no complete CSV"),
        (b'id,age,hat\n"1\n1",2,1\n7,"8', "row 3, column age is no complete CSV"),
        (b'id,age\n"' + b"3" * 200_000 + b'",2\n', "row 2, column id is no complete CSV"),
        (b"id\tage\n1\t2\n", r"separate cells by commas, not by '\\t'"),
    ],
)
def test_what_is_no_csv_is_refused(data, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_attributes(tmp_path / "a.csv")


def test_a_csv_has_no_parts(few, tmp_path):
    write_csv(tmp_path / "a.csv", few)
    with pytest.raises(ValueError, match="a CSV, which has no part 'train'"):
        read_attributes(tmp_path / "a.csv", "train")


@pytest.mark.parametrize("name", ["a.csv", "a.mat"])
def test_a_missing_file_and_a_folder_are_named(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} cannot be read .No such file"):
        read_attributes(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        read_attributes(tmp_path / name)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a \.mat or a \.csv file, found .*'\.xlsx'"):
        read_attributes(tmp_path / "a.xlsx")


# .mat files


def saved(path: Path, train: dict, test: dict | None = None, **options) -> Path:
    content = {"train": train} | ({} if test is None else {"test": test})
    scipy.io.savemat(path, {"market_attribute": content}, **options)
    return path


def test_other_number_types_columns_and_compression_are_read(few, tmp_path):
    fields = struct(few, TRAIN_ORDER)
    fields = {
        name: value if name == "image_index" else value.T.astype(kind)
        for (name, value), kind in zip(
            fields.items(), ["f8", "i4", "u2", "f4", "i8"] * 6, strict=False
        )
    }
    path = saved(tmp_path / "a.mat", fields, do_compression=True)
    assert read_attributes(path, "train").rows == few
    with pytest.raises(ValueError, match="test: no such struct; found train"):
        read_attributes(path)


def cell(*values) -> np.ndarray:
    found = np.empty((1, len(values)), object)
    found[0, :] = values
    return found


def spoilt(few: dict, column: str, values) -> dict:
    return struct(few, TRAIN_ORDER) | {column: values}


MISTAKES = {
    "too large": (("hat", np.uint8([[1, 2, 3, 1]])), r"train, row 3 \(id \d+\): column hat is 3"),
    "fraction": (("age", [[1, 2.5, 1, 1]]), r"row 2 \(id \d+\), column age: .*integer, found 2\.5"),
    "nan": (("age", [[1, np.nan, 1, 1]]), r"row 2 \(id \d+\), column age: .*integer, found nan"),
    "infinite": (("age", [[1, 1, 1, np.inf]]), r"row 4 \(id \d+\), column age: .*found inf"),
    "too few": (("bag", np.uint8([[1, 2]])), r"column bag has 2 values, expected 4 .*row 3 is inc"),
    "text": (("bag", "1111"), r"train, column bag: expected one number per person"),
    "complex": (("bag", np.array([[1j, 1, 1, 1]])), r"train, column bag: expected one number"),
    "numbers as ids": (("image_index", np.uint8([[1, 2, 3, 4]])), r"expected a cell array"),
    "numbers in cells": (
        ("image_index", cell(1, 2, 3, 4)),
        r"row 1, column image_index: .*as text",
    ),
    "word as id": (
        ("image_index", cell("0001", "two", "3", "4")),
        r"row 2, .*id as text, found two",
    ),
    "id 0": (
        ("image_index", cell("0001", "0000", "3", "4")),
        r"row 2, column image_index: expected",
    ),
    "empty cell as id": (
        ("image_index", cell("0001", "", "3", "4")),
        r"row 2, column image_index: expected a person id as text",
    ),
    "zero": (("gender", np.uint8([[1, 2, 2, 0]])), r"train, row 4 \(id \d+\): column gender is 0"),
    "repeated id": (
        ("image_index", cell("1", "2", "3", "2")),
        r"row 4, .* person 2 stands there twice",
    ),
    "unknown field": (("boots", np.uint8([[1, 1, 1, 1]])), r"train: unknown fields 'boots'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_mat_file_is_refused_by_row_and_column(mistake, few, tmp_path):
    (column, values), message = MISTAKES[mistake]
    path = saved(tmp_path / "a.mat", spoilt(few, column, values))
    with pytest.raises(ValueError, match=message) as error:
        read_attributes(path, "train")
    assert str(error.value).startswith(str(path))


def test_two_colours_in_a_mat_file_are_refused(few, tmp_path):
    both = {"upred": np.uint8([[1, 2, 1, 1]]), "upblue": np.uint8([[1, 2, 1, 1]])}
    plain_up = {n: np.uint8([[1] * 4]) for n in TRAIN_ORDER if n.startswith("up") and n != "up"}
    path = saved(tmp_path / "a.mat", struct(few, TRAIN_ORDER) | plain_up | both)
    with pytest.raises(ValueError, match=r"train, row 2 .id \d+.: columns upred, upblue are all 2"):
        read_attributes(path, "train")


def test_a_missing_field_is_named(few, tmp_path):
    fields = struct(few, TRAIN_ORDER)
    del fields["hat"]
    with pytest.raises(ValueError, match="train: fields hat missing"):
        read_attributes(saved(tmp_path / "a.mat", fields), "train")


@pytest.mark.parametrize("content", [{"market_attribute": 3}, {"market_attribute": {"train": "x"}}])
def test_what_is_no_struct_is_refused(content, tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(ValueError, match="expected a 1x1 struct"):
        read_attributes(tmp_path / "a.mat", "train")


def test_attributes_of_dukemtmc_are_refused_by_their_fields(few, tmp_path):
    order = [name for name in TRAIN_ORDER if name not in ("age", "hair", "clothes", "up", "down")]
    duke = struct(few, order) | {n: np.uint8([[1, 1, 1, 1]]) for n in ("boots", "shoes", "top")}
    scipy.io.savemat(tmp_path / "a.mat", {"duke_attribute": {"train": duke, "test": duke}})
    expected = "duke_attribute.train: fields age, .*missing; unknown fields 'boots', 'shoes', 'top'"
    with pytest.raises(ValueError, match=expected):
        read_attributes(tmp_path / "a.mat")


def test_another_variable_is_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"gallery_market": np.zeros((5, 12), np.uint8)})
    with pytest.raises(ValueError, match="holds gallery_market; expected the variable market_attr"):
        read_attributes(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes and is empty or cut off"),
        (b"MATLAB 5.0 MAT-file", "has 19 bytes and is empty or cut off"),
        (b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "v7.3 file .HDF5."),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 999, "v7.3 file .HDF5."),
        (pickle.dumps({"market_attribute": list(range(999))}), "is a pickle, which may run code"),
        (b"id,age,backpack\n" * 20, "starts with b'id,age"),
    ],
)
def test_what_is_no_matlab_v5_file_is_refused(data, message, tmp_path):
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(ValueError, match=f"a.mat: expected a MATLAB v5 file; this one .*{message}"):
        read_attributes(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_that_is_cut_anywhere_is_refused(compressed, few, tmp_path):
    path = saved(tmp_path / "a.mat", struct(few, TRAIN_ORDER), do_compression=compressed)
    data = path.read_bytes()
    for length in [*range(0, len(data), 53), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"a\.mat"):
            read_attributes(path, "train")


@pytest.mark.parametrize("part", ["val", "Train", ""])
def test_other_parts_are_refused(part, published):
    with pytest.raises(ValueError, match="expected train, test, or none for both"):
        read_attributes(published, part)


def test_every_name_is_exported():
    assert all(hasattr(attributes, name) for name in attributes.__all__)
