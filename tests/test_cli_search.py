import contextlib
import csv
import io
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from reidlab.checkpoints import load_model, save_model
from reidlab.cli import main
from reidlab.cli.search import as_text, printable
from reidlab.data.readers import read_dataset
from reidlab.embedding import embed
from reidlab.models.baseline import baseline_small
from reidlab.ranking import rank
from reidlab.ranking.index import Index


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


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Caches go into the test's folder, and so do files without a folder."""
    monkeypatch.setenv("REIDLAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "cache" / "search"


@pytest.fixture
def trained(tmp_path):
    """The folder of a run."""
    torch.manual_seed(0)
    model = baseline_small(4, width=8, image_size=(64, 32))
    save_model(tmp_path / "run", model, {"method": "baseline", "flip": True})
    return tmp_path / "run"


@pytest.fixture
def crops(market_folder, tmp_path):
    """Ten crops of which nobody says who they show."""
    folder = tmp_path / "crops"
    (folder / "deep").mkdir(parents=True)
    for i, file in enumerate(sorted((market_folder / "bounding_box_test").iterdir())[:10]):
        shutil.copy(file, folder / ("deep" if i % 2 else ".") / f"anything {i}.jpg")
    return folder


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_a_folder_of_crops_is_searched(trained, crops, market_folder, tmp_path, cache):
    mine = shutil.copy(sorted((market_folder / "query").iterdir())[0], tmp_path / "mine.jpg")
    status, printed, error = run(
        "search", "--query", mine, "--gallery", crops, "--model", trained, "--k", 7
    )
    assert status == 0, error
    rows = table(tmp_path / "hits.csv")
    splits = read_dataset(crops, layout="unlabelled")
    model, _ = load_model(trained)
    query = embed(model, read_dataset(market_folder).query[:1], flip=True)
    expected = rank(query, embed(model, splits.train, flip=True), 7)
    assert len(rows) == 7 and [row["place"] for row in rows] == [str(i) for i in range(1, 8)]
    assert {(row["query"], row["pid"], row["camid"]) for row in rows} == {(str(mine), "", "")}
    found = torch.tensor([float(row["distance"]) for row in rows])
    torch.testing.assert_close(found, expected.distance[0], atol=1e-5, rtol=0)
    paths = [str(splits.train[i].path) for i in expected.order[0]]
    assert set(paths) == {row["path"] for row in rows}
    assert float(rows[0]["similarity"]) == pytest.approx(1 - float(rows[0]["distance"]) / 2)
    assert f"1  {float(rows[0]['similarity']):>10.3f}  {rows[0]['path']}" in printed
    assert printed.count(str(crops)) == 5 and "person" not in printed
    (kept,) = cache.iterdir()
    assert f"index:   {kept}" in printed and "picture: hits.png" in printed
    with Image.open(tmp_path / "hits.png") as picture:
        assert picture.width == 1350


def test_a_benchmark_keeps_persons_and_cameras(trained, market_folder, tmp_path):
    queries = sorted((market_folder / "query").iterdir())[:2]
    words = ("search", "--query", *queries, "--gallery", market_folder, "--model", trained)
    status, printed, error = run(*words, "--k", 4, "--other-cameras", "--out", "found/both")
    assert status == 0, error
    rows = table(tmp_path / "found" / "both.csv")
    assert len(rows) == 8 and "person  camera  image" in printed
    for row in rows:
        person, camera = Path(row["path"]).name.split("_")[:2]
        assert row["pid"] == str(int(person)) and row["camid"] == camera[1]
        assert row["camid"] != Path(row["query"]).name.split("_c")[1][0]
        assert "bounding_box_test" in row["path"]
    status, _, error = run(*words, "--k", 3, "--camera", 2, 3, "--out", "found")
    assert status == 0, error
    assert {row["camid"] for row in table(tmp_path / "found" / "hits.csv")} <= {"2", "3"}
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "both.csv",
        "both.png",
        "hits.csv",
        "hits.png",
    ]


