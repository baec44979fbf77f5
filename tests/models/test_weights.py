"""What may lie at the path of a weights file, and what the reader says about it."""

import argparse
import pickle
import sys
import types
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from reidlab.models.weights import NeedsCodeError, read_weights

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}


@pytest.fixture
def network(monkeypatch):
    """An instance of a class that only the project which saved it has."""
    module = types.ModuleType("modeling.baseline")
    monkeypatch.setitem(sys.modules, "modeling", types.ModuleType("modeling"))
    monkeypatch.setitem(sys.modules, "modeling.baseline", module)

    class Theirs(nn.Linear):
        pass

    Theirs.__module__, Theirs.__qualname__ = "modeling.baseline", "Theirs"
    module.Theirs = Theirs
    return Theirs(3, 2)


def legacy(content, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the source of a pickled network
        torch.save(content, file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [torch.save, legacy, save_file])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin"])
def test_each_format_is_told_by_its_content(tmp_path, write, name):
    write(STATE, tmp_path / name)
    found = read_weights(str(tmp_path / name))
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("write", [torch.save, legacy])
@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: {"epoch": 3, "net": n}])
def test_a_pickled_network_is_refused_with_the_name_it_asks_for(tmp_path, network, write, wrap):
    write(wrap(network), tmp_path / "w.pth")
    with pytest.raises(NeedsCodeError, match=r"modeling\.baseline\.Theirs") as caught:
        read_weights(tmp_path / "w.pth")
    message = str(caught.value)
    assert "never executes code" in message and "torch.save(model.state_dict()" in message
    assert "weights_only" not in message and str(tmp_path / "w.pth") in message


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def old_pickle(content, file):
    file.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("write", [torch.save, legacy, old_pickle])
def test_nothing_is_executed(tmp_path, capsys, write):
    write({"a": Evil(), **({} if write is old_pickle else STATE)}, tmp_path / "w.pth")
    with pytest.raises(NeedsCodeError, match="print"):
        read_weights(tmp_path / "w.pth")
    assert capsys.readouterr().out == ""


def test_options_that_need_code_are_named(tmp_path):
    torch.save({"model": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    with pytest.raises(NeedsCodeError, match=r"argparse\.Namespace"):
        read_weights(tmp_path / "w.pth")


def test_other_pickles_are_refused(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": STATE["a.bias"].numpy()}, protocol=4))
    with pytest.raises(NeedsCodeError, match="only be read by executing it"):
        read_weights(tmp_path / "w.pkl")


def test_a_torchscript_program_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        for name in ("w/data.pkl", "w/constants.pkl", "w/code/a.py"):
            archive.writestr(name, b"")
    with pytest.raises(NeedsCodeError, match="TorchScript program"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("write", [torch.save, legacy, save_file])
@pytest.mark.parametrize("kept", [0.01, 0.04, 0.2, 0.5, 0.9, -1])
def test_a_file_cut_short_is_called_so(tmp_path, write, kept):
    file = tmp_path / "w.pth"
    write(STATE | {"b": torch.zeros(1000)}, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept) if kept > 0 else kept])
    with pytest.raises(ValueError, match="is cut short") as caught:
        read_weights(file)
    assert not isinstance(caught.value, NeedsCodeError) and "weights_only" not in str(caught.value)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"<html><head>", "is a web page"),
        (POINTER, "pointer of Git LFS.*git lfs pull"),
        (b"Not Found", "holds text that begins with 'Not Found'"),
        (b'{"error": "quota"}', "holds text"),
        (b"\x1f\x8b\x08\x00", "is a gzip archive; unpack"),
        (b"\x00\x01\x02\xff" * 9, "holds no weights"),
        (b"PK\x03\x04 not more", "is cut short or damaged"),
    ],
)
def test_what_is_no_weights_file_is_called_by_its_name(tmp_path, content, message):
    file = tmp_path / "w.pth"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_weights(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", [b"garbage", b"\xff" * 40, save(STATE)[:-4], b"<html></html>"])
def test_a_damaged_safetensors_file_is_called_so(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="cut short or damaged|is a web page"):
        read_weights(tmp_path / "w.safetensors")


def test_an_ordinary_zip_archive_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(ValueError, match="zip archive without PyTorch weights; unpack"):
        read_weights(tmp_path / "w.zip")


def test_missing_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match="no weights file at .*none.pth"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(ValueError, match="is a folder; expected a weights file"):
        read_weights(tmp_path)


def test_a_lone_tensor_is_no_state_dict(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="holds Tensor, expected a state dict"):
        read_weights(tmp_path / "w.pth")


def test_a_damaged_middle_is_called_so(tmp_path):
    torch.save(STATE, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    del parts["w/data/0"]
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(ValueError, match="is damaged .*fetch it again"):
        read_weights(tmp_path / "w.pth")
