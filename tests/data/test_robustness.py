"""What goes wrong on real disks: damaged files, full disks, read-only folders, strange names."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from reidlab.checkpoints import atomic_write, save_model
from reidlab.data.decoding import read_image
from reidlab.data.images import ImageDataset
from reidlab.data.inspection import inspect
from reidlab.data.packs import find_pack
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import Sample
from reidlab.data.transforms import EvalTransform, TrainTransform
from reidlab.embedding import embed
from reidlab.models.baseline import baseline_small
from reidlab.training import TrainConfig, fit

SIZE = (16, 8)
PEOPLE, CAMERAS, SHOTS = 50, 4, 6  # a side: 1,200 images to train on, 200 + 600 to test with


class Mean(nn.Module):
    """The smallest network: mean colours, scaled by what it learns."""

    default_neck = "after"

    def __init__(self) -> None:
        super().__init__()
        self.preprocess = EvalTransform(size=SIZE)
        self.scale = nn.Parameter(torch.ones(3))

    def embed(self, images, camids=None, viewids=None, neck=None):
        return images.mean(dim=(2, 3)) * self.scale


def spread(model, batch):
    return {"spread": F.mse_loss(model.embed(batch.images), torch.zeros(len(batch), 3))}


def cut(path):
    os.truncate(path, path.stat().st_size - 60)


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def words(path):
    path.write_text("not an image, a note to self\n")


def web_page(path):
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")


def wrong_checksum(path):
    """A PNG under the name of a JPEG, one bit of whose pixels has flipped."""
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 100] ^= 1
    path.write_bytes(content)


DAMAGES = (cut, zeros, words, web_page, wrong_checksum)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A dataset of 2,000 images and the paths of 200 among them that were damaged."""
    folder = tmp_path_factory.mktemp("damaged") / "market"
    rng = np.random.default_rng(0)
    paths = []
    parts = (
        ("bounding_box_train", 1, range(SHOTS)),
        ("query", 501, range(1)),
        ("bounding_box_test", 501, range(1, 4)),
    )
    for part, first, shots in parts:
        (folder / part).mkdir(parents=True)
        for pid in range(first, first + PEOPLE):
            for camera in range(1, CAMERAS + 1):
                for shot in shots:
                    paths.append(folder / part / f"{pid:04d}_c{camera}s1_{shot:06d}_00.jpg")
                    pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(paths[-1], quality=90)
    assert len(paths) == 2000
    chosen = [paths[i] for i in sorted(rng.permutation(len(paths))[:200].tolist())]
    for i, path in enumerate(chosen):
        DAMAGES[i % len(DAMAGES)](path)
    return folder, chosen


def test_the_inspection_names_each_of_200_damaged_files_and_no_other(damaged):
    folder, chosen = damaged
    report = inspect(scan_dataset(folder))
    found = {f.path: f.message for f in report.findings if f.kind == "unreadable"}
    assert set(found) == set(chosen) and report.count("error") == 200
    reasons = [found[path] for path in chosen[:5]]
    expected = ("damaged", "nothing but zero", "no image", "a web page", "damaged")
    assert all(e in reason for e, reason in zip(expected, reasons, strict=True)), reasons
    text = report.text(everything=True)
    assert all(f"  {path.relative_to(folder)}: {found[path]}" in text for path in chosen)


def test_embedding_leaves_damaged_files_out_and_says_how_many(damaged, caplog):
    folder, chosen = damaged
    gallery = read_dataset(folder).gallery
    bad = [sample.path for sample in gallery if sample.path in set(chosen)]
    with caplog.at_level(logging.WARNING):
        found = embed(Mean(), gallery, on_error="skip", device="cpu")
    assert f"{len(bad)} bad images are left out" in caplog.text
    good = [sample for sample in gallery if sample.path not in set(bad)]
    assert list(found.paths) == [sample.path for sample in good]
    expected = np.asarray(read_image(good[-1].path), np.float32).mean((0, 1)) / 255
    transform = Mean().preprocess
    expected = (torch.tensor(expected) - torch.tensor(transform.mean)) / torch.tensor(transform.std)
    torch.testing.assert_close(found.features[-1].cpu(), expected, atol=1e-5, rtol=1e-4)


