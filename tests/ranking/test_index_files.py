import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from reidlab.data.synthetic.locking import only_writer
from reidlab.embedding import Embeddings
from reidlab.ranking.index import Index, files


def make(n=50, width=8, seed=0, **fields):
    features = torch.randn(n, width, generator=torch.Generator().manual_seed(seed))
    return Embeddings(features, torch.arange(n) - 1, torch.arange(n) % 3 + 1, **fields)


def index_of(n=50, seed=0, **fields):
    hats = ["yes", "no", None, "ja é"]
    attributes = {"hat": (hats * n)[:n], "age": [i % 7 for i in range(n)]}
    metadata = {"model": {"weights": "ab12"}, "flip": True, "size": (128, 64)}
    return Index(make(n, seed=seed, **fields), attributes=attributes, metadata=metadata)


def same(found, expected):
    query = make(5, seed=9)
    for filters in ({}, {"where": {"hat": "yes", "age": [0, 1, 2]}}, {"other_cameras": True}):
        first, second = found.search(query, 3, **filters), expected.search(query, 3, **filters)
        assert torch.equal(first.order, second.order)
        assert torch.equal(first.distance, second.distance)
    assert torch.equal(found.gallery.pids, expected.gallery.pids)
    assert torch.equal(found.gallery.camids, expected.gallery.camids)
    assert found.gallery.source == expected.gallery.source
    assert tuple(found.gallery.paths) == tuple(expected.gallery.paths)


@pytest.fixture
def folder(tmp_path):
    return index_of(source="here").save(tmp_path / "deep" / "index")


@pytest.mark.parametrize(
    "paths",
    [
        (),
        [Path("/photos/day é/1.jpg"), Path("/photos/night/2.jpg")],
        ["http://x//b c.jpg", ""],
        ["", ""],
        [Path("/photos/\udcff.jpg"), Path("/elsewhere/b.jpg")],
    ],
)
def test_what_was_saved_is_loaded(paths, tmp_path):
    expected = index_of(2 * 25, paths=list(paths) * 25, source="here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that it may not write
        found = Index.load(expected.save(str(tmp_path / "index")))
        same(found, expected)
    assert found.metadata == {"model": {"weights": "ab12"}, "flip": True, "size": [128, 64]}
    assert repr(found) == repr(expected)
    lengths = found.gallery.features.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(50))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_wide_features_stay_wide_and_narrow_ones_are_widened(dtype, tmp_path):
    expected = Index(Embeddings(make().features.to(dtype), *[torch.arange(50)] * 2))
    found = Index.load(expected.save(tmp_path / "index"))
    assert found.gallery.features.dtype == torch.promote_types(dtype, torch.float32)
    query = make(3, seed=1)
    assert torch.equal(found.search(query, 5).order, expected.search(query, 5).order)


def test_images_may_move(tmp_path):
    paths = [tmp_path / "old" / f"{i}.jpg" for i in range(49)] + [Path("/elsewhere/z.jpg")]
    folder = index_of(paths=paths).save(tmp_path / "index", images=tmp_path / "old")
    assert Index.load(folder).gallery.paths[0] == tmp_path / "old" / "0.jpg"
    moved = Index.load(folder, images=tmp_path / "new").gallery.paths
    assert moved[:2] == (tmp_path / "new" / "0.jpg", tmp_path / "new" / "1.jpg")
    assert moved[-1] == Path("/elsewhere/z.jpg") and len(moved) == 50
    with pytest.raises(IndexError):
        moved[50]


def test_a_relative_path_is_found_again_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = index_of(1, paths=[Path("people/a.jpg")]).save("index").resolve()
    monkeypatch.chdir("/")
    assert list(Index.load(folder).gallery.paths) == [tmp_path / "people" / "a.jpg"]


