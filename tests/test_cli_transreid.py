"""`reidlab train transreid` and what follows: cameras of the dataset, of another one, of none."""

import contextlib
import io
import json

import pytest
import torch

from reidlab import embed, evaluate, load_model, load_official, read_dataset
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
