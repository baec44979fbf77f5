import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from PIL import Image

from reidlab.data.readers import read_dataset
from reidlab.data.transforms import EvalTransform, TrainTransform
from reidlab.losses import ReidCenterLoss, reid_loss
from reidlab.models.baseline import baseline_small
from reidlab.training import TrainConfig, fit
from reidlab.training.feed import TrainingData
from reidlab.training.objective import Objective, Optimizers

TINY = {"epochs": 3, "ids_per_batch": 2, "images_per_id": 2, "device": "cpu"}


def tiny_model(num_ids=4, seed=0):
    return baseline_small(num_ids, width=4, image_size=(32, 16), seed=seed)


@pytest.fixture
def people(market_folder):
    return read_dataset(market_folder).train


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def figures(history):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
        for row in history.rows
    ]


def test_the_loss_falls_and_every_term_is_logged(people, tmp_path):
    calm = TrainTransform(flip=0, pad=0, erase=0)
    settings = TINY | {"epochs": 8, "lr": 0.01, "ids_per_batch": 4, "transform": calm}
    config = TrainConfig(**settings, out=tmp_path / "run")
    model = baseline_small(4, width=8, image_size=(32, 16))
    history = fit(model, people, reid_loss, config)
    losses = history.column("loss")
    assert losses[-1] < 0.8 * losses[0]
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert {"lr", "loss", "id", "triplet", "seconds"} <= set(rows[0])
    total = float(rows[3]["id"]) + float(rows[3]["triplet"])
    assert float(rows[3]["loss"]) == pytest.approx(total, rel=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(people):
    ends = []
    for seed in (0, 0, 1):
        model = tiny_model()
        fit(model, people, reid_loss, TrainConfig(**TINY, seed=seed))
        ends.append(weights(model))
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])


def test_construction_and_training_leave_the_global_random_state_alone(people):
    before = torch.get_rng_state()
    fit(tiny_model(seed=3), people, reid_loss, TrainConfig(**TINY | {"epochs": 1}))
    assert torch.equal(torch.get_rng_state(), before)


class Stop(Exception):
    """Raised by a test in the place of a power cut."""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_stopped_run_continues_bit_for_bit(people, tmp_path, optimizer):
    whole = tiny_model()
    settings = TINY | {"optimizer": optimizer, "clip_norm": 1.0}
    expected = fit(whole, people, reid_loss, TrainConfig(**settings))

    def stop_in_epoch_two(epoch, model, row):
        if epoch == 2:
            raise Stop

    config = TrainConfig(**settings, out=tmp_path)
    with pytest.raises(Stop):
        fit(tiny_model(), people, reid_loss, config, on_epoch=stop_in_epoch_two)
    resumed = tiny_model()
    torch.nn.init.zeros_(resumed.trunk.conv1.weight)  # the checkpoint decides, not the start
    history = fit(resumed, people, reid_loss, config)
    assert same(weights(whole), weights(resumed))
    assert figures(history) == figures(expected)
    again = tiny_model()  # a finished run is only read
    assert figures(fit(again, people, reid_loss, config)) == figures(expected)
    assert same(weights(again), weights(whole))


def test_random_layers_repeat_after_a_stop(people, tmp_path):
    def noisy(model, batch):
        terms = reid_loss(model, batch)
        return terms | {"noise": terms["id"] * torch.rand(())}  # as dropout would draw

    whole = tiny_model()
    expected = fit(whole, people, noisy, TrainConfig(**TINY))

    def stop_in_epoch_two(epoch, model, row):
        if epoch == 2:
            raise Stop

    config = TrainConfig(**TINY, out=tmp_path)
    with pytest.raises(Stop):
        fit(tiny_model(), people, noisy, config, on_epoch=stop_in_epoch_two)
    torch.manual_seed(77)
    resumed = tiny_model()
    assert figures(fit(resumed, people, noisy, config)) == figures(expected)
    assert same(weights(whole), weights(resumed))


def test_every_epoch_augments_anew(people):
    data = TrainingData(people, EvalTransform((32, 16)), TrainConfig(**TINY))
    first, again, second = (
        next(data.batches([[0, 1, 2, 3]], epoch, torch.device("cpu"))).images for epoch in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, second)


