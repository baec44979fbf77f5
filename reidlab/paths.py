"""Folders, files that appear whole or not at all, the device to compute on and its memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
CGROUP = Path("/sys/fs/cgroup")


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


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take on `device`, within a container's limit, too."""
    import psutil
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    limit = memory_limit(control_groups())
    return free if limit is None else min(free, limit - psutil.Process().memory_info().rss)


def control_groups(root: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> list[Path]:
    """Folders that may limit this process: its own control group, those above it, and `root`."""
    lines = [line.partition("::")[2] for line in read_setting(own).splitlines() if "::" in line]
    below = Path(lines[0].strip("/")) if lines else Path()
    return [root / part for part in (below, *below.parents) if ".." not in part.parts]


def memory_limit(folders: Sequence[Path]) -> int | None:
    """Bytes that the smallest limit in `folders` allows, `None` without one (cgroup 2, then 1)."""
    texts = [read_setting(folder / "memory.max") for folder in folders]
    texts.append(read_setting(folders[-1] / "memory" / "memory.limit_in_bytes"))
    limits = [int(text) for text in texts if text.isdigit()]
    smallest = min(limits, default=None)
    return None if smallest is None or smallest > 2**60 else smallest  # a huge one means none


def read_setting(path: Path) -> str:
    """The text of a small system file, empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def readable(count: float) -> str:
    """Bytes for people: `74.1 GB`, powers of 1000."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
