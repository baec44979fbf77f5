from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil

import numpy as np
import pytest
import torch

from reidlab.data import packs
from reidlab.data.decoding import read_image, resize
from reidlab.data.market import read_market
from reidlab.data.packs import MANIFEST, PACK, find_pack, new_pack, read_manifest, read_pack
from reidlab.data.samples import Samples

SIZE = (64, 32)


def decoded(samples) -> torch.Tensor:
    return torch.stack([resize(read_image(sample.path), SIZE) for sample in samples])


@pytest.mark.parametrize("part", ["train", "query", "gallery"])
def test_a_pack_gives_the_pixels_of_the_files(rendered, part):
    samples = getattr(read_market(rendered), part)
    images = read_pack(samples, SIZE)
    assert images.dtype == torch.uint8
    assert torch.equal(images, decoded(samples))


def test_any_order_and_repetition_is_served(rendered):
    samples = read_market(rendered).train * 2
    random.Random(0).shuffle(samples)
    assert torch.equal(read_pack(samples, SIZE), decoded(samples))


def test_parts_of_one_dataset_may_be_mixed(rendered):
    splits = read_market(rendered)
    samples = [splits.gallery[-1], splits.train[0], splits.query[2]]
    assert torch.equal(read_pack(samples, SIZE), decoded(samples))


def test_the_images_are_a_copy_that_may_be_written(rendered):
    samples = read_market(rendered).train
    read_pack(samples, SIZE).zero_()
    assert read_pack(samples, SIZE).any()


def test_a_slice_of_neighbours_does_not_depend_on_the_rest(rendered):
    samples = read_market(rendered).gallery
    assert torch.equal(read_pack(samples[2:5], SIZE), read_pack(samples, SIZE)[2:5])


def test_another_size_is_not_served(rendered):
    samples = read_market(rendered).train
    assert find_pack(samples).size == SIZE
    assert read_pack(samples, (128, 64)) is None
    assert read_pack(samples, (32, 64)) is None


def test_no_samples_have_no_pack():
    assert read_pack(Samples(), SIZE) is None


def test_a_folder_without_pack_has_none(market_folder):
    assert read_pack(read_market(market_folder).train, SIZE) is None


def test_a_file_that_is_not_in_the_pack_turns_it_off(copied):
    samples = read_market(copied).train
    stranger = samples[0].path.with_name("0001_c1s1_999999_00.jpg")
    shutil.copy(samples[0].path, stranger)
    other = dataclasses.replace(samples[0], path=stranger)
    assert read_pack([*samples, other], SIZE) is None
    assert read_pack(samples, SIZE) is not None


def test_a_replaced_file_turns_the_pack_off(copied, caplog):
    samples = read_market(copied).train
    shutil.copy(samples[1].path, samples[0].path)
    with caplog.at_level("DEBUG"):
        assert read_pack(samples, SIZE) is None
    assert samples[0].path.name in caplog.text
    assert read_pack(samples[1:], SIZE) is not None


def same_size_other_pixels(path) -> None:
    """The JPEG with another picture in it, not a byte longer or shorter, with its old date."""
    status, content = path.stat(), bytearray(path.read_bytes())
    pixels = np.array(read_image(path))
    for at in range(len(content) - 20, 0, -1):  # a change of the coded picture
        content[at] ^= 4
        path.write_bytes(content)
        if (np.array(read_image(path)) != pixels).any():
            break
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size


def test_a_pack_without_checksums_of_its_files_is_not_trusted(copied):
    content = json.loads((copied / MANIFEST).read_text())
    for image in content["images"]:
        del image["crc32"]
    (copied / MANIFEST).write_text(json.dumps(content))
    assert read_pack(read_market(copied).train, SIZE) is None


@pytest.mark.parametrize("used_before", [True, False])
def test_a_file_replaced_by_one_of_the_same_size_turns_the_pack_off(copied, used_before):
    samples = read_market(copied).train
    assert not used_before or read_pack(samples, SIZE) is not None
    same_size_other_pixels(samples[0].path)
    assert read_pack(samples, SIZE) is None
    assert torch.equal(read_pack(samples[1:], SIZE), decoded(samples[1:]))


