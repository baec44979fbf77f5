import logging

import numpy as np
import pytest
import torch
from PIL import Image

from reidlab.data.images import BLOCK, ImageDataset, check_images, in_threads
from reidlab.data.samples import Sample


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)


def sample(path, pid=1):
    return Sample(path, pid, 1)


def test_checking_names_every_bad_file_at_once_or_leaves_them_out(tmp_path, pixels, caplog):
    Image.fromarray(pixels).save(tmp_path / "good.png")
    (tmp_path / "bad1.png").write_bytes(b"x")
    samples = [sample(tmp_path / name) for name in ("bad1.png", "good.png", "bad2.png")]
    with pytest.raises(ValueError, match="2 of 3 images are bad") as caught:
        check_images(samples)
    assert "bad1.png" in str(caught.value) and "bad2.png" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        assert [s.path.name for s in check_images(samples, on_error="skip")] == ["good.png"]
    assert "bad1.png" in caplog.text
    with pytest.raises(ValueError, match="none can be read"):
        check_images(samples[:1], on_error="skip")
    with pytest.raises(ValueError, match="'raise' or 'skip'"):
        check_images(samples, on_error="ignore")


def test_memory_and_disk_give_the_same_images(market_folder):
    files = sorted((market_folder / "bounding_box_train").iterdir())
    samples = [Sample(path, i + 1, 1) for i, path in enumerate(files)]
    disk = ImageDataset(samples, (48, 24))
    memory = ImageDataset(samples, (48, 24), in_memory=True)
    order = [[3, 1], [0], [2, 2, 5]]
    for (i, a), (j, b) in zip(disk.batches(order), memory.batches(order), strict=True):
        assert torch.equal(i, j) and torch.equal(a, b)
    image, pid, camid = memory[4]
    assert torch.equal(image, disk[4][0]) and (pid, camid) == (5, 1)
    assert image.shape == (3, 48, 24) and image.dtype == torch.uint8


def test_batches_can_leave_bad_images_out(market_folder):
    files = sorted((market_folder / "bounding_box_train").iterdir())[:3]
    files[1].write_bytes(b"no image")
    dataset = ImageDataset([sample(path) for path in files], (64, 32))
    bad: list[str] = []
    [(kept, images)] = dataset.batches([[0, 1, 2]], bad)
    assert kept.tolist() == [0, 2] and len(images) == 2 and files[1].name in bad[0]
    with pytest.raises(ValueError, match=files[1].name):
        list(dataset.batches([[0, 1, 2]]))


def test_a_dataset_needs_samples_and_a_known_interpolation(tmp_path):
    with pytest.raises(ValueError, match="at least one sample"):
        ImageDataset([])
    with pytest.raises(ValueError, match="bilinear, bicubic"):
        ImageDataset([sample(tmp_path)], interpolation="nearest")


def test_threads_keep_the_order_and_never_hold_more_than_a_block():
    started = []

    def work(item):
        started.append(item)
        return -item

    results = in_threads(work, range(3 * BLOCK), label="")
    assert [next(results) for _ in range(3)] == [0, -1, -2]
    assert len(started) <= BLOCK
    assert list(results) == [-i for i in range(3, 3 * BLOCK)]
