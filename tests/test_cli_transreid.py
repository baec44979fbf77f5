"""`reidlab train transreid` and what follows: cameras of the dataset, of another one, of none."""

import contextlib
import hashlib
import io
import json
import shutil

import pytest
import torch

from reidlab import (
    embed,
    evaluate,
    load_model,
    load_official,
    paths,
    rank,
    read_dataset,
    search_images,
)
from reidlab.checkpoints import read_card
from reidlab.cli import main
from reidlab.cli.methods import recipe_of
from reidlab.models.transreid import transreid

SMALL = "--image-size 64 32 --ids-per-batch 2 --images-per-id 2 --epochs 1 --device cpu"


def run(*words, check=True):
    """Output of the command, in this process."""
    out, status = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(" ".join(map(str, words)).split())
        except SystemExit as left:
            status = int(left.code or 0)
    assert (status == 0) == check, out.getvalue()
    return out.getvalue()


@pytest.fixture(scope="module")
def datasets(tmp_path_factory, market_writer):
    folder = tmp_path_factory.mktemp("data")
    found = [market_writer(folder / name, cameras=3) for name in ("here", "there")]
    min((found[1] / "query").iterdir()).unlink()  # a copy would have the same cameras
    return found


@pytest.fixture(scope="module")
def trained(datasets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(f"train transreid --data {datasets[0]} --out {folder} {SMALL} --pretrained none")
    return folder


def test_the_cameras_of_the_dataset_are_counted(trained):
    arguments = read_card(trained)["origin"]["arguments"]
    assert arguments["num_cameras"] == 3 and arguments["untrained"] == []
    assert load_model(trained)[0].sides.cameras == 3
    assert "mAP" in run(f"evaluate {trained}")


def test_a_flag_wins_over_the_dataset(datasets, tmp_path):
    for count, sides in ((0, None), (5, 5)):
        words = f"--out {tmp_path / str(count)} {SMALL} --pretrained none --num-cameras {count}"
        run(f"train transreid --data {datasets[0]} {words}")
        model, _ = load_model(tmp_path / str(count))
        assert (model.sides.cameras if sides else model.sides) == sides


def test_cameras_without_training_images_are_told_apart(market_writer, tmp_path):
    data = market_writer(tmp_path / "data", cameras=3)
    for file in (data / "bounding_box_train").glob("*_c2*"):
        file.unlink()
    words = f"--out {tmp_path / 'run'} {SMALL} --pretrained none --unseen mean"
    run(f"train transreid --data {data} {words}")
    arguments = read_card(tmp_path / "run")["origin"]["arguments"]
    assert arguments["num_cameras"] == 3 and arguments["untrained"] == [1]
    words = f"--out {tmp_path / 'all'} {SMALL} --pretrained none --num-cameras 3"
    run(f"train transreid --data {data} {words}")  # then nothing is said of camera 1
    assert read_card(tmp_path / "all")["origin"]["arguments"]["untrained"] == []


def test_a_few_steps_are_a_whole_command(datasets, tmp_path):
    words = f"--out {tmp_path / 'run'} {SMALL} --pretrained none --epochs 9 --max-steps 3"
    text = run(f"train transreid --data {datasets[0]} {words}")
    assert "stopped after 3 steps (--max-steps), loss" in text
    assert read_card(tmp_path / "run")["train"]["max_steps"] == 3
    again = run(f"train transreid --data {datasets[0]} {words}")
    assert "stopped after 3 steps" in again


def test_another_dataset_has_other_cameras(datasets, trained, tmp_path):
    there = datasets[1]
    text = run(f"evaluate {trained} --data {there} --out {tmp_path}", check=False)
    assert "was told the cameras of" in text and "--unseen mean" in text
    splits = read_dataset(there)
    for unseen in ("mean", "none"):
        run(f"evaluate {trained} --data {there} --out {tmp_path} --unseen {unseen}")
        model, _ = load_model(trained)
        model.forget_cameras(unseen)
        expected = evaluate(embed(model, splits.query), embed(model, splits.gallery))
        found = json.loads((tmp_path / f"scores-there-unseen-{unseen}.json").read_text())
        assert found["mAP"] == expected.mean_ap and found["unseen"] == unseen
    run(f"evaluate {trained} --data {there} --out {tmp_path} --unseen error")  # the same cameras
    plain = load_model(trained)[0]
    expected = evaluate(embed(plain, splits.query), embed(plain, splits.gallery))
    found = json.loads((tmp_path / "scores-there-unseen-error.json").read_text())
    assert found["mAP"] == expected.mean_ap
    run(f"evaluate {trained} --data {datasets[0]} --out {tmp_path}")  # its own needs no flag


def test_features_of_another_dataset_are_written_only_when_told_how(datasets, trained, tmp_path):
    file = tmp_path / "f.npz"
    words = f"embed {trained} --data {datasets[1]} --out {file}"
    assert "--unseen mean" in run(words, check=False) and not file.exists()
    run(words, "--unseen none")
    assert file.exists()


def test_a_network_without_cameras_needs_no_flag(datasets, tmp_path):
    words = f"--out {tmp_path / 'run'} {SMALL} --pretrained none --num-cameras 0"
    run(f"train transreid --data {datasets[0]} {words}")
    run(f"evaluate {tmp_path / 'run'} --data {datasets[1]}")
    text = run(f"evaluate {tmp_path / 'run'} --unseen mean", check=False)
    assert "--unseen is for networks that were told cameras" in text


@pytest.fixture
def official(tmp_path):
    """A small transformer in TransReID's words, with three cameras and overlapping patches."""
    sizes = {"width": 64, "depth": 2, "heads": 1}
    model = transreid(4, sizes=sizes, image_size=(64, 32), stride=8, num_cameras=3, parts=0, seed=3)
    state = {}
    for key, value in model.state_dict().items():
        key = key.replace("trunk.side_embed", "base.sie_embed").replace("trunk.", "base.")
        key = key.replace("necks.0.norm", "bottleneck").replace("necks.0.", "")
        state[key] = value
    torch.save(state, tmp_path / "vit.pth")
    return tmp_path / "vit.pth"


def test_published_transformers_are_scored_with_what_their_file_does_not_say(
    official, datasets, tmp_path
):
    words = f"evaluate --official transreid {official} --data {datasets[0]} --out {tmp_path}"
    text = run(f"{words} --image-size 64 32 --stride 8", check=False)
    assert "has 3 rows" in text and "--num-cameras 3" in text
    run(f"{words} --image-size 64 32 --stride 8 --num-cameras 3 --sie-coefficient 2")
    settings = {"image_size": (64, 32), "stride": 8, "num_cameras": 3, "sie_coefficient": 2.0}
    model, splits = load_official("transreid", official, **settings), read_dataset(datasets[0])
    expected = evaluate(embed(model, splits.query), embed(model, splits.gallery))
    assert json.loads((tmp_path / "scores-here.json").read_text())["mAP"] == expected.mean_ap
    run(f"{words} --image-size 64 32 --stride 8 --num-cameras 3 --unseen mean")
    assert (tmp_path / "scores-here-unseen-mean.json").is_file()
    text = run(f"{words} --image-size 64 32 --stride 8 --shift 8", check=False)
    assert "no setting 'shift'" in text


def test_flags_of_official_weights_are_only_for_those(trained):
    for flag in ("--num-cameras 3", "--stride 12", "--rearrange False", "--image-size 64 32"):
        name = flag.split()[0]
        assert f"{name}: only for --official" in run(f"evaluate {trained} {flag}", check=False)
    text = run("evaluate --embeddings a.npz b.npz --stride 12 --unseen mean", check=False)
    assert "--unseen, --stride: of no use with --embeddings" in text


def test_published_settings_are_chosen_by_the_name_of_a_dataset():
    usual = recipe_of("transreid", ["--profile", "paper"])
    assert usual.train.lr == 0.008 and "Market-1501" in usual.source
    small = recipe_of("transreid", ["--profile=paper", "--like=msmt17", "--vit", "deit_small"])
    assert small.train.lr == 0.005 and small.train.transform.erase == 0.8
    assert small.arguments["vit"] == "deit_small" and "MSMT17" in small.source
    assert recipe_of("baseline", ["--out", "x"]).profile == "desk"
    with pytest.raises(ValueError, match="no settings were published for 'prid'; choose one of m"):
        recipe_of("transreid", ["--profile", "paper", "--like", "prid"])
    for words in (["--like", "msmt17"], ["--like", "msmt17", "--profile", "desk"]):
        with pytest.raises(ValueError, match="--like is for transreid --profile paper"):
            recipe_of("transreid", words)
    with pytest.raises(ValueError, match="not for baseline paper"):
        recipe_of("baseline", ["--profile", "paper", "--like", "msmt17"])


def test_the_flags_show_the_published_settings():
    text = run("train transreid --profile paper --like msmt17 --vit deit_small --help")
    assert (
        "0.005" in text and "deit_small" in text and "as the dataset says" in " ".join(text.split())
    )


def test_the_same_folder_has_the_same_cameras_even_if_images_were_removed(market_writer, tmp_path):
    data = market_writer(tmp_path / "data", cameras=3)
    run(f"train transreid --data {data} --out {tmp_path / 'run'} {SMALL} --pretrained none")
    min((data / "query").iterdir()).unlink()
    run(f"evaluate {tmp_path / 'run'} --data {data}")


def test_flags_that_contradict_the_dataset_are_refused_before_the_first_step(datasets, tmp_path):
    words = f"train transreid --data {datasets[0]} --out {tmp_path / 'run'} {SMALL}"
    words += " --pretrained none"
    text = run(f"{words} --num-cameras 2", check=False)
    assert "--num-cameras 2: here has 3; leave it out to count them, give 0" in text
    text = run(f"{words} --num-views 2", check=False)
    assert "--num-views 2: here says no views; leave it out" in text
    text = run(f"{words} --num-cameras -2", check=False)
    assert "--num-cameras and --num-views are 0 or more, got -2 and 0" in text
    assert not (tmp_path / "run").exists()
    run(f"{words} --num-cameras 2 --unseen mean")


def test_the_same_cameras_are_as_many(datasets, trained, tmp_path):
    few = shutil.copytree(datasets[1], tmp_path / "few")
    for file in few.rglob("*_c1*"):
        file.unlink()
    for words in ("evaluate", f"embed --out {tmp_path / 'f.npz'}"):
        text = run(f"{words} {trained} --data {few} --unseen error", check=False)
        assert "was told of cameras 1, 2, 3, and few has cameras 2, 3, so" in text
    run(f"evaluate {trained} --data {few} --out {tmp_path} --unseen mean")


def test_official_weights_have_as_many_cameras_as_the_dataset(official, datasets, tmp_path):
    few = shutil.copytree(datasets[0], tmp_path / "few")
    for file in few.rglob("*_c1*"):
        file.unlink()
    words = f"evaluate --official transreid {official} --data {few} --out {tmp_path}"
    words += " --image-size 64 32 --stride 8 --num-cameras 3"
    text = run(words, check=False)
    assert "was told of 3 cameras, and few has cameras 2, 3, so" in text
    run(f"{words} --unseen none")


def test_a_network_that_was_told_cameras_refuses_unlabelled_images(datasets, trained, tmp_path):
    file = tmp_path / "f.npz"
    for place in datasets:
        words = f"embed {trained} --data {place} --unlabelled --out {file}"
        for more in ("", " --unseen error"):
            text = run(words + more, check=False)
            assert "nobody says those of --unlabelled images; --unseen mean" in text
    run(words, "--unseen mean")
    assert file.exists()


def found_by(*words):
    """Rows of the table that `reidlab search` wrote."""
    out = words[-1]
    run("search", *words[:-1], "--out", out)
    return out.with_name(f"{out.name}.csv").read_text().splitlines()[1:]


def test_a_search_never_invents_cameras(datasets, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLAB_DATA", str(tmp_path / "cache"))
    here, there = datasets
    query = sorted((here / "query").iterdir())[3]
    inside = f"--query {query} --gallery {here} --model {trained}"
    told = found_by(inside, tmp_path / "a")
    model, splits = load_model(trained)[0], read_dataset(here)
    hits = rank(embed(model, splits.query[3:4]), embed(model, splits.gallery), k=10)
    assert [row.split(",")[2] for row in told] == [
        str(hits.gallery.paths[g]) for g in hits.order[0].tolist()
    ]
    outside = shutil.copy(query, tmp_path / "crop.jpg")
    crops = tmp_path / "crops"
    crops.mkdir()
    for k, file in enumerate(sorted((here / "bounding_box_test").iterdir())):
        shutil.copy(file, crops / f"{k}.jpg")
    for words, problem in (
        (f"--query {outside} --gallery {here}", "nobody says which camera took"),
        (f"--query {query} --gallery {crops}", "nobody says which camera took"),
        (f"--query {sorted((there / 'query').iterdir())[0]} --gallery {there}", "--unseen error"),
    ):
        text = run(f"search --model {trained} --out {tmp_path / 'x'} {words}", check=False)
        assert problem in text and "--unseen mean" in text and "was told cameras" in text
    forgetful, _ = load_model(trained)
    forgetful.forget_cameras("none")
    hits = search_images(forgetful, outside, crops, k=10)
    words = f"--query {outside} --gallery {crops} --model {trained} --unseen none"
    strange = [row.split(",")[2] for row in found_by(words, tmp_path / "b")]
    assert strange == [str(hits.gallery.paths[g]) for g in hits.order[0].tolist()]
    with_mean = found_by(words.replace("none", "mean"), tmp_path / "c")  # an index of its own
    assert [row.split(",")[3] for row in with_mean] != [
        row.split(",")[3] for row in found_by(words, tmp_path / "d")
    ]
    file = f"--query {sorted((there / 'query').iterdir())[0]} --gallery {there} --model {trained}"
    found_by(f"{file} --unseen error", tmp_path / "e")


def test_features_made_without_cameras_are_searched_without_them(datasets, trained, tmp_path):
    query = sorted((datasets[0] / "query").iterdir())[0]
    for name, more in (("told", ""), ("mean", "--unseen mean")):
        run(f"embed {trained} --part gallery --out {tmp_path / name}.npz {more}")
    words = f"search --query {query} --model {trained} --out {tmp_path / 'x'} --gallery"
    run(f"{words} {tmp_path / 'mean'}.npz")
    text = run(f"{words} {tmp_path / 'mean'}.npz --unseen none", check=False)
    assert "embedded with unseen mean" in text
    text = run(f"{words} {tmp_path / 'told'}.npz", check=False)
    assert "nobody says which camera took" in text
    text = run(f"{words} {tmp_path / 'told'}.npz --unseen mean", check=False)
    assert "embedded with the cameras of its images" in text


def test_an_index_says_what_became_of_cameras(datasets, trained, tmp_path):
    query, here = sorted((datasets[0] / "query").iterdir())[0], datasets[0]
    words = f"search --query {query} --model {trained} --gallery {here} --out {tmp_path / 'x'}"
    run(f"{words} --index {tmp_path / 'index'} --unseen mean")
    text = run(f"{words} --index {tmp_path / 'index'}", check=False)
    assert "was made with unseen mean, not None" in text
    other = transreid(4, vit="desk", image_size=(64, 32), num_cameras=0)
    with pytest.raises(ValueError, match="unseen is for networks that were told cameras"):
        search_images(other, query, here, unseen="mean")
    with pytest.raises(ValueError, match="unseen must be one of mean, none, error"):
        search_images(load_model(trained)[0], query, here, unseen="zero")
    model, _ = load_model(trained)
    search_images(model, query, here)  # in memory: as many cameras
    search_images(model, query, here, unseen="mean")
    assert not model.sides.strangers and model.sides.unseen == "error"
    few = shutil.copytree(here, tmp_path / "few")
    for file in few.rglob("*_c1*"):
        file.unlink()
    inside = sorted((few / "query").iterdir())[0]
    with pytest.raises(ValueError, match=r"\(2, 3\) are not those of its training \(3 of them\)"):
        search_images(load_model(trained)[0], inside, few, unseen="error")
    with pytest.raises(ValueError, match=r"\(2, 3\) are not those of its training \(1, 2, 3\)"):
        search_images(trained, inside, few, unseen="error")


def test_the_start_does_not_depend_on_the_folder_of_the_call(
    datasets, trained, tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "abroad")
    starts = []
    for name in ("abroad", "./abroad", tmp_path / "abroad"):
        words = f"--out {tmp_path / str(len(starts))} {SMALL} --pretrained {name}"
        run(f"train transreid --data {datasets[0]} {words}")
        card = read_card(tmp_path / str(len(starts)))
        starts.append(card["origin"]["start"]["weights"])
    shipped = hashlib.sha256(paths.shipped("checkpoints/abroad.safetensors").read_bytes())
    assert starts[0] == shipped.hexdigest()[:12]
    assert starts[1] == starts[2] != starts[0]
    (warned,) = [record.getMessage() for record in caplog.records if "comes with" in record.msg]
    assert "not abroad/model.safetensors; name that ./abroad" in warned


def test_another_network_in_the_same_folder_is_told_by_what_differs(datasets, trained):
    words = f"train transreid --data {datasets[0]} --out {trained} {SMALL} --pretrained none"
    text = run(f"{words} --parts 2", check=False)
    assert "belongs to another run" in text
    assert text.endswith("):\n  network: arguments: parts: there 4, here 2\n")
