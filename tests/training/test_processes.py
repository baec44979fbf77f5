"""Several processes on one batch: the same losses as one, and what happens when one dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from reidlab.checkpoints import RunState
from reidlab.data.readers import read_dataset
from reidlab.data.samplers import PKSampler, ShuffleSampler, share_of
from reidlab.data.transforms import EvalTransform
from reidlab.training import ProcessLost, Team, TrainConfig, together
from reidlab.training.feed import TrainingData

SCRIPT = Path(__file__).parent / "shared_training.py"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}


def launch(*words, processes=2, check=True):
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*command, *map(str, words)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def logs(file, rank=0):
    return json.loads(Path(f"{file}.{rank}").read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory, market_writer):
    return market_writer(tmp_path_factory.mktemp("shared") / "data")


@pytest.fixture(scope="module")
def both(data, tmp_path_factory):
    """What one process logged, and what two did."""
    out = tmp_path_factory.mktemp("logs")
    launch(SCRIPT, data, out / "one.json", processes=1)
    launch(SCRIPT, data, out / "two.json")
    return logs(out / "one.json"), logs(out / "two.json"), logs(out / "two.json", rank=1)


def difference(one, two):
    assert [row.keys() for row in one] == [row.keys() for row in two]
    return max(abs(a[k] - b[k]) for a, b in zip(one, two, strict=True) for k in a)


@pytest.mark.parametrize(("sampler", "images"), [("pairs", 2), ("triplets", 3), ("shuffle", 1)])
def test_a_process_needs_two_images_however_they_are_drawn(market_folder, sampler, images):
    samples, preprocess = read_dataset(market_folder).train, EvalTransform((32, 16))
    config = TrainConfig(sampler=sampler, ids_per_batch=1, images_per_id=2)
    team = Team(rank=0, size=2)
    if images > 1:
        batches = TrainingData(samples, preprocess, config, team).epoch(0)
        assert len(batches[0]) == images
    else:
        with pytest.raises(ValueError, match="2 processes need 4 images per batch.*got 2"):
            TrainingData(samples, preprocess, config, team)


@pytest.mark.parametrize("case", ["frozen", "norms", "centers", "shuffle", "weights", "blocks"])
def test_two_processes_log_the_losses_of_one(both, case):
    one, two, _ = both
    assert len(one[case]) == 3 and one[case][0]["loss"] != one[case][2]["loss"]
    assert difference(one[case], two[case]) < 1e-5


def test_every_process_knows_the_whole_log(both):
    _, first, second = both
    own = ("called", "seeds")
    assert [first[case] for case in first if case not in own] == [
        second[case] for case in first if case not in own
    ]
    assert len(first["called"]) == 21 and second["called"] == []  # one process evaluates
    assert [row["seen"] for row in first["norms"]] == [1, 2, 3]


def test_random_layers_draw_differently_in_each_process_and_the_first_as_if_alone(both):
    one, first, second = both
    assert one["seeds"] == first["seeds"] and len(one["seeds"]) == 3  # one per epoch
    assert not set(first["seeds"]) & set(second["seeds"])


def test_batch_norm_keeps_its_own_statistics_in_each_process(both):
    one, two, _ = both
    assert difference(one["batch norm"], two["batch norm"]) > 1e-3


def test_a_process_that_dies_stops_the_run_which_then_continues(data, tmp_path):
    launch(SCRIPT, data, tmp_path / "whole.json", tmp_path / "whole")
    died = launch(SCRIPT, data, tmp_path / "cut.json", tmp_path / "cut", "die", check=False)
    assert died.returncode != 0
    assert "the same command continues there" in died.stderr
    assert len((tmp_path / "cut" / "frozen" / "log.csv").read_text().splitlines()) == 2
    launch(SCRIPT, data, tmp_path / "cut.json", tmp_path / "cut")
    assert logs(tmp_path / "cut.json")["frozen"] == logs(tmp_path / "whole.json")["frozen"]
    ends = [
        torch.load(tmp_path / run / "frozen" / "checkpoint.pt", weights_only=True)
        for run in ("whole", "cut")
    ]
    a, b = (end["modules"]["model"] for end in ends)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not list((tmp_path / "cut" / "frozen").glob(".*"))


def test_the_command_trains_with_two_processes_and_speaks_once(data, tmp_path):
    words = ["-m", "reidlab", "train", "baseline", "--data", data, "--epochs", 1]
    words += ["--ids-per-batch", 2, "--device", "cpu", "--out", tmp_path / "run"]
    done = launch(*words)
    assert done.stdout.count("fingerprint") == 1
    assert done.stdout.count("epochs done") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()
    words[words.index("--ids-per-batch") + 1] = 3
    refused = launch(*words, "--restart", check=False)
    assert "2 processes cannot share 3 people per batch equally" in refused.stderr
    assert 'File "' not in refused.stderr.split("reidlab, process")[0]


def test_samplers_share_each_batch_whole_people_to_each_process():
    pids = [pid for pid in range(10) for _ in range(5)]
    whole = list(PKSampler(pids, 4, 3, seed=7))
    shares = [list(PKSampler(pids, 4, 3, seed=7, rank=rank, processes=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == whole
    for share in shares:
        assert all(len({pids[i] for i in batch}) == 2 for batch in share)
    whole = list(ShuffleSampler(23, 6, seed=7))
    shares = [list(ShuffleSampler(23, 6, seed=7, rank=r, processes=3)) for r in range(3)]
    assert [a + b + c for a, b, c in zip(*shares, strict=True)] == whole[:-1]  # 5 do not divide
    assert share_of([1, 2, 3, 4, 5], 1, 2) == [3, 4]


def test_shares_that_cannot_be_equal_are_refused():
    with pytest.raises(ValueError, match="3 processes cannot share 4 people"):
        PKSampler(list(range(10)), 4, 2, processes=3)
    with pytest.raises(ValueError, match="3 processes cannot share a batch of 8 images"):
        ShuffleSampler(20, 8, processes=3)


def test_alone_a_team_does_nothing():
    with together() as team:
        assert team == Team()
        assert team.leads and team.tell({"a": 1}) == {"a": 1}
        assert team.mean(torch.tensor(2.0)) == 2.0
        module = torch.nn.Linear(1, 1)
        assert team.wrap(module, torch.device("cpu")) is module


def test_errors_of_the_training_itself_are_not_taken_for_a_lost_process(monkeypatch):
    from reidlab.training import processes

    assert not processes._is_about_others(RuntimeError("shape mismatch: 3 and 4"))
    assert processes._is_about_others(RuntimeError("[gloo] Connection closed by peer"))
    assert not processes._is_about_others(RuntimeError("model's connection head is broken"))


def test_a_lost_connection_is_told_as_a_lost_process(monkeypatch):
    from reidlab.training import processes

    monkeypatch.setattr(processes, "_joined", lambda: True)
    for name in ("get_rank", "get_world_size"):
        monkeypatch.setattr(processes.distributed, name, lambda: 2)
    with pytest.raises(ProcessLost, match="another of the 2 processes stopped"), together():
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with pytest.raises(RuntimeError, match="shapes") as own, together():
        raise RuntimeError("shapes differ")
    assert not isinstance(own.value, ProcessLost)


def test_only_the_leading_process_writes(tmp_path):
    run = RunState.open(tmp_path, {"a": 1}, processes=2, writes=False)
    run.save({}, torch.optim.SGD([torch.zeros(1)]), [], "log")
    assert not list(tmp_path.iterdir())


def test_a_signal_to_stop_is_swallowed_by_nobody_on_the_way(monkeypatch):
    from reidlab.training import processes

    monkeypatch.setattr(processes, "_joined", lambda: True)
    for name in ("get_rank", "get_world_size"):
        monkeypatch.setattr(processes.distributed, name, lambda: 2)
    with pytest.raises(ProcessLost, match="told to stop"), together():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Exception:
            pytest.fail("swallowed")


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_processes_do_not_share_a_gpu(device):
    with pytest.raises(ValueError, match=f"2 processes cannot share {device}"):
        Team(1, 2, 1).device(device)


def test_processes_that_found_different_things_stop(monkeypatch):
    monkeypatch.setattr(Team, "tell", lambda self, value: "what the first found")
    Team(1, 2).agree("what the first found", "other data")
    with pytest.raises(ValueError, match="process 2 found other data than the first one"):
        Team(1, 2).agree("something else", "other data")


def test_a_share_of_one_image_is_refused(data):
    config = TrainConfig(ids_per_batch=2, images_per_id=1, device="cpu")
    with pytest.raises(ValueError, match="2 processes need 4 images per batch or more"):
        TrainingData(read_dataset(data).train, EvalTransform((32, 16)), config, Team(0, 2))
