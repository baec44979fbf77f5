"""`reidlab evaluate`: protocols, re-ranking, expansion, and features from files."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from reidlab import embed, load_embeddings, load_model, read_dataset, save_embeddings, save_model
from reidlab.cli import main
from reidlab.cli.scoring import Scoring
from reidlab.embedding import Embeddings
from reidlab.evaluation import compare_protocols, evaluate
from reidlab.models.baseline import baseline_small
from reidlab.ranking import expand_query, k_reciprocal, rank

SHOTS = "single-gallery-shot"


def run(*words, check=True):
    """Standard output and standard error of the command."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as left:
            status = int(left.code or 0)
    assert (status == 0) == check, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def market(market_writer, tmp_path_factory):
    return market_writer(tmp_path_factory.mktemp("people") / "market", people=6)


@pytest.fixture(scope="module")
def trained(market, tmp_path_factory):
    """The folder of a run on the tiny Market-like dataset."""
    read = {"read": str(market), "fingerprint": read_dataset(market).fingerprint}
    folder = tmp_path_factory.mktemp("runs") / "run"
    torch.manual_seed(0)
    model = baseline_small(4, width=8, image_size=(64, 32))
    save_model(folder, model, {"method": "baseline", "flip": True, "data": read})
    return folder


@pytest.fixture(scope="module")
def sides(trained, market):
    """What the command embeds, embedded here; noise makes the ranking less than perfect."""
    model, splits = load_model(trained)[0], read_dataset(market)
    return [embed(model, part, flip=True) for part in (splits.query, splits.gallery)]


@pytest.fixture(scope="module")
def files(sides, tmp_path_factory):
    """Features of more people, noisy enough to make protocols differ, as `reidlab embed` writes."""
    generator = np.random.default_rng(0)
    folder, written = tmp_path_factory.mktemp("files"), []
    for part, count in (("query", 40), ("gallery", 260)):
        pids = generator.integers(1 if part == "query" else -1, 15, count)
        centres = np.random.default_rng(1).standard_normal((16, 8))
        features = (centres[pids] + generator.standard_normal((count, 8))).astype(np.float32)
        side = Embeddings(features, pids, generator.integers(0, 4, count), source="crowd")
        head = {"model": {"weights": "abc"}, "data": {"part": part, "fingerprint": "f"}}
        written.append(save_embeddings(folder / f"{part}.npz", side, metadata=head))
    return written


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(files, here, *words):
    """The printed text, and the only JSON file that scoring the files left."""
    text, _ = run("evaluate", "--embeddings", *files, "--out", here / "out", *words)
    (file,) = (here / "out").iterdir()
    found = json.loads(file.read_text())
    file.unlink()
    return text, file.name, found


def agrees(found, scores):
    assert found["mAP"] == pytest.approx(scores.mean_ap, abs=1e-9)
    assert found["mINP"] == pytest.approx(scores.mean_inp, abs=1e-9)
    assert found["cmc"] == pytest.approx(scores.cmc.tolist(), abs=1e-9)
    assert found["valid_queries"] == scores.num_valid_queries


# --- protocols ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options", "name"),
    [
        ("", {}, "scores.json"),
        ("--ap trapezoid", {"ap": "trapezoid"}, "scores-trapezoid.json"),
        ("--protocol no-camera-filter", {}, "scores-no-camera-filter.json"),
        ("--protocol top-k --k 10", {"k": 10, "relevant": "found"}, "scores-top-10.json"),
        (
            "--protocol top-k --k 7 --relevant all --ap trapezoid",
            {"k": 7, "relevant": "all", "ap": "trapezoid"},
            "scores-top-7-of-all-trapezoid.json",
        ),
        (f"--protocol {SHOTS}", {"repeats": 10, "seed": 0}, f"scores-{SHOTS}.json"),
        (
            f"--protocol {SHOTS} --repeats 3 --seed 5",
            {"repeats": 3, "seed": 5},
            f"scores-{SHOTS}-repeats-3-seed-5.json",
        ),
    ],
)
def test_a_protocol_scores_as_in_python_and_names_its_file(words, options, name, files, here):
    text, found_name, found = scored(files, here, *words.split())
    protocol = words.split()[1] if words.startswith("--protocol") else "market"
    query, gallery = map(load_embeddings, files)
    expected = evaluate(query, gallery, protocol=protocol, **options)
    agrees(found, expected)
    assert found_name == name and expected.label in text and "crowd" in text
    assert found["protocol"] == protocol
    for key in ("k", "relevant", "repeats", "seed"):
        assert found.get(key) == options.get(key)