KILLED = """
    import sys, time, torch
    from reidlab.data.readers import read_dataset
    from reidlab.losses import ReidCenterLoss, reid_loss
    from reidlab.models.baseline import baseline_small
    from reidlab.training import TrainConfig, fit
    model = baseline_small(4, width=4, image_size=(32, 16))
    config = TrainConfig(epochs=12, ids_per_batch=2, images_per_id=2, device="cpu", out=sys.argv[2])
    print("ready", flush=True)
    fit(model, read_dataset(sys.argv[1]).train, reid_loss, config,
        on_epoch=lambda *_: print("epoch", flush=True))
    torch.save(model.state_dict(), sys.argv[3])
"""


def test_a_killed_run_ends_in_the_same_weights(market_folder, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(KILLED))

    def command(run):
        return [sys.executable, str(script), str(market_folder), str(tmp_path / run)]

    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command("whole"), str(tmp_path / "a.pt")], check=True, env=env)
    for epochs in (1, 3):  # killed twice, at two moments
        process = subprocess.Popen(
            [*command("cut"), str(tmp_path / "b.pt")], env=env, stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout:
            epochs -= line.startswith("epoch")
            if epochs <= 0:
                break
        time.sleep(0.01 * epochs)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command("cut"), str(tmp_path / "b.pt")], check=True, env=env)
    a, b = (torch.load(tmp_path / name, weights_only=True) for name in ("a.pt", "b.pt"))
    assert same(a, b)
    assert not list((tmp_path / "cut").glob(".*.part"))


def test_on_epoch_may_evaluate_and_add_columns(people):
    def score(epoch, model, row):
        model.eval()
        return {"val_mAP": epoch / 10}

    model = tiny_model()
    history = fit(model, people, reid_loss, TrainConfig(**TINY), on_epoch=score)
    assert history.column("val_mAP") == [0.1, 0.2, 0.3]
    plain = tiny_model()
    fit(plain, people, reid_loss, TrainConfig(**TINY))
    assert same(weights(model), weights(plain))
    with pytest.raises(ValueError, match="no column 'mAP'; the log has epoch"):
        history.column("mAP")


def test_images_in_memory_and_on_disk_train_the_same_weights(people):
    ends = []
    for in_memory in (True, False):
        model = tiny_model()
        fit(model, people, reid_loss, TrainConfig(**TINY, in_memory=in_memory))
        ends.append(weights(model))
    assert same(*ends)


def test_a_checkpoint_of_another_run_is_refused_and_can_be_overwritten(people, tmp_path):
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    with pytest.raises(ValueError, match="another run.*\n  seed: there 0, here 1"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, seed=1, out=tmp_path))
    with pytest.raises(ValueError, match="data: there"):
        fit(tiny_model(), people[:-1], reid_loss, TrainConfig(**TINY, out=tmp_path))
    with pytest.raises(ValueError, match="network: arguments: width: there 4, here 8$"):
        wider = baseline_small(4, width=8, image_size=(32, 16))
        fit(wider, people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    fresh = TrainConfig(**TINY, seed=1, out=tmp_path, restart=True)
    assert len(fit(tiny_model(), people, reid_loss, fresh)) == 3


def test_a_checkpoint_cut_short_says_what_to_do(people, tmp_path):
    config = TrainConfig(**TINY, out=tmp_path)
    fit(tiny_model(), people, reid_loss, config)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(ValueError, match="checkpoint.pt is damaged.*delete it to start again"):
        fit(tiny_model(), people, reid_loss, config)


def test_a_folder_that_cannot_be_written_is_named(people, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="expected a folder, found a file"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path / "file"))


def test_bad_images_are_found_before_the_first_epoch(market_folder):
    people = read_dataset(market_folder).train
    people[5].path.write_bytes(b"no image")
    seen = []
    with pytest.raises(ValueError, match="1 of 24 images are bad") as caught:
        fit(
            tiny_model(), people, reid_loss, TrainConfig(**TINY), on_epoch=lambda *a: seen.append(a)
        )
    assert people[5].path.name in str(caught.value) and not seen
    history = fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, on_error="skip"))
    assert len(history) == 3


def test_one_person_only_or_distractors_are_refused(people):
    lonely = [sample for sample in people if sample.pid == people[0].pid]
    with pytest.raises(ValueError, match="needs 2 people, the samples have 1"):
        fit(tiny_model(), lonely, reid_loss, TrainConfig(**TINY))
    with pytest.raises(ValueError, match="1 training samples are distractors"):
        stranger = type(people[0])(people[0].path, 0, 1)
        fit(tiny_model(), [*people, stranger], reid_loss, TrainConfig(**TINY))