def test_files_of_features_and_saved_indices_are_searched(trained, market_folder, tmp_path):
    query = sorted((market_folder / "query").iterdir())[3]
    run("embed", trained, "--data", market_folder, "--part", "gallery", "--out", "g.npz")
    words = ("search", "--query", query, "--model", trained, "--k", 5)
    kept, found = tmp_path / "kept", []
    for gallery, more in (("g.npz", ()), (market_folder, ("--index", kept)), (kept, ())):
        status, printed, error = run(*words, "--gallery", gallery, *more)
        assert status == 0, error
        assert ("index: " in printed) == bool(more)
        rows = table("hits.csv")
        assert all(row["pid"] for row in rows)
        found.append([row["path"] for row in rows])
    assert found[0] == found[1] == found[2]
    status, _, error = run(*words, "--gallery", "g.npz", "--index", kept)
    assert status == 1 and "g.npz holds features already" in error
    status, _, error = run(*words, "--gallery", "g.npz", "--flip", "no")
    assert status == 1 and "embedded with flip True, the query would be with flip False" in error


def test_images_that_moved_are_listed_without_a_picture(trained, market_folder, tmp_path, caplog):
    query = shutil.copy(next((market_folder / "query").iterdir()), tmp_path / "mine.jpg")
    run("embed", trained, "--data", market_folder, "--part", "gallery", "--out", "g.npz")
    market_folder.rename(tmp_path / "moved")
    words = ("search", "--query", query, "--model", trained, "--gallery", "g.npz")
    status, printed, error = run(*words)
    assert status == 0, error
    assert "picture:" not in printed and "table:" in printed
    assert "10 of 10 images" in caplog.text and not (tmp_path / "hits.png").exists()


def test_flags_reach_the_search(trained, crops, monkeypatch):
    seen = {}

    def watching(model, images, gallery, k, **settings):
        seen.update(settings, k=k, images=images)
        raise ValueError("enough")

    monkeypatch.setattr("reidlab.cli.search.search_images", watching)
    words = "--k 3 --camera 1 4 --other-cameras --flip no --neck before --batch-size 5 --device cpu"
    words += " --unseen mean"
    more = "--on-error skip --unlabelled --where hat=yes hat=no age=old --index kept"
    named = ("--query", "a.jpg", "b.jpg", "--gallery", crops, "--model", trained)
    status, _, error = run("search", *named, *words.split(), *more.split())
    assert status == 1 and "enough" in error
    assert seen == {
        "images": (Path("a.jpg"), Path("b.jpg")),
        "k": 3,
        "index": Path("kept"),
        "unseen": "mean",
        "cameras": (1, 4),
        "other_cameras": True,
        "where": {"hat": ["yes", "no"], "age": ["old"]},
        "unlabelled": True,
        "flip": False,
        "neck": "before",
        "batch_size": 5,
        "device": "cpu",
        "on_error": "skip",
        "progress": False,
    }
    run("search", *named)
    assert seen["flip"] is True and seen["cameras"] is None and seen["where"] == {}
    default = seen["index"]
    run("search", *named, "--flip", "yes")
    assert seen["index"] == default
    for other in (("--flip", "no"), ("--neck", "before")):
        run("search", *named, *other)
        assert seen["index"] != default and seen["index"].parent == default.parent


