"""A folder that appears complete or not at all, also when several processes make it at once."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reidlab.paths import make_folder

DAY = 24 * 3600  # seconds after which a run of another machine counts as dead


@contextmanager
def staging(folder: Path, *, keep: Callable[[], bool]) -> Iterator[Path]:
    """An empty folder beside `folder` to write into; renamed to `folder` when the block ends well.

    What was at `folder` is replaced, except when `keep` then says that it is good: another process
    was quicker, and its result stays. When the block raises, or the process is killed, `folder` is
    untouched; what a killed process left behind is removed by the next one.

    Raises:
        ValueError: the folder around `folder` cannot be written, or `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another name for the dataset's folder")
    parent = make_folder(folder.parent)
    _sweep(folder)
    work = parent / _temporary(folder)
    try:
        work.mkdir()
    except OSError as error:
        raise ValueError(
            f"cannot write into {parent} ({error.strerror}); choose a folder that you may write"
        ) from None
    try:
        yield work
        _put(work, folder, keep)
    except OSError as error:  # a full disk
        raise ValueError(
            f"cannot write {folder} ({error.strerror}); make room or choose another folder"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that either the old or the whole new file is there."""
    beside = path.with_name(f".{path.name}.part")
    with open(beside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _temporary(folder: Path) -> str:
    """Hidden name that says whose it is: `.NAME.HOST.PROCESS.RANDOM.partial`."""
    return f".{folder.name}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.partial"


def _host() -> str:
    return socket.gethostname().replace(".", "-")


def _put(work: Path, folder: Path, keep: Callable[[], bool]) -> None:
    """Rename `work` to `folder`; the old content steps aside first and is removed last."""
    for _ in range(10):
        if keep():
            return
        old = folder.with_name(_temporary(folder))
        try:
            if folder.exists():
                os.rename(folder, old)
            os.rename(work, folder)
        except OSError:  # another process renamed in between: look again
            if old.exists() and not folder.exists():
                os.rename(old, folder)
            time.sleep(0.05)
        else:
            shutil.rmtree(old, ignore_errors=True)
            return
    raise ValueError(f"cannot put the finished dataset at {folder}; is something else using it?")


def _sweep(folder: Path) -> None:
    """Remove what dead runs for the same folder left behind."""
    pattern = re.compile(re.escape(f".{folder.name}.") + r"([^.]+)\.(\d+)\.[0-9a-f]+\.partial")
    for left in folder.parent.iterdir():
        match = pattern.fullmatch(left.name)
        if match and not _alive(match[1], int(match[2]), left):
            shutil.rmtree(left, ignore_errors=True)


def _alive(host: str, process: int, left: Path) -> bool:
    """Whether the process that owns `left` may still run; one of another machine for a day."""
    try:
        if host != _host() or os.name != "posix":
            return time.time() - left.stat().st_mtime < DAY
        os.kill(process, 0)  # only asks
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    return True
