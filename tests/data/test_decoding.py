import os
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from reidlab.data import decoding
from reidlab.data.decoding import read_image, resize


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)


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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"PK\x03\x04rest", "a zip archive"),
        (bytes(3000), "nothing but zero bytes"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "something that is no image"),
    ],
)
def test_what_took_the_place_of_an_image_is_recognised(tmp_path, content, found):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.jpg: found {found}"):
        read_image(tmp_path / "a.jpg")


def test_a_wrong_checksum_in_a_png_is_damage(tmp_path, pixels):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT")
    content[at + 2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.png: damaged or truncated"):
        read_image(path)


def test_folders_pipes_and_links_to_nothing_are_named_and_nobody_waits(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ValueError, match="folder.jpg: found a folder"):
        read_image(tmp_path / "folder.jpg")
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes or links on this system")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, found in (
        ("pipe.jpg", "found a device or pipe"),
        ("broken.jpg", "a broken link to nowhere.jpg"),
        ("loop.jpg", "cannot be opened"),
        ("x" * 300, "cannot be opened"),
        ("a\0b", "cannot be opened"),
    ):
        with pytest.raises(ValueError, match=found):
            read_image(tmp_path / name)


def write_head(path, width, height):
    """A PNG of which only the head exists: decoding it would fail for lack of pixels."""

    def chunk(kind, body):
        return (
            len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        )

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + b"\x08\x02\0\0\0")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit_of_pillow", ["default", None, 10**12])
@pytest.mark.parametrize(("width", "height"), [(7072, 7072), (50_000_001, 1), (30_000, 30_000)])
def test_huge_images_are_refused_by_their_head(
    tmp_path, monkeypatch, width, height, limit_of_pillow
):
    if limit_of_pillow != "default":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit_of_pillow)
    write_head(tmp_path / "a.png", width, height)
    with pytest.raises(ValueError, match="a.png: .*too many pixels .*at most 50 million"):
        read_image(tmp_path / "a.png")


def test_no_pixel_of_a_huge_image_is_decoded(tmp_path, monkeypatch):
    def load(image):
        raise AssertionError("decoded")

    Image.new("1", (8000, 6251)).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(ValueError, match="8000x6251 pixels, too many"):
        read_image(tmp_path / "a.png")


def test_the_limit_itself_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LARGEST", 64 * 32)
    Image.new("RGB", (32, 64)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").size == (32, 64)
    Image.new("RGB", (32, 65)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="too many pixels"):
        read_image(tmp_path / "a.png")


def test_a_stricter_limit_of_pillow_is_obeyed_with_the_same_words(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=": 4096 pixels, too many pixels"):
        read_image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # Pillow only warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="too many pixels"):
            read_image(tmp_path / "a.png")


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
def test_names_of_250_bytes_in_paths_of_a_thousand_characters_are_read(tmp_path, pixels):
    folder = tmp_path
    while len(str(folder)) < 1000:
        folder = folder / ("d" * 100)
    folder.mkdir(parents=True)
    path = folder / ("\u00e9" * 123 + ".png")
    assert len(path.name.encode()) == 250
    Image.fromarray(pixels).save(path)
    assert (np.array(read_image(path)) == pixels).all()


def test_resize_matches_pillow_and_leaves_the_right_size_alone(pixels):
    image = Image.fromarray(pixels)
    assert (resize(image, (64, 32)).permute(1, 2, 0).numpy() == pixels).all()
    for name, kind in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", 3)):
        expected = np.array(image.resize((16, 40), kind))
        assert (resize(image, (40, 16), name).permute(1, 2, 0).numpy() == expected).all()
