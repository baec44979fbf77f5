"""The log for TensorBoard: every number of a row, as a curve over epochs."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
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
        installed = importlib.util.find_spec("tensorboard") is not None
        if wanted and not installed:
            raise ValueError(
                "tensorboard=True, but TensorBoard is not installed; pip install tensorboard"
            )
        if out is not None and first_epoch == 1:
            shutil.rmtree(out / FOLDER, ignore_errors=True)
        if out is None or wanted is False or not installed:
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
