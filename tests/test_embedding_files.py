import builtins
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlab.embedding import (
    Embeddings,
    check_target,
    common_folder,
    load_embeddings,
    read_metadata,
    save_blocks,
    save_embeddings,
)

pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SUFFIXES = (".parquet", ".npz")
both = pytest.mark.parametrize("suffix", SUFFIXES)


def make(n=5, width=3, **fields):
    features = torch.arange(n * width, dtype=torch.float32).reshape(n, width) / 7 - 1
    pids, camids = torch.arange(n) - 1, torch.arange(n) % 2 + 1
    return Embeddings(features, pids, camids, **fields)


def with_paths(folder, n=5, **fields):
    return make(n, paths=[folder / "query" / f"{i}_é.jpg" for i in range(n)], **fields)


def assert_same(found, expected):
    assert torch.equal(found.features, expected.features)
    assert found.features.dtype == torch.float32
    assert torch.equal(found.pids, expected.pids) and torch.equal(found.camids, expected.camids)
    assert found.paths == expected.paths and found.source == expected.source


@both
def test_what_was_saved_is_loaded(suffix, tmp_path):
    expected = with_paths(tmp_path / "market", source="market")
    file = save_embeddings(tmp_path / "new" / f"f{suffix}", expected, metadata={"flip": True})
    assert file == tmp_path / "new" / f"f{suffix}"
    assert_same(load_embeddings(str(file)), expected)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@both
@pytest.mark.parametrize("paths", [(), ("a.jpg", "http://x//b c.jpg")])
def test_strings_stay_strings_and_no_paths_stay_none(suffix, paths, tmp_path):
    expected = make(2, paths=paths)
    assert_same(load_embeddings(save_embeddings(tmp_path / f"f{suffix}", expected)), expected)


@both
def test_no_images_keep_their_width(suffix, tmp_path):
    found = load_embeddings(save_embeddings(tmp_path / f"f{suffix}", make(0, 4)))
    assert found.features.shape == (0, 4) and found.paths == ()


@both
def test_half_and_double_precision_become_float32(suffix, tmp_path):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        features = torch.tensor([[0.1, -2.0]], dtype=dtype)
        file = save_embeddings(tmp_path / f"f{suffix}", Embeddings(features, [1], [1]))
        assert torch.equal(load_embeddings(file).features, features.float())
    with pytest.raises(ValueError, match="beyond the range of float32"):
        save_embeddings(file, Embeddings(np.array([[1e300]]), [1], [1]))


def test_pandas_alone_reads_parquet(tmp_path):
    expected = with_paths(tmp_path / "market")
    table = pd.read_parquet(save_embeddings(tmp_path / "f.parquet", expected))
    assert list(table.columns) == ["path", "pid", "camid", "feature"]
    assert table["pid"].tolist() == expected.pids.tolist()
    assert table["camid"].tolist() == expected.camids.tolist()
    assert table["path"].tolist() == [path.name for path in expected.paths]
    features = np.stack(table["feature"].to_list())
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, expected.features.numpy())
    kind = pq.read_schema(tmp_path / "f.parquet").field("feature").type
    assert str(kind).startswith("fixed_size_list") and kind.list_size == 3


def test_numpy_alone_reads_npz(tmp_path):
    expected = with_paths(tmp_path / "market")
    with np.load(save_embeddings(tmp_path / "f.npz", expected)) as file:
        assert sorted(file.files) == ["camid", "feature", "metadata", "path", "pid"]
        np.testing.assert_array_equal(file["feature"], expected.features.numpy())
        assert file["pid"].tolist() == expected.pids.tolist()
        assert file["camid"].tolist() == expected.camids.tolist()
        assert file["path"].tolist() == [path.name for path in expected.paths]
        assert json.loads(str(file["metadata"]))["paths"] == "files"