def test_opening_reads_a_few_blocks_only(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 64)
    folder = index_of(500).save(tmp_path / "index")
    read = []
    original = files._block_sums
    monkeypatch.setattr(files, "_block_sums", lambda p, b: read.append(len(b)) or original(p, b))
    Index.load(folder)
    assert read == [8, 8, 8]
    Index.load(folder, verify=True)
    assert max(read) == -(-(folder.stat() and size_of(folder, "features.npy")) // 64)


def size_of(folder, name):
    return next(folder.glob(f"data-*/{name}")).stat().st_size


def test_changes_to_a_loaded_gallery_stay_in_memory(folder):
    before = next(folder.glob("data-*/features.npy")).read_bytes()
    Index.load(folder).gallery.features.zero_()
    assert next(folder.glob("data-*/features.npy")).read_bytes() == before


def test_a_second_save_replaces_the_first_and_leaves_nothing_behind(folder):
    old = Index.load(folder)
    new = index_of(30, seed=5)
    new.save(folder)
    same(Index.load(folder), new)
    assert len(list(folder.glob("data-*"))) == 1
    same(old, index_of(source="here"))  # its files are still open
    old.save(folder)
    same(Index.load(folder), old)
    Index.load(folder).save(folder)  # onto itself
    same(Index.load(folder, verify=True), old)
    names = {path.name for path in folder.iterdir() if not path.name.startswith("data-")}
    assert names == {"index.json", ".lock"}


def test_a_large_index_is_written_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROWS", 7)
    expected = index_of(paths=[f"{i}" for i in range(50)])
    same(Index.load(expected.save(tmp_path / "index")), expected)


# --- damage ---


def data_file(folder, name):
    return next(folder.glob(f"data-*/{name}"))


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "attributes.npy"])
def test_damaged_files_are_refused(name, folder):
    file = data_file(folder, name)
    content = file.read_bytes()
    for damaged in (content[:-1], content[:40], b"", content + b"x"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"index is damaged .*{name} has .* bytes instead of"):
            Index.load(folder)
    for place in (0, 100, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 16
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{name} was changed near byte 0, or belongs"):
            Index.load(folder)
    file.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        Index.load(folder)


def test_files_of_two_indices_are_not_mixed_up(folder, tmp_path):
    other = index_of(seed=1).save(tmp_path / "other")
    mine, theirs = data_file(folder, "features.npy"), data_file(other, "features.npy")
    shutil.copy(theirs, mine)
    with pytest.raises(ValueError, match="belongs to another index"):
        Index.load(folder)
    shutil.copy(other / "index.json", folder / "index.json")
    with pytest.raises(ValueError, match="features.npy is missing"):
        Index.load(folder)


def test_a_flipped_bit_between_the_blocks_looked_at_needs_verify(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 64)
    folder = index_of(500).save(tmp_path / "index")
    file = data_file(folder, "features.npy")
    content = bytearray(file.read_bytes())
    content[2 * 64 + 5] ^= 1
    file.write_bytes(content)
    assert len(Index.load(folder)) == 500
    with pytest.raises(ValueError, match="features.npy was changed near byte 128"):
        Index.load(folder, verify=True)


def rewrite(folder, **changes):
    """The page of an index with other values, checksum included."""
    content = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(files._as_text(content["index"] | changes))


def test_what_the_page_says_must_fit_the_files(folder):
    page = (folder / "index.json").read_text()
    rewrite(folder, attributes={"hat": ["yes"]})
    with pytest.raises(ValueError, match="different lengths"):
        Index.load(folder)
    short = data_file(folder, "labels.npy")
    np.save(short, np.zeros((2, 49), np.int64))
    (folder / "index.json").write_text(page)
    sums = json.loads(page)["index"]["files"] | {"labels.npy": files._checksums(short)}
    rewrite(folder, files=sums)
    with pytest.raises(ValueError, match="different lengths"):
        Index.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "no text"),
        (b"{", "cannot be read"),
        (b"[]", "not of an index of reidlab"),
        (b'{"scores": 1}', "not of an index of reidlab"),
        (b'{"reidlab_index": 1}', "was changed"),
        (b'{"reidlab_index": 99, "anything": 1}', r"newer reidlab \(format 99, this one reads 1\)"),
    ],
)
def test_other_pages_are_refused(content, message, folder):
    (folder / "index.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Index.load(folder)


def test_an_edited_page_is_noticed(folder):
    page = folder / "index.json"
    page.write_text(page.read_text().replace("ab12", "cd34"))
    with pytest.raises(ValueError, match="index.json was changed"):
        Index.load(folder)


def test_a_missing_index_is_named(tmp_path, folder):
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ValueError, match=f"no index at {place};"):
            Index.load(place)
    (folder / "index.json").unlink()
    with pytest.raises(ValueError, match="incomplete"):
        Index.load(folder)


def test_other_folders_are_no_index(tmp_path, folder):
    assert files.is_index(folder)
    for damage in ("{", "", '{"theirs": 1}'):  # beside data of ours
        (folder / "index.json").write_text(damage)
        assert files.is_index(folder)
    (folder / "index.json").unlink()
    assert files.is_index(folder)
    theirs = tmp_path / "crops"
    (theirs / "data-2024").mkdir(parents=True)
    (theirs / "data-2024" / "features.npy").write_text("x")
    for page in (None, "{", '{"theirs": 1}', '{"theirs": {"reidlab_index": 1}}', "[1]"):
        if page is not None:
            (theirs / "index.json").write_text(page)
        assert not files.is_index(theirs)
    (theirs / "index.json").write_text('\n{\n  "reidlab_index": 1}')
    assert files.is_index(theirs)
    (theirs / "index.json").unlink()
    with pytest.raises(ValueError, match="no index at"):
        Index.load(theirs)
    assert not files.is_index(tmp_path / "nowhere")
    assert not files.is_index(data_file(folder, "labels.npy"))


