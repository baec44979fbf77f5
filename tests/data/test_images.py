import logging

import numpy as np
import pytest
import torch
from PIL import Image

from reidlab.data.images import ImageDataset, check_images, read_image, resize
from reidlab.data.samples import Sample


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)


def sample(path, pid=1):
    return Sample(path, pid, 1)


def test_rgb_files_come_back_pixel_for_pixel(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (np.array(read_image(tmp_path / "a.png")) == pixels).all()


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "RGBA", "1"])
def test_other_modes_are_converted(tmp_path, pixels, mode):
    name = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(pixels).convert(mode).save(name)
    assert read_image(name).mode == "RGB"


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64 * 32).reshape(64, 32).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    values = np.array(read_image(tmp_path / "a.png"))[:, :, 0]
    assert values.min() == 0 and values.max() == 255
    assert abs(values.mean() - 127.5) < 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [(np.int32(200), 200), (np.int32(60000), 233), (np.float32(0.5), 128), (np.float32(200), 200)],
)
def test_wide_pixels_keep_their_brightness(tmp_path, values, expected):
    Image.fromarray(np.full((64, 32), values)).save(tmp_path / "a.tif")
    assert np.array(read_image(tmp_path / "a.tif")).mean() == pytest.approx(expected, abs=1)


def test_pixels_that_are_no_brightness_are_refused(tmp_path):
    for value in (np.nan, -3.0):
        Image.fromarray(np.full((64, 32), value, np.float32)).save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match="a.tif: damaged"):
            read_image(tmp_path / "a.tif")


def test_a_camera_rotation_tag_is_obeyed(tmp_path, pixels):
    image = Image.fromarray(pixels)
    tags = image.getexif()
    tags[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.jpg", exif=tags)
    assert read_image(tmp_path / "a.jpg").size == (64, 32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"these are words", "found something that is no image"),
        ("truncated", "damaged or truncated"),
        ("1x1", "1x1 pixels, expected at least 8"),
        (None, "no such file"),
    ],
)
def test_bad_files_are_named_with_what_was_found(tmp_path, pixels, content, message):
    path = tmp_path / "0001_c1s1_000001_00.jpg"
    if content == "truncated":
        Image.fromarray(pixels).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif content == "1x1":
        Image.new("RGB", (1, 1)).save(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_huge_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="too many pixels"):
        read_image(tmp_path / "a.png")


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


def test_resize_matches_pillow_and_leaves_the_right_size_alone(pixels):
    image = Image.fromarray(pixels)
    assert (resize(image, (64, 32)).permute(1, 2, 0).numpy() == pixels).all()
    for name, kind in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", 3)):
        expected = np.array(image.resize((16, 40), kind))
        assert (resize(image, (40, 16), name).permute(1, 2, 0).numpy() == expected).all()


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
