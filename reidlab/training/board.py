"""The log for TensorBoard: every number of a row, as a curve over epochs."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class Board:
    """Writes rows for TensorBoard into `folder`; without one, nowhere.

    Args:
        folder: of the log.
        first_epoch: epoch, from 1, that comes next: what an interrupted run logged later is hidden.
    """

    def __init__(self, folder: Path | None = None, first_epoch: int = 1) -> None:
        self.folder, self.first_epoch = folder, first_epoch
        self.writer: Any = None

    @classmethod
    def open(cls, out: Path | None, wanted: bool | None, first_epoch: int) -> Board:
        """The log of the run in `out`, when wanted, or when nothing is said and it is possible.

        A run that begins anew removes the log of the one before.

        Raises:
            ValueError: it is wanted, but TensorBoard is not installed.
        """
        check_wanted(wanted)
        if out is not None and first_epoch == 1:
            for old in (out / FOLDER).glob("events.out.tfevents.*"):
                old.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: somebody else's files
                (out / FOLDER).rmdir()
        if out is None or wanted is False or not is_installed():
            return cls()
        return cls(out / FOLDER, first_epoch)

    def add(self, row: Mapping[str, float]) -> None:
        """One point per column at the row's epoch, visible at once."""
        if self.folder is None:
            return
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder), purge_step=self.first_epoch)
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()


def check_wanted(wanted: bool | None) -> None:
    """Raise `ValueError` when a log is wanted and TensorBoard is not installed."""
    if wanted and not is_installed():
        raise ValueError(
            "tensorboard=True, but TensorBoard is not installed; pip install tensorboard"
        )


def is_installed() -> bool:
    """Whether TensorBoard is there; it is not imported."""
    return importlib.util.find_spec("tensorboard") is not None