def test_embedding_stops_at_the_first_damaged_file_when_told_to(damaged):
    folder, chosen = damaged
    gallery = read_dataset(folder).gallery
    first = next(sample.path for sample in gallery if sample.path in set(chosen))
    with pytest.raises(ValueError) as caught:
        embed(Mean(), gallery, device="cpu")
    assert str(caught.value).startswith(f"{first}: ")


def test_training_leaves_damaged_files_out_or_refuses_before_the_first_epoch(damaged, caplog):
    folder, chosen = damaged
    train = read_dataset(folder).train
    bad = {i for i, sample in enumerate(train) if sample.path in set(chosen)}
    calm = TrainTransform(flip=0, pad=0, erase=0)
    config = {"epochs": 1, "device": "cpu", "transform": calm, "sampler": "shuffle"}
    seen = []

    def watched(model, batch):
        seen.extend(batch.index.tolist())
        return spread(model, batch)

    with pytest.raises(ValueError, match=f"{len(bad)} of {len(train)} images are bad"):
        fit(Mean(), train, watched, TrainConfig(**config))
    assert seen == []
    with caplog.at_level(logging.WARNING):
        history = fit(Mean(), train, watched, TrainConfig(**config, on_error="skip"))
    assert f"{len(bad)} bad images are left out" in caplog.text
    assert len(history) == 1 and not bad & set(seen)
    assert len(train) - len(bad) - len(set(seen)) < 32  # the last batch may be left out


# --- full and read-only disks ---