def test_all_protocols_print_a_table_and_are_kept_in_one_file(files, here):
    text, name, found = scored(files, here, *"--protocol all --repeats 4 --seed 2".split())
    table = compare_protocols(*map(load_embeddings, files), repeats=4, seed=2)
    assert text == f"{table}\n" and name == "scores-all-protocols-repeats-4-seed-2.json"
    assert len(found["protocols"]) == len(table) == 6 and found["notes"] == []
    for row, scores in zip(found["protocols"], table, strict=True):
        agrees(row, scores)
        assert row["protocol"] == scores.protocol and row["ap"] == scores.ap
    assert found["weights"] == "abc" and found["source"] == "crowd"


def test_a_small_gallery_is_told_below_the_table(trained, here):
    text, _ = run("evaluate", trained, "--protocol", "all", "--out", here)
    assert "top-80 shortened to top-36, the size of the gallery" in text
    notes = json.loads((here / "scores-all-protocols.json").read_text())["notes"]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("", "scores.json"),
        ("--ap trapezoid", "scores-trapezoid.json"),
        ("--flip yes", "scores-flip-yes.json"),
        ("--flip no --neck after", "scores-flip-no-neck-after.json"),
        ("--neck before", "scores-neck-before.json"),
        ("--on-error skip", "scores-on-error-skip.json"),
        ("--rerank zhong --neck before", "scores-reranked-zhong-neck-before.json"),
        ("--batch-size 4 --device cpu", "scores.json"),
    ],
)
def test_a_score_with_other_settings_leaves_the_plain_one_alone(words, name, trained, here):
    kept = here / "scores.json"
    kept.write_text("{}")
    run("evaluate", trained, "--out", here, *words.split())
    assert {path.name for path in here.iterdir()} == {"scores.json", name}
    assert (kept.read_text() == "{}") == (name != "scores.json")


def test_settings_that_differ_never_share_a_name_and_defaults_spelled_out_change_none():
    zhong, drawn = {"rerank": "zhong"}, {"protocol": SHOTS}
    plain = [
        ("", {}),
        ("reranked-zhong", zhong),
        ("reranked-zhong", zhong | {"k1": 20, "k2": 6, "weight": 0.3}),
        ("expanded-1", {"expand": 1, "expand_k": 10, "alpha": 3.0}),
        (SHOTS, drawn | {"repeats": 10, "seed": 0}),
        ("top-10", {"protocol": "top-k", "k": 10, "relevant": "found"}),
    ]
    for words, settings in plain:
        assert Scoring(**settings).slug() == words
    other = [
        *(zhong | {"k1": k1, "k2": k2} for k1, k2 in ((1, 11), (11, 1), (6, 20))),
        *(zhong | {"weight": weight} for weight in (0.0, 1.0, 0.05, 0.5, 5e-2 + 1e-9, 1e-5)),
        *({"expand": 1, "expand_k": k} for k in (1, 11)),
        *({"expand": 1, "alpha": alpha} for alpha in (0.0, 1.0, 1.5, 1e16, 1e-16)),
        *({"protocol": p, "seed": 3} for p in (SHOTS, "all")),
        *({"protocol": p, "repeats": 3} for p in (SHOTS, "all")),
        {"ap": "trapezoid", "rerank": "zhong"},
    ]
    slugs = [Scoring(**settings).slug() for settings in other]
    assert len(set(slugs) | {words for words, _ in plain}) == len(slugs) + 5
    assert not any(set(slug) - set("abcdefghijklmnopqrstuvwxyz0123456789.+-") for slug in slugs)


# --- expansion and re-ranking ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "settings", "more"),
    [
        ("--rerank zhong", {"variant": "zhong"}, ""),
        (
            "--rerank torchreid --k1 9 --k2 3",
            {"variant": "torchreid", "k1": 9, "k2": 3},
            "-k1-9-k2-3",
        ),
        ("--rerank fastreid --weight 0.6", {"variant": "fastreid", "weight": 0.6}, "-weight-0.6"),
        ("--rerank transreid --k2 1", {"variant": "transreid", "k2": 1}, "-k2-1"),
    ],
)
def test_reranked_distances_are_scored_and_named(words, settings, more, files, here):
    text, name, found = scored(files, here, *words.split())
    query, gallery = map(load_embeddings, files)
    distance = k_reciprocal(query, gallery, **settings)
    agrees(found, evaluate(query, gallery, distance=distance))
    assert name == f"scores-reranked-{settings['variant']}{more}.json"
    used = {"k1": 20, "k2": 6, "weight": 0.3} | settings
    assert found["reranking"] == used and "expansion" not in found
    sizes = f"(k1 {used['k1']}, k2 {used['k2']}, weight {used['weight']:g})"
    assert f"market, {settings['variant']} re-ranking {sizes}" in text


