"""Training runs that continue after an interruption."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reidlab.checkpoints.files import CARD, CHECKPOINT, LOG, WEIGHTS
from reidlab.checkpoints.models import load_strictly
from reidlab.paths import abandoned_parts, atomic_write, make_folder

FORMAT = 2  # of the checkpoint; raise it when its content changes

log = logging.getLogger(__name__)


class Stateful(Protocol):
    """What can be saved and continued, for instance optimisers."""

    def state_dict(self) -> Any:
        """All that is needed to continue."""
        ...

    def load_state_dict(self, state: Any, /) -> object:
        """Continue from `state`."""
        ...


@dataclass
class RunState:
    """The checkpoint of a training run in `folder`; without a folder nothing is kept.

    `identity` is everything that decides the result (settings, data, network): a checkpoint with
    another identity is refused, never mixed. Of several processes only the one that `writes`
    touches files. After `restore`, `best` holds the weights of the best epoch, if these were kept.
    """

    folder: Path | None
    identity: dict[str, Any]
    saved: dict[str, Any] | None = None
    processes: int = 1
    writes: bool = True
    best: dict[str, Tensor] | None = None

    @classmethod
    def open(
        cls,
        folder: Path | None,
        identity: dict[str, Any],
        restart: bool = False,
        *,
        processes: int = 1,
        writes: bool = True,
    ) -> RunState:
        """The run in `folder`, continued when it was interrupted, unless `restart`.

        Args:
            folder: of the run; None keeps nothing.
            identity: plain values.
            restart: begin anew, whatever lies there.
            processes: how many train together.
            writes: whether this one writes; it has to open the run before the others do.

        Raises:
            ValueError: the folder cannot be written; its checkpoint is damaged or of another run.
        """
        identity = json.loads(json.dumps(identity, default=str))
        if folder is None:
            return cls(None, identity)
        folder = make_folder(folder)
        file = folder / CHECKPOINT
        if writes:
            _clean(folder, restart)
        if not file.exists():
            return cls(folder, identity, None, processes, writes)
        saved = read_checkpoint(file)
        if differences := _differences(saved["identity"], identity):
            shown = "\n  ".join(differences[:8])
            raise ValueError(
                f"{file} belongs to another run; choose another folder, or overwrite it "
                f"(restart=True, --restart):\n  {shown}"
            )
        if saved["processes"] != processes and writes:
            log.warning(
                "%s was trained by %d processes, now there are %d: batch statistics and random "
                "layers differ from here on", folder, saved["processes"], processes,
            )  # fmt: skip
        return cls(folder, identity, saved, processes, writes)

    def restore(
        self, modules: Mapping[str, nn.Module], optimizers: Stateful
    ) -> list[dict[str, float]]:
        """Fill modules and optimisers from the checkpoint, if there is one; the rows so far.

        Raises:
            ValueError: the checkpoint is of another network.
        """
        if self.saved is None:
            return []
        for name, module in modules.items():
            load_strictly(module, self.saved["modules"][name], str(self.folder))
        optimizers.load_state_dict(self.saved["optimizers"])
        rows, self.best = list(self.saved["rows"]), self.saved.get("best")
        self.saved = None  # as large as network and optimisers together
        return rows

    def save(
        self,
        modules: Mapping[str, nn.Module],
        optimizers: Stateful,
        rows: list[dict[str, float]],
        log: str,
        best: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Write log and checkpoint. The log goes first: a checkpoint never lacks its row there.

        Args:
            modules: what learns, by name.
            optimizers: of all of them.
            rows: the log so far.
            log: the same as text.
            best: weights of the best epoch, where these are kept apart.
        """
        if self.folder is None or not self.writes:
            return
        buffer = io.BytesIO()
        content = {
            "format": FORMAT,
            "identity": self.identity,
            "processes": self.processes,
            "modules": {name: module.state_dict() for name, module in modules.items()},
            "optimizers": optimizers.state_dict(),
            "rows": rows,
            "best": best,
        }
        torch.save(content, buffer)
        atomic_write(self.folder / LOG, log)
        atomic_write(self.folder / CHECKPOINT, buffer.getvalue())


def _clean(folder: Path, restart: bool) -> None:
    """Remove what a killed run left half-written; with `restart`, all that the old run left."""
    for leftover in abandoned_parts(folder):
        leftover.unlink(missing_ok=True)
    if restart:  # nothing of the old run may pass for a result of the new one
        results = [folder / name for name in (CHECKPOINT, LOG, WEIGHTS, CARD)]
        for path in (*results, *folder.glob("scores*.json")):
            path.unlink(missing_ok=True)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a training checkpoint.

    Raises:
        ValueError: it is cut short, no checkpoint, or asks to execute code.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"checksum of {damaged}")
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way, or asks to run code
        raise ValueError(
            f"{file} is damaged or no checkpoint of reidlab ({type(error).__name__}); "
            "delete it to start again"
        ) from None
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise ValueError(f"{file} is no checkpoint of this version of reidlab; delete it")
    return saved


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], of: str = "") -> list[str]:
    """Lines on the settings that differ; of settings within settings, those alone."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        there, here = old.get(key), new.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            lines += _differences(there, here, f"{of}{key}: ")
        elif there != here:
            lines.append(f"{of}{key}: there {there!r}, here {here!r}")
    return lines