@both
def test_paths_are_relative_to_their_folder_and_follow_it(suffix, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    elsewhere = tmp_path / "elsewhere" / "b.jpg"
    made = make(2, paths=[old / "query" / "a.jpg", elsewhere])
    file = save_embeddings(tmp_path / f"f{suffix}", made, folder=old)
    assert read_metadata(file)["folder"] == str(old)
    assert load_embeddings(file).paths == (old / "query" / "a.jpg", elsewhere)
    assert load_embeddings(file, folder=new).paths == (new / "query" / "a.jpg", elsewhere)


def test_a_relative_path_is_found_again_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = save_embeddings("f.npz", make(1, paths=[Path("people/a.jpg")])).resolve()
    monkeypatch.chdir("/")
    assert load_embeddings(file).paths == (tmp_path / "people" / "a.jpg",)


def test_the_common_folder_is_the_deepest_that_holds_all(tmp_path):
    assert common_folder([tmp_path / "a" / "b" / "1.jpg", tmp_path / "a" / "c" / "2.jpg"]) == (
        tmp_path / "a"
    )
    assert common_folder([tmp_path / "ab" / "1.jpg", tmp_path / "ac" / "1.jpg"]) == tmp_path
    assert common_folder([]) is None


@both
def test_metadata_come_back_as_json(suffix, tmp_path):
    given = {"model": {"name": "small", "path": Path("run")}, "size": (128, 64), "flip": False}
    found = read_metadata(
        save_embeddings(tmp_path / f"f{suffix}", make(source="here"), metadata=given)
    )
    assert found["model"] == {"name": "small", "path": "run"}
    assert found["size"] == [128, 64] and found["flip"] is False and found["source"] == "here"
    assert found["created_by"].startswith("reidlab ")
    assert found["versions"]["torch"] == torch.__version__
    with pytest.raises(ValueError, match="may not be named folder, source"):
        save_embeddings(tmp_path / f"f{suffix}", make(), metadata={"source": 1, "folder": 2})


@both
def test_blocks_make_one_file(suffix, tmp_path):
    whole = with_paths(tmp_path / "market", 7, source="market")
    blocks = (whole[start : start + 3] for start in range(0, 7, 3))
    file = save_blocks(tmp_path / f"f{suffix}", blocks, folder=tmp_path)
    assert_same(load_embeddings(file), whole)


def test_parquet_is_written_as_blocks_arrive(tmp_path):
    sizes = []

    def blocks():
        for _ in range(3):
            yield make(2000, 32)
            parts = list(tmp_path.glob(".f.parquet.*.part"))
            sizes.append(parts[0].stat().st_size if parts else 0)

    file = save_blocks(tmp_path / "f.parquet", blocks())
    groups = pq.ParquetFile(file).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [2000] * 3
    assert sizes[0] < sizes[1] < sizes[2] and sizes[1] > 10_000


def test_a_large_set_is_cut_into_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("reidlab.embedding.files.BLOCK", 2)
    file = save_embeddings(tmp_path / "f.parquet", make(5))
    assert pq.ParquetFile(file).num_row_groups == 3
    assert_same(load_embeddings(file), make(5))


@both
def test_bad_blocks_are_refused_and_leave_the_old_file(suffix, tmp_path):
    file = save_embeddings(tmp_path / f"f{suffix}", make())
    for blocks, message in (
        ([make(2, 3), make(2, 4)], "width 3 in all blocks, got 4"),
        ([make(2), with_paths(tmp_path, 2)], "one kind in all blocks"),
        ([], "at least one block"),
        ([make(2, 0)], "width 0"),
        ([make(2, paths=[Path("a"), "b"])], "all Path or all str, got PosixPath, str"),
        ([make(1, paths=[3])], "all Path or all str, got int"),
        ([make(1, paths=["\udcff.jpg"])], "not valid Unicode"),
    ):
        with pytest.raises(ValueError, match=message):
            save_blocks(file, blocks)
    assert_same(load_embeddings(file), make())
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@both
def test_interrupted_nothing_is_left_behind(suffix, tmp_path):
    def blocks():
        yield make()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_blocks(tmp_path / f"f{suffix}", blocks())
    assert list(tmp_path.iterdir()) == []


def test_wrong_targets_are_refused_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="ends in .parquet or .npz"):
        check_target(tmp_path / "f.csv")
    (tmp_path / "g.npz").mkdir()
    with pytest.raises(ValueError, match="g.npz is a folder"):
        check_target(tmp_path / "g.npz")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="found a file"):
        check_target(tmp_path / "file" / "f.npz")
    real = builtins.__import__

    def without_pyarrow(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        check_target(tmp_path / "f.parquet")
    assert check_target(tmp_path / "f.npz") == tmp_path / "f.npz"


@both
def test_missing_files_are_named(suffix, tmp_path):
    for read in (load_embeddings, read_metadata):
        with pytest.raises(ValueError, match=f"no file of embeddings at .*f{suffix}"):
            read(tmp_path / f"f{suffix}")


@both
@pytest.mark.parametrize("kept", [0, 3, 50, 0.5, 0.98])
def test_truncated_files_are_refused(suffix, kept, tmp_path):
    file = save_embeddings(tmp_path / f"f{suffix}", make(50, 8))
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    for read in (load_embeddings, read_metadata):
        with pytest.raises(ValueError, match=f"f{suffix}.*(damaged|not written)"):
            read(file)


@both
def test_a_flipped_bit_among_the_features_is_noticed(suffix, tmp_path):
    made = Embeddings(
        torch.rand(500, 16, generator=torch.Generator().manual_seed(0)), [1] * 500, [1] * 500
    )
    file = save_embeddings(tmp_path / f"f{suffix}", made)
    content = bytearray(file.read_bytes())
    middle = content.index(made.features[250].numpy().tobytes()) if suffix == ".npz" else 15_000
    content[middle] ^= 4
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load_embeddings(file)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_pickles_are_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Bomb()], dtype=object)
    ours = {"reidlab_embeddings": 1, "paths": "none", "folder": "", "source": ""}
    np.savez("a.npz", path=objects, pid=[1], camid=[1], feature=[[1.0]], metadata=json.dumps(ours))
    np.savez("b.npz", path=["a"], pid=[1], camid=[1], feature=[[1.0]], metadata=objects)
    Path("c.npz").write_bytes(pickle.dumps(Bomb()))
    Path("d.parquet").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npz", "b.npz", "c.npz", "d.parquet"):
        with pytest.raises(ValueError, match=f"{name} is damaged or holds no embeddings"):
            load_embeddings(name)
    assert not Path("exploded").exists()