def test_a_person_with_one_image_trains(people):
    kept = [s for s in people if s.pid != people[0].pid] + [people[0]]
    fit(tiny_model(), kept, reid_loss, TrainConfig(**TINY | {"ids_per_batch": 4}))


def test_a_network_with_too_few_classes_says_how_many_it_needs(people):
    with pytest.raises(ValueError, match="3 classes, the samples 4 people.*num_ids=4"):
        fit(tiny_model(num_ids=3), people, reid_loss, TrainConfig(**TINY))


def test_a_diverging_loss_stops_the_run(people, tmp_path):
    def broken(model, batch):
        return {"id": reid_loss(model, batch)["id"] * float("nan")}

    with pytest.raises(FloatingPointError, match="no longer finite in epoch 1.*lower lr"):
        fit(tiny_model(), people, broken, TrainConfig(**TINY, out=tmp_path))
    assert not (tmp_path / "checkpoint.pt").exists()


def test_losses_receive_zero_based_labels(people):
    batches = []

    def watch(model, batch):
        batches.append(batch)
        return reid_loss(model, batch)

    fit(tiny_model(), people, watch, TrainConfig(**TINY | {"epochs": 2}))
    ids = sorted({sample.pid for sample in people})
    for batch in batches:
        for pid, camid, index in zip(batch.pids, batch.camids, batch.index, strict=True):
            assert people[int(index)].pid == ids[int(pid)]
            assert people[int(index)].camid == people.cameras[int(camid)]


def test_autocast_trains_too(people):
    history = fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, amp=True))
    assert all(torch.isfinite(torch.tensor(history.column("loss"))))


def test_the_settings_of_the_loss_belong_to_the_run(people, tmp_path):
    import functools

    soft = functools.partial(reid_loss, margin=None)
    fit(tiny_model(), people, soft, TrainConfig(**TINY, out=tmp_path))
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["identity"]
    assert json.dumps(saved) and saved["loss settings"] == {"margin": "None"}
    with pytest.raises(ValueError, match="loss settings: margin: there 'None', here None$"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))


def test_other_images_under_the_same_names_are_other_data(people, tmp_path):
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    with Image.open(people[0].path) as image:
        image.resize((20, 40)).save(people[0].path)
    with pytest.raises(ValueError, match="data: there"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))


def test_other_initial_weights_are_another_run(people, tmp_path):
    fit(tiny_model(seed=0), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    with pytest.raises(ValueError, match="network: start: seed: there 0, here 1$"):
        fit(tiny_model(seed=1), people, reid_loss, TrainConfig(**TINY, out=tmp_path))


def test_nameless_losses_are_told_apart(people, tmp_path):
    def make(margin):
        return lambda model, batch: reid_loss(model, batch, margin=margin)

    fit(tiny_model(), people, make(0.3), TrainConfig(**TINY, out=tmp_path))
    fit(tiny_model(), people, make(0.3), TrainConfig(**TINY, out=tmp_path))
    with pytest.raises(ValueError, match="loss: there"):
        fit(tiny_model(), people, make(None), TrainConfig(**TINY, out=tmp_path))


def test_a_restart_removes_what_the_old_run_left(people, tmp_path):
    run = tmp_path / "run"
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=run))
    for name in ("model.safetensors", "model.json", ".checkpoint.pt.99999999.part"):
        (run / name).write_text("old")

    def stop(epoch, model, row):
        raise Stop

    with pytest.raises(Stop):
        fit(
            tiny_model(),
            people,
            reid_loss,
            TrainConfig(**TINY, out=run, restart=True),
            on_epoch=stop,
        )
    assert list(run.iterdir()) == []


def test_files_of_others_stay(people, tmp_path):
    """Of a process that lives, and of whoever keeps code in a folder named tensorboard."""
    code, part = tmp_path / "tensorboard" / "code.py", tmp_path / f".log.csv.{os.getppid()}.part"
    code.parent.mkdir()
    for file in (code, part):
        file.write_text("mine")
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path, tensorboard=False))
    assert code.exists() and part.exists()


def test_a_flipped_byte_in_a_checkpoint_is_noticed(people, tmp_path):
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    file = tmp_path / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint.pt is damaged"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))


def test_a_callback_may_return_numpy_numbers(people, tmp_path):
    config = TrainConfig(**TINY, out=tmp_path)
    fit(tiny_model(), people, reid_loss, config, on_epoch=lambda *_: {"mAP": np.float64(0.5)})
    assert fit(tiny_model(), people, reid_loss, config).column("mAP") == [0.5] * 3


