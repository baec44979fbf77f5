"""Processes that change one file take turns; the system frees the lock when one of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait until no other process has its turn with `path`, then hold it: read, change, write.

    An empty hidden file stays behind beside `path`. Windows gives up after ten seconds.

    Raises:
        ValueError: the file of the lock cannot be written, or its file system has no locks.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ValueError(
            f"cannot write {beside} ({error.strerror}); choose a folder that you may write"
        ) from None
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        _wait(handle)
    except OSError as error:
        raise ValueError(
            f"cannot lock {path} ({error.strerror}); choose a folder on a local disk, or wait for "
            "the process that holds it"
        ) from None


if sys.platform == "win32":
    import msvcrt

    def _wait(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _wait(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