# --- another process saves meanwhile ---


@pytest.fixture
def replaced(folder, monkeypatch):
    """Index.load with saves that come after the page was read, as many as asked for."""

    def load(times, moment):
        real, saves = getattr(files, moment), []

        def meanwhile(*given):
            if len(saves) < times:
                saves.append(given)
                index_of(30, seed=len(saves)).save(folder)
            return real(*given)

        monkeypatch.setattr(files, moment, meanwhile)
        return Index.load(folder)

    return load


@pytest.mark.parametrize("moment", ["_check_file", "_block_sums", "_map"])
@pytest.mark.parametrize("times", [1, 4])
def test_an_index_that_is_replaced_while_it_opens_is_read_again(times, moment, replaced):
    if moment == "_block_sums":
        times = 1  # a save reads them, too
    same(replaced(times, moment), index_of(30, seed=times))


def test_an_index_that_is_replaced_all_the_time_is_given_up(replaced):
    with pytest.raises(ValueError, match="index is damaged .* is missing"):
        replaced(5, "_check_file")
    with pytest.raises(ValueError, match="index is damaged .*: No such file"):
        replaced(5, "_map")


def test_a_file_that_cannot_be_read_is_damage_and_tried_once(folder, monkeypatch):
    tried = []

    def failing(path):
        tried.append(path)
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(files, "_map", failing)
    with pytest.raises(ValueError, match="damaged .*features.npy: Input/output error"):
        Index.load(folder)
    assert len(tried) == 1


# --- saving where something else is, or is interrupted ---


def test_other_folders_are_not_overwritten(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="file is a file"):
        index_of().save(tmp_path / "file")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_text("x")
    with pytest.raises(ValueError, match=r"photos holds other files .* a.jpg"):
        index_of().save(photos)
    assert [path.name for path in photos.iterdir()] == ["a.jpg"]
    (photos / "a.jpg").rename(tmp_path / "a.jpg")
    (photos / "data-2024").mkdir()
    (tmp_path / "a.jpg").rename(photos / "data-2024" / "a.jpg")
    with pytest.raises(ValueError, match=r"photos holds other files .* data-2024"):
        index_of().save(photos)
    assert (photos / "data-2024" / "a.jpg").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.json").write_text('{"theirs": 1}')
    with pytest.raises(ValueError, match=r"other files .* index.json"):
        index_of().save(foreign)
    assert (foreign / "index.json").read_text() == '{"theirs": 1}'


def test_a_damaged_index_can_be_replaced(folder):
    for content in (b"{", b'{"reidlab_index": 1}', b'{"reidlab_index": 99}'):
        (folder / "index.json").write_bytes(content)
        index_of().save(folder)
        same(Index.load(folder), index_of())
        assert len(list(folder.glob("data-*"))) == 1


def test_two_writers_do_not_meet(folder):
    with only_writer(folder), pytest.raises(ValueError, match="another process is writing"):
        index_of(seed=1).save(folder)
    same(Index.load(folder), index_of(source="here"))


@pytest.mark.parametrize("moment", ["_write", "_checksums", "atomic_write"])
@pytest.mark.parametrize("reason", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_save_leaves_the_old_index(moment, reason, folder, monkeypatch):
    def stopping(*_):
        raise reason

    monkeypatch.setattr(files, moment, stopping)
    expected = KeyboardInterrupt if isinstance(reason, KeyboardInterrupt) else ValueError
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "make room"):
        index_of(seed=1).save(folder)
    monkeypatch.undo()
    same(Index.load(folder), index_of(source="here"))
    assert len(list(folder.glob("data-*"))) == 1


def test_metadata_that_cannot_be_kept_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON-like"):
        Index(make(), metadata={("a", 1): 2}).save(tmp_path / "index")
    with pytest.raises(ValueError, match="all Path or all str, got PosixPath, str"):
        index_of(2, paths=[Path("a"), "b"]).save(tmp_path / "index")
    assert not (tmp_path / "index").exists()


SAVING = """
import sys, time
import torch
import reidlab.ranking.index.files as files
from reidlab.embedding import Embeddings
from reidlab.ranking.index import Index
write = files._write
def slowly(path, array):
    write(path, array)
    print(path.name, flush=True)
    time.sleep(60)
files._write = slowly
Index(Embeddings(torch.ones(9, 8), torch.zeros(9).long(), torch.zeros(9).long())).save(sys.argv[1])
"""


def test_killed_while_saving_the_old_index_stays_and_the_rest_goes_later(folder):
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SAVING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "features.npy\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(folder.glob("data-*"))) == 2
    same(Index.load(folder), index_of(source="here"))
    index_of(seed=2).save(folder)
    assert len(list(folder.glob("data-*"))) == 1
    same(Index.load(folder), index_of(seed=2))
