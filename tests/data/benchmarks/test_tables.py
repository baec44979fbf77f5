import pytest

from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people

ROWS = [
    ("crops/1.jpg", 1, 1, 4, "train"),
    ("crops/2.jpg", 1, 2, "", "train"),
    ("crops/3.jpg", 2, 1, 0, "train"),
    ("crops/4.jpg", 5, 1, 0, "query"),
    ("crops/5.jpg", 5, 2, 0, "gallery"),
    ("crops/6.jpg", -1, 2, 0, "gallery"),
    ("crops/7.jpg", 8, 1, 0, "validation_query"),
    ("crops/8.jpg", 8, 2, 0, "validation_gallery"),
]
HEADER = "path,pid,camid,viewid,split"


def lines(rows=ROWS, header=HEADER):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.fixture
def table(plant, tmp_path):
    plant(tmp_path / "crops", (f"{i}.jpg" for i in range(1, 13)))
    path = tmp_path / "people.csv"
    path.write_text(lines())
    return path


def test_a_table_says_everything(table, tmp_path, monkeypatch, caplog):
    splits = read_dataset(table)
    assert splits.name == "people"
    assert [(s.pid, s.camid, s.viewid) for s in splits.train] == [
        (1, 1, 4),
        (1, 2, None),
        (2, 1, 0),
    ]
    assert splits.train[0].path == tmp_path / "crops" / "1.jpg"
    assert (len(splits.query), len(splits.gallery)) == (1, 2)
    assert [len(part) for part in splits.validation] == [1, 1]
    assert splits.cameras == [1, 2] and splits.views == [0, 4]
    assert not caplog.text
    monkeypatch.chdir(tmp_path)
    assert read_dataset("people.csv").train[0].path.exists()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_marks_line_ends_and_quotes_are_understood(table, mark, end):
    known = read_dataset(table)
    text = lines(header='"Path", PID,camid,viewid,split').replace("crops/1.jpg", '"crops/1.jpg"')
    table.write_bytes((mark + text + "\n").replace("\n", end).encode())
    assert read_dataset(table).fingerprint == known.fingerprint


def test_columns_may_stand_in_any_order_and_paths_be_absolute(table, tmp_path):
    rows = [(1, tmp_path / "crops" / "1.jpg", 1), (2, "crops/2.jpg", 2), (3, "./crops/3.jpg", 2)]
    table.write_text(lines(rows, "camid,path,pid"))
    splits = read_dataset(table)
    assert people(splits.train) == {1, 2} and splits.train[0].path == tmp_path / "crops" / "1.jpg"


def test_names_in_any_language_are_found(table, plant, tmp_path):
    plant(tmp_path, ["人/写真, 1.jpg"])
    rows = [('"人/写真, 1.jpg"', 1, 1), ("crops/2.jpg", 2, 2)]
    table.write_text(lines(rows, "path,pid,camid"), encoding="utf-8")
    assert read_dataset(table).train[0].path == tmp_path / "人" / "写真, 1.jpg"


def test_without_splits_everything_trains_and_people_can_be_held_out(table, caplog):
    rows = [(f"crops/{i + 1}.jpg", 1 + i // 3, 1 + i % 3) for i in range(12)]
    table.write_text(lines(rows, "path,pid,camid"))
    assert len(read_dataset(table).train) == 12
    assert "holds people out" in caplog.text
    splits = read_dataset(table, test_ids=1, validation_ids=1)
    assert len(people(splits.train)) == 2
    assert len(people(splits.query)) == len(people(splits.validation[0])) == 1
    assert len(splits.query) == 2 and splits.cameras == [1, 2, 3]


def test_who_is_named_for_a_part_cannot_be_drawn_for_it(table):
    with pytest.raises(ValueError, match="has queries with 1 people already; leave out test_ids"):
        read_dataset(table, test_ids=1)
    with pytest.raises(ValueError, match="with 1 people already; leave out validation_ids"):
        read_dataset(table, validation_ids=1)


def test_a_single_camera_is_no_camera(table):
    rows = [(f"crops/{i + 1}.jpg", 1 + i // 3, 4, "train") for i in range(6)]
    rows += [("crops/8.jpg", 7, 4, "query"), ("crops/9.jpg", 7, 4, "gallery")]
    table.write_text(lines(rows, "path,pid,camid,split"))
    splits = read_dataset(table)
    assert {s.camid for s in (*splits.train, *splits.query)} == {0}
    assert {s.camid for s in splits.gallery} == {1}
    (note,) = scan_dataset(table).notes
    assert "every image says camera 4" in note


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (",1,1,0,train", "path", "an image file, found ''"),
        ("crops/1.jpg,ann,1,0,train", "pid", "a whole number, -1 for junk, found 'ann'"),
        ("crops/1.jpg,-2,1,0,train", "pid", "found '-2'"),
        ("crops/1.jpg,1.0,1,0,train", "pid", "found '1.0'"),
        ("crops/1.jpg,1,-1,0,train", "camid", "0 or more, found '-1'"),
        ("crops/1.jpg,1,,0,train", "camid", "found ''"),
        ("crops/1.jpg,1,1,side,train", "viewid", "or nothing, found 'side'"),
        ("crops/1.jpg,1,1,0,Train", "split", "one of train, query, gallery, .*, found 'Train'"),
        ("crops/1.jpg,1,1,0,", "split", "found ''"),
    ],
)
def test_a_bad_cell_is_named_with_line_and_column(table, row, column, expected):
    table.write_text(lines() + "\n" + row + "\n")
    with pytest.raises(ValueError, match=f"people.csv, line 11, column {column}: .*{expected}"):
        read_dataset(table)


def test_a_line_of_another_length_is_named(table):
    table.write_text(lines() + "crops/1.jpg,1\n")
    with pytest.raises(ValueError, match=r"line 10: expected 5 columns \(path, .*, found 2"):
        read_dataset(table)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path;pid;camid", "separated by commas, found 'path;pid;camid'; missing: path, pid, ca"),
        ("path,pid", "missing: camid"),
        ("path,pid,camid,pid", "twice: pid"),
        ("crops/1.jpg,1,2", "missing: path, pid, camid"),
        ("", "missing: path, pid, camid"),
    ],
)
def test_a_bad_header_is_named(table, header, message):
    table.write_text(lines([], header))
    with pytest.raises(ValueError, match=f"people.csv, line 1: expected the columns .*{message}"):
        read_dataset(table)


