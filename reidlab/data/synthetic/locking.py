"""One writer per folder, also after a crash: the system frees the lock when a process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reidlab.paths import make_folder

LOCK = ".lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold `folder`, created when missing; a second process is refused, not kept waiting.

    An empty file `.lock` stays behind; it says nothing about who is running.

    Raises:
        ValueError: another process holds it, or it cannot be written or locked.
    """
    handle = _open(make_folder(folder) / LOCK)
    try:
        try:
            _lock(handle)
        except (BlockingIOError, PermissionError):
            raise ValueError(
                f"another process is writing into {folder}; wait for it, stop it, or choose "
                "another folder"
            ) from None
        except OSError as error:
            raise ValueError(
                f"{folder} lies on a file system without locks ({error.strerror}); choose a "
                "folder on a local disk and copy it afterwards"
            ) from None
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ValueError(
            f"cannot write {path} ({error.strerror}); choose a folder that you may write"
        ) from None


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