def mount(*words) -> None:
    """Mount as root, or skip the test."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root on Linux, to mount a small disk")
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 256 kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path):
    """Make a folder read-only until the end of the test; permission bits do not bind root."""
    undo = []

    def protect(folder: Path) -> Path:
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            mount("--bind", folder, folder)
            undo.append(lambda: subprocess.run(["umount", str(folder)], check=True))
            mount("-o", "remount,ro,bind", folder)
        else:
            folder.chmod(0o555)
            undo.append(lambda: folder.chmod(0o755))
        return folder

    yield protect
    for action in undo:
        action()


def test_a_file_for_which_there_is_no_room_leaves_the_old_one(small_disk):
    path = small_disk / "report.json"
    atomic_write(path, "old")
    with pytest.raises(ValueError, match="No space left on device.*make room") as caught:
        atomic_write(path, bytes(400_000))
    assert str(path) in str(caught.value)
    assert path.read_text() == "old" and os.listdir(small_disk) == ["report.json"]


def test_a_model_for_which_there_is_no_room_leaves_the_old_one(small_disk):
    save_model(small_disk / "run", baseline_small(2, width=2, image_size=(32, 16)), {})
    before = {path.name: path.read_bytes() for path in (small_disk / "run").iterdir()}
    with pytest.raises(ValueError, match="model.safetensors.*No space left"):
        save_model(small_disk / "run", baseline_small(2, width=16, image_size=(32, 16)), {})
    after = {path.name: path.read_bytes() for path in (small_disk / "run").iterdir()}
    assert after == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_only_at_the_end_leaves_the_old_file(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "report.json"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(ValueError, match="report.json"):
        atomic_write(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.json"]


RENDER = (
    "data make --ids 4 --validation-ids 2 --test-ids 2 --images-per-id 16 --cameras 3 "
    "--difficulty smoke --size 128 64 --distractors 0 --junk 0 --out"
)


def test_rendering_onto_a_full_disk_names_the_folder_and_leaves_nothing(small_disk):
    command = [sys.executable, "-m", "reidlab", *RENDER.split(), str(small_disk / "people")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1, done.stderr
    assert "No space left" in done.stderr and str(small_disk) in done.stderr
    assert os.listdir(small_disk) == []


def test_a_read_only_dataset_is_read_checked_and_served_from_its_pack(copied, read_only):
    read_only(copied)
    with pytest.raises(OSError):
        (copied / "new").write_text("x")
    splits = read_dataset(copied)
    assert find_pack(splits.train) is not None
    assert inspect(scan_dataset(copied)).findings == []
    assert len(ImageDataset(splits.query, (64, 32), in_memory=True)) == len(splits.query)


def test_a_read_only_folder_for_data_is_named(tmp_path, read_only):
    root = read_only(tmp_path)
    with pytest.raises(ValueError, match="cannot (create|write)") as caught:
        read_dataset("synthetic", root=root, ids=4, test_ids=2, difficulty="smoke")
    assert str(root) in str(caught.value)


# --- names, links ---


def paint(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def test_accents_in_either_form_are_two_files_and_come_back_as_they_are(tmp_path):
    names = ["0001_c1s1_caf\u00e9.png", "0001_c1s1_cafe\u0301.png"]
    for i, name in enumerate(names):
        paint(tmp_path / name, i)
    if len(os.listdir(tmp_path)) < 2:
        pytest.skip("this file system takes the two for one")
    samples = [Sample(tmp_path / name, i + 1, 1) for i, name in enumerate(names)]
    found = embed(Mean(), samples, device="cpu")
    assert [path.name for path in found.paths] == names
    assert not torch.equal(found.features[0], found.features[1])


@pytest.mark.skipif(os.name != "posix", reason="Windows has another limit")
def test_datasets_with_long_names_in_deep_folders_are_read_and_checked(market_folder, tmp_path):
    deep = tmp_path
    while len(str(deep)) < 1000:
        deep = deep / ("d" * 150)
    deep.parent.mkdir(parents=True)
    folder = shutil.move(market_folder, deep)
    path = next(Path(folder, "query").glob("0100_c1*"))
    long = path.rename(path.with_name(path.stem.ljust(246, "x") + ".jpg"))
    assert len(long.name.encode()) == 250
    splits = read_dataset(folder)
    assert long in [sample.path for sample in splits.query]
    assert embed(Mean(), splits.query, device="cpu").features.shape == (12, 3)
    assert inspect(scan_dataset(folder)).findings == []


def test_linked_folders_and_files_are_read_like_real_ones(market_folder, tmp_path):
    elsewhere, linked = tmp_path / "elsewhere", tmp_path / "linked"
    shutil.copytree(market_folder, elsewhere)
    linked.mkdir()
    try:
        for part in ("bounding_box_train", "query"):
            (linked / part).symlink_to(elsewhere / part, target_is_directory=True)
        (linked / "bounding_box_test").mkdir()
        for path in (elsewhere / "bounding_box_test").iterdir():
            (linked / "bounding_box_test" / path.name).symlink_to(path)
    except OSError:
        pytest.skip("this system makes no links")
    plain, through = read_dataset(elsewhere), read_dataset(linked)
    for part in ("train", "query", "gallery"):
        names = [[sample.path.name for sample in getattr(s, part)] for s in (plain, through)]
        assert names[0] == names[1]
        images = [
            ImageDataset(getattr(s, part), (64, 32)).images(range(4)) for s in (plain, through)
        ]
        assert torch.equal(*images)
    assert inspect(scan_dataset(linked)).findings == []


@pytest.mark.parametrize("layout", ["market", "person folders"])
def test_links_that_lead_in_a_circle_end(market_folder, tmp_path, layout):
    folder = market_folder
    if layout != "market":
        folder = tmp_path / "people"
        for i in range(6):
            paint(folder / f"{i % 2 + 1:04d}" / f"{i}.png", i)
    inner = next(child for child in sorted(folder.iterdir()) if child.is_dir())
    try:
        (inner / "up").symlink_to(folder, target_is_directory=True)
        (folder / "itself").symlink_to("itself")
    except OSError:
        pytest.skip("this system makes no links")
    report = inspect(scan_dataset(folder))
    assert [(f.kind, f.path.name) for f in report.findings if f.level == "error"] == [
        ("link", "itself")
    ]


def test_training_sees_a_replaced_image_not_the_one_that_was_packed(copied):
    samples = read_dataset(copied).train
    packed = ImageDataset(samples, (64, 32), in_memory=True).memory
    status = samples[0].path.stat()
    image = Image.open(samples[0].path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for quality in range(1, 96):  # never larger than what it replaces, then filled up
        image.save(samples[0].path, "JPEG", quality=96 - quality)
        if samples[0].path.stat().st_size <= status.st_size:
            break
    with samples[0].path.open("ab") as file:
        file.write(bytes(status.st_size - samples[0].path.stat().st_size))
    os.utime(samples[0].path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert samples[0].path.stat().st_size == status.st_size
    memory = ImageDataset(samples, (64, 32), in_memory=True).memory
    assert torch.equal(memory[1:], packed[1:])
    assert not torch.equal(memory[0], packed[0])
    assert (memory[0].permute(1, 2, 0).numpy() == np.array(read_image(samples[0].path))).all()