def test_expanded_features_are_scored_and_reranked_after_that(files, here):
    query, gallery = map(load_embeddings, files)
    text, name, found = scored(files, here, *"--expand 1".split())
    agrees(found, evaluate(*expand_query(query, gallery)))
    assert found["expansion"] == {"times": 1, "k": 10, "alpha": 3.0}
    assert name == "scores-expanded-1.json" and "market, expanded 1x (k 10, alpha 3)" in text
    words = "--expand 2 --expand-k 4 --alpha 1 --rerank zhong --protocol top-k --k 5"
    text, name, found = scored(files, here, *words.split())
    expanded = expand_query(query, gallery, k=4, alpha=1.0, times=2)
    distance = k_reciprocal(*expanded)
    agrees(found, evaluate(*expanded, distance=distance, protocol="top-k", k=5))
    assert found["expansion"] == {"times": 2, "k": 4, "alpha": 1.0}
    assert name == "scores-top-5-expanded-2-expand-k-4-alpha-1-reranked-zhong.json"
    assert "AP over hits found, expanded 2x (k 4, alpha 1), zhong re-ranking" in text


def test_all_protocols_see_the_reranked_distances(files, here):
    text, _, found = scored(files, here, *"--protocol all --rerank zhong".split())
    query, gallery = map(load_embeddings, files)
    table = compare_protocols(query, gallery, distance=k_reciprocal(query, gallery))
    for row, scores in zip(found["protocols"], table, strict=True):
        agrees(row, scores)
    assert text.count("zhong re-ranking") == 6 and found["reranking"]["variant"] == "zhong"