def test_a_replaced_file_is_noticed_in_a_copy_whose_dates_are_all_alike(copied, tmp_path):
    same_size_other_pixels(read_market(copied).train[0].path)
    other = shutil.copytree(copied, tmp_path / "other")
    for path in sorted(other.rglob("*")):
        os.utime(path, (0, 0))
    assert read_pack(read_market(other).train, SIZE) is None


def test_a_copy_with_new_dates_keeps_its_pack(copied, tmp_path):
    other = shutil.copytree(copied, tmp_path / "other", copy_function=shutil.copyfile)
    samples = read_market(other).query
    assert torch.equal(read_pack(samples, SIZE), decoded(samples))


def test_files_are_compared_once_per_process(copied):
    samples = read_market(copied).train
    assert find_pack(samples) is not None
    compared = packs._file_checksum.cache_info().misses
    assert find_pack(samples) is not None
    assert packs._file_checksum.cache_info().misses == compared


def test_a_deleted_file_turns_the_pack_off(copied):
    samples = read_market(copied).train
    samples[0].path.unlink()
    assert read_pack(samples, SIZE) is None


def test_samples_of_two_datasets_have_no_common_pack(copied, rendered):
    samples = [read_market(copied).train[0], read_market(rendered).train[1]]
    assert read_pack(samples, SIZE) is None


def flip_a_pixel(folder) -> None:
    pack = np.load(folder / PACK, mmap_mode="r+")
    pack[0, 0, 0, 0] ^= 1
    pack.flush()


def other_shape(folder) -> None:
    pack = np.load(folder / PACK)
    np.save(folder / PACK, pack.transpose(0, 1, 3, 2).copy())


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_pixel,
        other_shape,
        lambda folder: (folder / PACK).unlink(),
        lambda folder: os.truncate(folder / PACK, 200),
        lambda folder: (folder / PACK).write_bytes(b""),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: os.truncate(folder / MANIFEST, 200),
        lambda folder: (folder / MANIFEST).write_text("[]"),
        lambda folder: (folder / MANIFEST).write_text('{"format": 1, "images": 3}'),
        lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_pack_is_not_used(copied, damage):
    samples = read_market(copied).train
    assert read_pack(samples, SIZE) is not None
    damage(copied)
    assert read_pack(samples, SIZE) is None


def test_a_pack_of_another_shape_than_recorded_is_not_used(copied):
    samples = read_market(copied).train
    text = (copied / MANIFEST).read_text()
    (copied / MANIFEST).write_text(text.replace("3, 64, 32]", "3, 32, 64]"))
    assert read_pack(samples, (32, 64)) is None


def test_an_edited_manifest_is_read_again(copied):
    name = read_manifest(copied).content["name"]
    text = (copied / MANIFEST).read_text().replace(name, "a longer name than before")
    (copied / MANIFEST).write_text(text)
    assert read_manifest(copied).content["name"] == "a longer name than before"


def test_a_pack_written_row_by_row_has_the_bytes_of_a_memory_map(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 32), dtype=np.uint8)
    mapped = np.lib.format.open_memmap(
        tmp_path / "map.npy", mode="w+", dtype=np.uint8, shape=images.shape
    )
    mapped[:] = images
    mapped.flush()
    with new_pack(tmp_path / "rows.npy", images.shape) as append:
        for image in images.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2):  # not contiguous
            append(image)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "map.npy").read_bytes()


def test_a_pack_takes_the_images_it_was_told_of(tmp_path):
    image = np.zeros((3, 64, 32), np.uint8)
    with (
        pytest.raises(ValueError, match="expected 2 images, got 1"),
        new_pack(tmp_path / "a.npy", (2, 3, 64, 32)) as append,
    ):
        append(image)
    for other in (image[:, :, :31], image.astype(np.int8)):
        with (
            pytest.raises(ValueError, match="expected uint8 images"),
            new_pack(tmp_path / "a.npy", (1, 3, 64, 32)) as append,
        ):
            append(other)
