"""Folders, files that appear whole or not at all, and the device to compute on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent


def in_checkout() -> bool:
    """True when the package runs from a clone of the repository, not from an installed wheel."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "notebooks").is_dir()


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder below which datasets and caches lie.

    The first that is given wins: the argument, the environment variable `REIDLAB_DATA`, the
    checkout's `data/`, the user's cache folder. Never the current folder.
    """
    if root is not None:
        return Path(root).expanduser().resolve()
    if from_environment := os.environ.get("REIDLAB_DATA"):
        return Path(from_environment).expanduser().resolve()
    if in_checkout():
        return CHECKOUT / "data"
    import platformdirs

    return Path(platformdirs.user_cache_dir("reidlab"))


def shipped(name: str) -> Path | None:
    """A file that travels with the package: the checkout's `data/NAME`, else the wheel's copy."""
    folder = CHECKOUT / "data" if in_checkout() else PACKAGE / "assets"
    return folder / name if (folder / name).exists() else None


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """`folder`, created when missing, proven to be writable.

    Raises:
        ValueError: it is a file, or it cannot be created or written.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"{folder} is in the way: expected a folder, found a file") from None
    except OSError as error:
        raise ValueError(
            f"cannot create the folder {folder} ({error.strerror}); choose one that you may write"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write into {folder}; choose a folder that you may write")
    return folder


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that either the old or the whole new file is there.

    Raises:
        ValueError: the folder cannot be written.
    """
    with whole_file(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write; it becomes `path` when the block ends well, else it goes.

    Raises:
        ValueError: it cannot be written.
    """
    beside = path.with_name(f".{path.name[:60]}.{os.getpid()}.part")
    try:
        yield beside
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise ValueError(
            f"cannot write {path} ({error.strerror or error}); make room or choose another folder"
        ) from None
    finally:
        with suppress(OSError):  # the folder may be no folder
            beside.unlink()


def abandoned_parts(folder: Path) -> list[Path]:
    """What killed processes of this machine left half-written in `folder`."""
    parts = [(path, path.name.split(".")[-2]) for path in folder.glob(".*.*.part")]
    return [path for path, process in parts if process.isdigit() and not _alive(int(process))]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # only asks
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return process != os.getpid()


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, else CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: no such device on this machine.
    """
    import torch

    if device is not None:
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"device {str(device)!r} cannot be used here ({reason}); choose cpu, cuda, cuda:1 "
                "or mps, or none for the best there is"
            ) from None
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