def test_interrupted_it_says_what_happens(trained, crops, monkeypatch):
    words = ("search", "--query", next(crops.glob("*.jpg")), "--gallery", crops, "--model", trained)
    assert run(*words, "--index", "kept")[0] == 0
    before = len(Index.load("kept"))
    for name in ("hits.csv", "hits.png"):
        Path(name).unlink()

    def stopping(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("reidlab.ranking.index.folders.embed", stopping)
    shutil.copy(next(crops.glob("*.jpg")), crops / "new.jpg")
    status, printed, error = run(*words, "--index", "kept")
    assert status == 130 and "the same command starts again" in error and printed == ""
    assert len(Index.load("kept")) == before and not Path("hits.csv").exists()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_queries_and_gallery_are_never_overwritten(trained, crops, tmp_path, monkeypatch):
    query = shutil.copy(next(crops.glob("*.jpg")), tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(query)
    (crops / "deep" / "far.png").symlink_to(shutil.copy(query, tmp_path / "elsewhere.png"))
    lists = tmp_path / "list.csv"
    lists.write_text(f"path,pid,camid\n{query},1,1\n")
    index = Index(embed(load_model(trained)[0], read_dataset(crops, layout="unlabelled").train))
    index.save("kept")
    before = contents(tmp_path)
    for more, message in (
        (("--out", "a"), "a.png is a query"),
        (("--out", crops / ".." / "a.csv"), "a.png is a query"),
        (("--out", "link"), "link.png is a query"),
        (("--gallery", "list.csv", "--out", "list"), "list.csv is the gallery"),
        (("--out", crops), "hits.png lies in the gallery"),
        (("--out", crops / "deep" / "far"), "far.png lies in the gallery"),
        (("--out", crops / "new" / "hits"), "hits.png lies in the gallery"),
        (("--gallery", "kept", "--out", "kept"), "hits.png lies in the gallery kept"),
        (("--index", "own", "--out", "own/hits"), "hits.png lies in the index own"),
    ):
        given = more if "--gallery" in more else ("--gallery", crops, *more)
        status, printed, error = run("search", "--query", query, "--model", trained, *given)
        assert status == 1 and message in error and "choose an --out elsewhere" in error, error
        assert printed == "" and contents(tmp_path) == before
        assert not (crops / "new").exists() and not Path("own").exists()
    monkeypatch.chdir(crops)
    status, _, error = run("search", "--query", query, "--model", trained, "--gallery", ".")
    assert status == 1 and "hits.png lies in the gallery" in error
    assert contents(tmp_path) == before


def test_only_results_of_searches_are_replaced(trained, crops, tmp_path):
    query = next(crops.glob("*.jpg"))
    words = ("search", "--query", query, "--gallery", crops, "--model", trained, "--k", 2)
    picture, rows = tmp_path / "hits.png", tmp_path / "hits.csv"
    for content in ("name,age\na,3\n", "", "query,place,path\n"):
        rows.write_text(content)
        status, _, error = run(*words)
        assert status == 1 and "hits.csv is no table of `reidlab search`" in error
        assert rows.read_text() == content and not picture.exists()
    rows.unlink()
    rows.symlink_to(tmp_path / "nowhere.csv")
    assert "hits.csv is no table" in run(*words)[2]
    rows.unlink()
    picture.write_text("mine")
    status, _, error = run(*words)
    assert status == 1 and "hits.png is there without a table" in error
    assert picture.read_text() == "mine" and not rows.exists()
    picture.unlink()
    for k in (2, 3):
        assert run(*words[:-1], k)[0] == 0
        assert len(table(rows)) == k and picture.exists()
    picture.unlink()
    assert run(*words)[0] == 0 and picture.exists()


def test_names_that_no_terminal_can_show_are_escaped(trained, crops, tmp_path):
    folder = tmp_path / "od\udcffd"
    crops.rename(folder)
    names = ["a\udcff.jpg", "b\nc.jpg", "d\re.jpg", "f\x1b[1m,é.jpg", "$\\x$.jpg"]
    for name, path in zip(names, sorted(folder.rglob("*.jpg")), strict=False):
        path.rename(folder / name)
    words = ("search", "--query", folder / names[0], "--gallery", folder, "--model", trained)
    status, printed, error = run(*words, "--out", tmp_path / "o\udcfft")
    assert status == 0, error
    with open(tmp_path / "o\udcfft.csv", newline="", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and {row["query"] for row in rows} == {str(folder / names[0])}
    assert {row["path"] for row in rows} == {str(path) for path in folder.rglob("*.jpg")}
    assert printed.startswith(f"{tmp_path}/od\\udcffd/a\\udcff.jpg\n") and "\udcff" not in printed
    assert (tmp_path / "o\udcfft.png").exists() and "o\\udcfft.csv\n" in printed
    assert [printable(name) for name in names] == [
        "a\\udcff.jpg",
        "b\\nc.jpg",
        "d\\re.jpg",
        "f\\x1b[1m,é.jpg",
        "$\\x$.jpg",
    ]


def test_a_terminal_without_the_letters_of_a_name_gets_escapes(trained, crops, tmp_path):
    query = shutil.copy(next(crops.glob("*.jpg")), tmp_path / "é.jpg")
    buffer = io.BytesIO()
    words = ("search", "--query", query, "--gallery", crops, "--model", trained)
    terminal = io.TextIOWrapper(buffer, "ascii", write_through=True)
    with contextlib.redirect_stdout(terminal):
        main([str(word) for word in words])
    assert f"{tmp_path}/\\xe9.jpg\n".encode() in buffer.getvalue()
    assert table("hits.csv")[0]["query"] == str(query)


def test_mistakes_are_answered_without_a_traceback(trained, crops, tmp_path):
    query = next(crops.glob("*.jpg"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    for words, message in (
        (("nowhere.jpg", "--gallery", crops), "nowhere.jpg: no such query image"),
        ((crops, "--gallery", crops), "is a folder; name the query images themselves"),
        ((query, "--gallery", "nowhere"), "no gallery at"),
        ((query, "--gallery", "empty"), "holds no images"),
        ((query, "--gallery", query), "is no gallery"),
        ((query, "--gallery", "g.npz"), "no file of embeddings at g.npz"),
        ((query, "--gallery", crops, "--k", 0), "k of at least 1, got 0"),
        ((query, "--gallery", crops, "--camera", 3), "nobody knows the cameras here"),
        ((query, "--gallery", crops, "--other-cameras"), "nobody says which camera took it"),
        ((query, "--gallery", crops, "--where", "hat"), "--where hat: expected NAME=VALUE"),
        ((query, "--gallery", crops, "--where", "hat=yes"), "search without where (--where)"),
        (("bad.jpg", "--gallery", crops), "bad.jpg"),
        ((query, "--gallery", crops, "--index", crops), "holds other files than an index"),
    ):
        status, printed, error = run(
            "search", "--query", *words, "--model", trained, "--out", tmp_path / "out"
        )
        assert status == 1 and message in error and printed == "", (words, error)
    named = ("search", "--query", query, "--gallery", crops, "--model")
    assert "no model at nowhere" in run(*named, "nowhere")[2]
    (tmp_path / "hits.png").mkdir()
    assert "hits.png is a folder" in run(*named, trained)[2]
    assert not (tmp_path / "out.csv").exists()


def test_help_shows_examples():
    status, printed, _ = run("search", "--help")
    assert status == 0 and "reidlab search --query crop.jpg --gallery my_crops" in printed


def test_the_table_shows_the_first_five_hits_of_each_query():
    row = {"query": "a.jpg", "path": "g.jpg", "distance": 0.5, "similarity": 0.75}
    rows = [row | {"place": p, "pid": None, "camid": None} for p in range(1, 8)]
    lines = as_text(rows + [r | {"query": "b.jpg", "pid": 3, "camid": 2} for r in rows]).split("\n")
    assert lines[:3] == [
        "a.jpg",
        "  place  similarity  person  camera  image",
        "      1       0.750       -       -  g.jpg",
    ]
    assert len(lines) == 2 * 7 + 1 and lines[7] == "" and lines[8] == "b.jpg"
    assert lines[-1] == "      5       0.750       3       2  g.jpg"