def test_files_of_others_are_refused(tmp_path):
    names = {"path": ["a"], "pid": [1], "camid": [1]}
    pd.DataFrame(names | {"feature": [[1.0]]}).to_parquet(tmp_path / "pandas.parquet")
    np.savez(tmp_path / "numpy.npz", **names, feature=[[1.0]], metadata="{}")
    np.savez(tmp_path / "other.npz", x=[1])
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("metadata.npy", "no array")
    for name in ("pandas.parquet", "numpy.npz", "other.npz", "array.npz", "zip.npz"):
        for read in (load_embeddings, read_metadata):
            with pytest.raises(ValueError, match=name):
                read(tmp_path / name)


def ours(version=1):
    return {"reidlab_embeddings": version, "paths": "none", "folder": "", "source": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature": np.ones((2, 3), np.float64)}, "found feature float64"),
        ({"feature": np.ones((1, 3), np.float32)}, r"found feature float32 \(1, 3\)"),
        ({"feature": np.ones(2, np.float32)}, "found feature"),
        ({"feature": np.float32(1)}, "found feature"),
        ({"pid": np.array([1.0, 2.0])}, "found pid float64"),
        ({"camid": np.ones((2, 1), np.int64)}, "found camid int64"),
        ({"path": np.array([b"a", b"b"])}, "found path"),
        ({"feature": np.array([[1], [np.nan]], np.float32)}, "NaN or infinity in 1 of 2"),
        ({"metadata": np.array(json.dumps(ours(2)))}, "format 2, this version reads 1"),
        ({"metadata": np.array("[1]")}, "no metadata of ours"),
        ({"metadata": np.array('{"reidlab_embeddings": 1}')}, "f.npz was not written"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message, tmp_path):
    arrays = {
        "path": np.array(["a", "b"]),
        "pid": np.array([1, 2]),
        "camid": np.array([1, 1]),
        "feature": np.ones((2, 3), np.float32),
        "metadata": np.array(json.dumps(ours())),
    }
    np.savez(tmp_path / "f.npz", **arrays)
    assert len(load_embeddings(tmp_path / "f.npz")) == 2
    np.savez(tmp_path / "f.npz", **(arrays | change))
    with pytest.raises(ValueError, match=message):
        load_embeddings(tmp_path / "f.npz")


def test_parquet_columns_that_do_not_fit_are_refused(tmp_path):
    import pyarrow as pa

    file = tmp_path / "f.parquet"
    for types in ({"pid": "int32"}, {"feature": pa.list_(pa.float32())}, {"extra": "int64"}):
        kinds = {"path": "string", "pid": "int64", "camid": "int64"}
        kinds |= {"feature": pa.list_(pa.float32(), 2)} | types
        schema = pa.schema(list(kinds.items()), metadata={"reidlab": json.dumps(ours())})
        row = {"path": "a", "pid": 1, "camid": 1, "feature": [1.0, 2.0], "extra": 1}
        pq.write_table(pa.Table.from_pylist([row], schema=schema), file)
        with pytest.raises(ValueError, match="f.parquet was not written.*found columns path"):
            load_embeddings(file)