def test_positions_in_a_batch_are_those_of_the_callers_list(people):
    people[0].path.write_bytes(b"no image")
    seen = []

    def watch(model, batch):
        seen.append(batch)
        return reid_loss(model, batch)

    fit(tiny_model(), people, watch, TrainConfig(**TINY, on_error="skip"))
    ids = sorted({sample.pid for sample in people})
    for batch in seen:
        assert [people[i].pid for i in batch.index] == [ids[p] for p in batch.pids]


def test_centers_are_trained_saved_and_continued_bit_for_bit(people, tmp_path):
    def run(epochs_until_stop, folder):
        loss = ReidCenterLoss(4, 64, center_weight=0.01)
        model = baseline_small(4, width=8, image_size=(32, 16))

        def stop(epoch, model, row):
            if epoch == epochs_until_stop:
                raise Stop

        config = TrainConfig(**TINY | {"epochs": 3}, out=folder)
        try:
            fit(model, people, loss, config, on_epoch=stop)
        except Stop:
            return run(None, folder)
        return model, loss

    (whole, centers), (cut, others) = run(None, tmp_path / "a"), run(2, tmp_path / "b")
    assert same(weights(whole), weights(cut))
    assert torch.equal(centers.centers, others.centers)
    assert not torch.equal(centers.centers, ReidCenterLoss(4, 64).centers)


def test_another_setting_of_a_loss_that_learns_is_another_run(people, tmp_path):
    config = TrainConfig(**TINY, out=tmp_path / "run")
    model = baseline_small(4, width=8, image_size=(32, 16))
    fit(model, people, ReidCenterLoss(4, 64), config)
    with pytest.raises(ValueError, match="center_weight=0.01"):
        fit(model, people, ReidCenterLoss(4, 64, center_weight=0.01), config)


def test_frozen_batch_norm_keeps_its_statistics(people):
    for frozen in (True, False):
        model = baseline_small(4, width=8, image_size=(32, 16))
        before = model.trunk.bn1.running_mean.clone()
        fit(model, people, reid_loss, TrainConfig(**TINY, freeze_norm=frozen))
        assert torch.equal(before, model.trunk.bn1.running_mean) == frozen


def test_a_run_is_logged_for_tensorboard_and_an_interrupted_one_goes_on(people, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = TrainConfig(**TINY | {"epochs": 3}, out=tmp_path / "run")

    def stop(epoch, model, row):
        if epoch == 3:
            raise Stop
        return {"seen": epoch}

    with pytest.raises(Stop):
        fit(tiny_model(), people, reid_loss, config, on_epoch=stop)
    history = fit(tiny_model(), people, reid_loss, config)
    log = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    log.Reload()
    assert {"loss", "id", "triplet", "lr", "seen"} <= set(log.Tags()["scalars"])
    points = [(event.step, event.value) for event in log.Scalars("loss")]
    assert [step for step, _ in points] == [1, 2, 3]
    assert [value for _, value in points] == pytest.approx(history.column("loss"))
    quiet = TrainConfig(**TINY, out=tmp_path / "quiet", tensorboard=False)
    fit(tiny_model(), people, reid_loss, quiet)
    assert not (tmp_path / "quiet" / "tensorboard").exists()


def test_tensorboard_that_is_wanted_and_missing_is_named(people, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, tensorboard=True))


def test_another_number_of_processes_is_mentioned(people, tmp_path, caplog):
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    file = tmp_path / "checkpoint.pt"
    saved = torch.load(file, weights_only=True)
    torch.save(saved | {"processes": 2}, file)
    fit(tiny_model(), people, reid_loss, TrainConfig(**TINY, out=tmp_path))
    assert "was trained by 2 processes, now there are 1" in caplog.text


def test_centers_take_plain_steps_of_their_own_rate():
    model, loss = baseline_small(4, width=8, image_size=(32, 16)), ReidCenterLoss(4, 64)
    optimizers = Optimizers(Objective(model, loss), TrainConfig(loss_lr=0.25, lr=1e-3))
    before = loss.centers.detach().clone()
    for _ in range(2):
        loss.centers.grad = torch.ones_like(loss.centers)
        optimizers.schedule(0, 1.0)  # moves the network's rate only
        optimizers.step()
    torch.testing.assert_close(loss.centers.detach(), before - 0.5)