def test_the_picture_shows_the_reranked_order(trained, sides, here, monkeypatch):
    shown = []

    def watching(*sides, distance, **options):
        shown.append(distance)
        return rank(*sides, distance=distance, **options)

    monkeypatch.setattr("reidlab.cli.evaluate.rank", watching)
    picture = here / "hits.png"
    run("evaluate", trained, "--rerank", "zhong", "--picture", picture, "--out", here)
    torch.testing.assert_close(shown[0], k_reciprocal(*sides))
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("b.JPG", b"\xff\xd8"), ("c.jpeg", b"\xff\xd8"), ("d.pdf", b"%PDF")],
)
def test_a_picture_is_written_in_the_form_its_name_says(name, start, trained, here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    text, _ = run("evaluate", trained, "--picture", f"~/new/{name}", "--out", here / "out")
    assert f"picture: {here / 'new' / name}" in text
    assert (here / "new" / name).read_bytes().startswith(start)
    assert [path.name for path in (here / "new").iterdir()] == [name]


def test_a_picture_that_cannot_be_finished_leaves_the_old_one(trained, here, monkeypatch):
    class Broken:
        def savefig(self, target, **options):
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("reidlab.plots.gallery_strip", lambda ranking: Broken())
    (here / "hits.png").write_bytes(b"old")
    words = ("--picture", here / "hits.png", "--out", here / "out")
    _, error = run("evaluate", trained, *words, check=False)
    assert f"cannot write {here / 'hits.png'} (No space left on device)" in error
    assert (here / "hits.png").read_bytes() == b"old"
    assert sorted(path.name for path in here.iterdir()) == ["hits.png", "out"]


@pytest.mark.parametrize("name", [".", "plots.png"])
def test_a_folder_in_the_place_of_the_picture_is_refused_before_the_work(name, trained, here):
    (here / "plots.png").mkdir()
    words = ("--picture", here / name, "--out", here / "out")
    _, error = run("evaluate", trained, *words, check=False)
    assert f"--picture {here / name} is a folder; name a file" in error
    assert not (here / "out").exists()


# --- runs and files -------------------------------------------------------------------------


def test_a_run_and_the_files_written_from_it_score_alike(trained, sides, here):
    for part in ("query", "gallery"):
        run("embed", trained, "--part", part, "--out", here / f"{part}.npz")
    run("evaluate", trained, "--out", here / "direct", "--rerank", "zhong", "--k1", 5, "--k2", 2)
    table, warned = run("evaluate", "--embeddings", here / "query.npz", here / "gallery.npz")
    assert "market" in table and not warned
    (folder,) = (here / "runs").iterdir()
    found = json.loads((folder / "scores.json").read_text())
    assert folder.name == f"embeddings-gallery-{found['weights'][:8]}"
    agrees(found, evaluate(*sides))
    assert found["embeddings"] == [str(here / "query.npz"), str(here / "gallery.npz")]
    assert found["flip"] is True and found["neck"] == "after" and len(found["weights"]) == 16
    name = "scores-reranked-zhong-k1-5-k2-2.json"
    direct = json.loads((here / "direct" / name).read_text())
    agrees(direct, evaluate(*sides, distance=k_reciprocal(*sides, 5, 2)))
    assert direct["fingerprint"] == found["fingerprint"] and direct["split"] == "test"


def test_features_move_to_the_device_that_is_named(files, here, monkeypatch):
    seen = []
    monkeypatch.setattr("reidlab.cli.evaluate.pick_device", lambda name: seen.append(name) or "cpu")
    scored(files, here)
    assert seen == []
    scored(files, here, "--device", "cpu")
    assert seen == ["cpu"]


def written(files, folder, side, name, head, width=8):
    """A copy of a file with other metadata or another width."""
    embeddings = load_embeddings(files[side])
    features = embeddings.features[:, :width]
    copy = Embeddings(features, embeddings.pids, embeddings.camids)
    return save_embeddings(folder / f"{name}.npz", copy, metadata=head)


@pytest.mark.parametrize(
    ("head", "width", "message"),
    [
        ({"model": {"weights": "xyz"}}, 8, "differ in model weights (abc, xyz); embed both"),
        ({"model": {"weights": "abc"}, "neck": "before"}, 8, ""),
        ({"model": {"weights": "abc"}}, 5, "features of width 8"),
        ({"data": {"labelled": False}}, 8, "nobody says who its images show"),
        ({"data": {"part": "query"}}, 8, "holds query images; write --embeddings QUERY GALLERY"),
        ({"data": {"part": "validation-query"}}, 8, "holds validation-query images"),
        ({"data": {"part": "train"}}, 8, "other.npz holds train images, whose people the model"),
        ({"data": {"part": "validation-gallery"}}, 8, "holds query images, "),
        ({"data": {"part": "gallery", "fingerprint": "g"}}, 8, "datasets (fingerprints f, g)"),
        ({"data": {"part": "all", "fingerprint": "g"}}, 8, "datasets (fingerprints f, g)"),
        ({"data": {"part": "all", "fingerprint": "f"}}, 8, ""),
        ({"data": {"fingerprint": "f"}}, 8, ""),
        ({"data": {"part": "all"}}, 8, ""),
    ],
)
def test_files_that_do_not_belong_together_are_refused(head, width, message, files, here):
    other = written(files, here, 1, "other", head, width)
    words = ("evaluate", "--embeddings", files[0], other, "--out", here / "out")
    _, error = run(*words, check=not message)
    assert message in error and (here / "out").exists() == (not message)


@pytest.mark.parametrize(
    ("name", "values"), [("neck", ("before", "after")), ("flip", (True, False)), ("size", (1, 2))]
)
def test_files_made_with_different_settings_are_refused(name, values, files, here):
    pair = [
        written(files, here, side, f"f{side}", {name: value}) for side, value in enumerate(values)
    ]
    _, error = run("evaluate", "--embeddings", *pair, check=False)
    told = {"size": "image size"}.get(name, name)
    assert f"differ in {told} ({values[0]}, {values[1]})" in error


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("query", "gallery"), ""),
        (("validation-query", "validation-gallery"), ""),
        (("all", "validation-gallery"), ""),
        ((None, None), ""),
        (("validation-query", "gallery"), "f0.npz holds validation-query images, "),
        (("query", "validation-gallery"), "f1.npz validation-gallery images, which do not belong"),
        (("train", "gallery"), "f0.npz holds train images"),
        (("all", "all"), "both hold all images of one dataset"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(parts, message, files, here):
    pair = [
        written(files, here, side, f"f{side}", {"data": {"part": part, "fingerprint": "f"}})
        for side, part in enumerate(parts)
    ]
    _, error = run("evaluate", "--embeddings", *pair, check=not message)
    assert message in error and (here / "runs").exists() == (not message)


def test_one_file_for_both_sides_is_refused_whatever_it_is_called(files, here):
    file = written(files, here, 1, "both", {})
    (here / "linked.npz").symlink_to(file)
    for other in (file, here / "linked.npz", "both.npz"):
        _, error = run("evaluate", "--embeddings", other, file, check=False)
        assert f"{other} and {file} are one file" in error and not (here / "runs").exists()


def test_galleries_of_one_name_keep_their_scores_apart(files, here):
    for folder, head in (("a", {"weights": "0123456789"}), ("b", {"weights": "../12/89"})):
        (here / folder).mkdir()
        query = written(files, here / folder, 0, "query", {"model": head})
        gallery = written(files, here / folder, 1, "gallery", {"model": head})
        run("evaluate", "--embeddings", query, gallery)
    for folder in ("c c", "d"):
        (here / folder).mkdir()
        query = written(files, here / folder, 0, "query", {})
        run("evaluate", "--embeddings", query, written(files, here / folder, 1, "gallery", {}))
    names = ["embeddings-gallery-" + end for end in ("..-12-89", "01234567", "c-c", "d")]
    assert sorted(path.name for path in (here / "runs").iterdir()) == names


def test_files_that_do_not_say_their_dataset_are_scored_with_a_warning(files, here, caplog):
    other = written(files, here, 1, "other", {"model": {"weights": "abc"}})
    run("evaluate", "--embeddings", files[0], other)
    assert f"{other}: not said which dataset" in caplog.text
    assert str(files[0]) not in caplog.text and "weights" not in caplog.text


def test_files_that_do_not_say_their_model_are_scored_with_a_warning(files, here, caplog):
    other = written(files, here, 1, "other", {})
    run("evaluate", "--embeddings", files[0], other)
    assert f"{other}: not said which weights" in caplog.text and str(files[0]) not in caplog.text
    caplog.clear()
    run("evaluate", "--embeddings", *files)
    assert not caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --protocol top-k", "--protocol top-k needs --k"),
        ("run --k 10", "--k: only with --protocol top-k"),
        ("run --relevant all", "--relevant: only with --protocol top-k"),
        ("run --protocol all --k 10", "--k: only with --protocol top-k"),
        ("run --repeats 3 --seed 1", "--repeats, --seed: only with --protocol single-gallery-shot"),
        ("run --k1 3", "--k1: only with --rerank"),
        ("run --weight 0", "--weight: only with --rerank"),
        ("run --expand-k 3 --alpha 0", "--expand-k, --alpha: only with --expand"),
        ("run --expand -1", "rounds from 0 on, got -1"),
        (f"run --protocol {SHOTS} --seed=-1", "--seed=-1: expected a whole number from 0 on"),
        ("run --protocol all --repeats 0", "--repeats=0: expected a whole number from 1 on"),
        ("run --protocol top-k --k -3", "--k=-3: expected a whole number from 1 on"),
        ("run --picture .", "--picture . is a folder; name a file, such as hits.png"),
        ("run --picture hits.txt", "--picture hits.txt: expected a name that ends in .png"),
        ("run --picture /dev/null/hits.png", "/dev/null is in the way"),
        ("run --rerank other", "invalid choice"),
        ("--embeddings q.npz", "QUERY GALLERY"),
        ("--embeddings q.npz g.npz", "q.npz"),
        ("run --embeddings q.npz g.npz", "RUN: of no use with --embeddings"),
        (
            "--official transreid w.pth --embeddings q.npz g.npz --flip yes --batch-size 4",
            "--official, --flip, --batch-size: of no use with --embeddings",
        ),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(words, message, here):
    out, error = run("evaluate", *words.split(), check=False)
    assert message in out + error and not list(here.iterdir())


def test_settings_out_of_range_are_refused(files, here):
    for words, message in (
        ("--protocol top-k --k 261", "k from 1 to 260"),
        ("--rerank zhong --weight 2", "weight"),
        ("--rerank zhong --k1 0", "k1"),
        ("--expand 1 --expand-k 301", "k from 1 to 300"),
        ("--protocol top-k --k 0", "--k=0: expected a whole number from 1 on"),
    ):
        _, error = run("evaluate", "--embeddings", *files, *words.split(), check=False)
        assert message in error and "Traceback" not in error, words


def test_the_help_shows_the_flags_and_examples():
    text, _ = run("evaluate", "--help")
    for part in ("--protocol", "--rerank", "--expand", "--embeddings QUERY GALLERY", "--relevant"):
        assert part in text
    assert "reidlab evaluate run --protocol all" in text