def test_columns_that_nobody_reads_are_noted(table):
    table.write_text(lines([(*row, "x") for row in ROWS], HEADER + ",colour"))
    assert scan_dataset(table).notes == [f"{table}: columns that nobody reads: colour"]


def test_many_problems_are_counted(table):
    table.write_text(lines() + "x,x,x,x,x\n" * 50)
    scan = scan_dataset(table)
    assert len(scan.problems) == 21 and "30 more problems of this kind" in scan.problems[-1]
    assert len(scan.parts["train"]) == 3


def test_images_that_are_not_there_are_counted(table):
    table.write_text(lines([*ROWS, ("crops/77.jpg", 1, 1, "", "train")]))
    with pytest.raises(ValueError, match=r"1 of 9 images listed .*77.jpg \(line 10\)"):
        read_dataset(table)


def test_a_table_without_images_is_a_problem(table):
    table.write_text(HEADER + "\n")
    with pytest.raises(ValueError, match="people.csv lists no images"):
        read_dataset(table)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"path,pid,camid\n\xe9.jpg,1,1\n", "is not UTF-8"),
        (b"path\0,pid,camid\n", "line 1: "),
        (b'path,pid,camid\na,1,1\n"b,1,1\n', "line 3: .* every quote closed"),
    ],
)
def test_what_is_no_table_is_named(table, data, message):
    table.write_bytes(data)
    with pytest.raises(ValueError, match=f"people.csv(, | ){message}"):
        read_dataset(table)


def test_people_on_both_sides_are_mentioned_and_of_validation_refused(table):
    table.write_text(lines([*ROWS, ("crops/9.jpg", 5, 2, "", "train")]))
    assert "1 people, for instance 5, are in training and test" in scan_dataset(table).notes[0]
    table.write_text(lines([*ROWS, ("crops/9.jpg", 8, 2, "", "train")]))
    with pytest.raises(ValueError, match="split train: 1 validation people are also in train"):
        read_dataset(table)


def test_distractors_and_junk_train_nobody(table, caplog):
    table.write_text(lines([*ROWS, ("crops/9.jpg", 0, 2, "", "train"),
                            ("crops/9.jpg", 0, 2, "", "query")]))  # fmt: skip
    splits = read_dataset(table)
    assert min(s.pid for s in (*splits.train, *splits.query)) == 1
    assert min(s.pid for s in splits.gallery) == -1
    assert "2 images of person 0 or -1, that is distractors and junk" in caplog.text


def test_paths_written_on_windows_and_detours_are_found(table):
    rows = [(path.replace("/", "\\"), *rest) for path, *rest in ROWS]
    rows[0] = ("crops/../crops/1.jpg", *rows[0][1:])
    table.write_text(lines(rows))
    splits = read_dataset(table)
    assert [s.path for s in splits.train][:2] == [
        table.parent / "crops" / "1.jpg",
        table.parent / "crops" / "2.jpg",
    ]


def test_an_image_listed_twice_is_noted(table):
    table.write_text(lines([*ROWS, ("crops/1.jpg", 2, 1, 0, "train")]))
    assert "1 images are listed more than once" in scan_dataset(table).notes[0]


def test_a_gallery_is_not_thrown_away_by_holding_people_out(table):
    table.write_text(lines([row for row in ROWS if row[-1] != "query"]))
    with pytest.raises(ValueError, match="has a gallery with 1 people already; leave out test_ids"):
        read_dataset(table, test_ids=1)
