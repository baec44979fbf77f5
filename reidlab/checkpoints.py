"""Weights on disk: models with their cards, and runs that continue after an interruption.

Every file is written beside its final name and moved there in one step, so that a reader never
meets half a file. Nothing that is read may execute code: safetensors, JSON, `weights_only`.
"""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.catalog import build
from reidlab.paths import make_folder, shipped

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
WEIGHTS, CARD = "model.safetensors", "model.json"
FORMAT = 1


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that either the old or the whole new file is there.

    Raises:
        ValueError: the folder cannot be written.
    """
    content = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise ValueError(
            f"cannot write {path} ({error.strerror}); make room or choose another folder"
        ) from None
    finally:
        beside.unlink(missing_ok=True)


@dataclass
class RunState:
    """The checkpoint of a training run in `folder`; without a folder nothing is kept.

    `identity` is everything that decides the result (settings, data, network): a checkpoint with
    another identity is refused, never mixed.
    """

    folder: Path | None
    identity: dict[str, Any]
    saved: dict[str, Any] | None = None

    @classmethod
    def open(cls, folder: Path | None, identity: dict[str, Any], restart: bool = False) -> RunState:
        """The run in `folder`, continued when it was interrupted, unless `restart`.

        Raises:
            ValueError: the folder cannot be written; its checkpoint is damaged or of another run.
        """
        identity = json.loads(json.dumps(identity, default=str))
        if folder is None:
            return cls(None, identity)
        folder = make_folder(folder)
        file = folder / CHECKPOINT
        for leftover in folder.glob(".*.part"):  # of a run that was killed while writing
            leftover.unlink(missing_ok=True)
        if restart:  # nothing of the old run may pass for a result of the new one
            for name in (CHECKPOINT, LOG, WEIGHTS, CARD):
                (folder / name).unlink(missing_ok=True)
        if not file.exists():
            return cls(folder, identity)
        saved = read_checkpoint(file)
        if differences := _differences(saved["identity"], identity):
            shown = "\n  ".join(differences[:8])
            raise ValueError(
                f"{file} belongs to another run; choose another folder, or overwrite it "
                f"(restart=True, --restart):\n  {shown}"
            )
        return cls(folder, identity, saved)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
        """Fill network and optimiser from the checkpoint, if there is one; the rows logged so far.

        Raises:
            ValueError: the checkpoint is of another network.
        """
        if self.saved is None:
            return []
        where = str(self.folder)
        load_strictly(model, self.saved["model"], where)
        kernels = [group.get("fused") for group in optimizer.param_groups]
        optimizer.load_state_dict(self.saved["optimizer"])
        for group, fused in zip(optimizer.param_groups, kernels, strict=True):
            group["fused"] = fused  # what this device has, not the one that saved
        return list(self.saved["rows"])

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        rows: list[dict[str, float]],
        log: str,
    ) -> None:
        """Write log and checkpoint. The log goes first: a checkpoint never lacks its row there."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        content = {
            "format": FORMAT,
            "identity": self.identity,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rows": rows,
        }
        torch.save(content, buffer)
        atomic_write(self.folder / LOG, log)
        atomic_write(self.folder / CHECKPOINT, buffer.getvalue())


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a training checkpoint.

    Raises:
        ValueError: it is cut short, no checkpoint, or asks to execute code.
    """
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way, or asks to run code
        raise ValueError(
            f"{file} is damaged or no checkpoint of reidlab ({type(error).__name__}); "
            "delete it to start again"
        ) from None
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise ValueError(f"{file} is no checkpoint of this version of reidlab; delete it")
    return saved


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    keys = sorted(old.keys() | new.keys())
    changed = [key for key in keys if old.get(key) != new.get(key)]
    return [f"{key}: there {old.get(key)!r}, here {new.get(key)!r}" for key in changed]


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Fill `model` from `state`; every key and every shape must agree.

    Raises:
        ValueError: lists what is missing, unknown or of another shape.
    """
    own = model.state_dict()
    problems = [f"missing {key}" for key in own.keys() - state.keys()]
    problems += [f"unknown {key}" for key in state.keys() - own.keys()]
    problems += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]
    if problems:
        shown = "\n  ".join([*sorted(problems)[:8], *(["..."] if problems[8:] else [])])
        raise ValueError(f"{where} holds another network than {type(model).__name__}:\n  {shown}")
    model.load_state_dict(dict(state))


def save_model(path: Path | str, model: nn.Module, card: Mapping[str, Any]) -> Path:
    """Write weights (safetensors) and card (JSON) side by side; the path of the weights.

    Args:
        path: a folder, or a file that ends in ".safetensors".
        model: knows its own constructor (`origin`) and its `preprocess`.
        card: recipe, seed, data fingerprint, scores, ...; versions are added.

    Raises:
        ValueError: the model does not say how it was constructed, or the folder cannot be written.
    """
    from safetensors.torch import save

    file = _weights_file(Path(path))
    make_folder(file.parent)
    origin = card.get("origin") or getattr(model, "origin", None)
    if not origin:
        raise ValueError(
            f"{type(model).__name__} does not say how to construct it; set model.origin = "
            "{'model': NAME, 'arguments': {...}} or construct it by a named function"
        )
    preprocess: Any = model.preprocess
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    content = {"origin": origin, "preprocess": vars(preprocess), "versions": versions, **card}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    atomic_write(file, save(tensors))
    text = json.dumps(content, indent=2, default=str)
    atomic_write(file.with_suffix(".json"), text + "\n")
    return file


def load_model(path_or_name: Path | str) -> tuple[nn.Module, EvalTransform]:
    """A network in eval mode and the preprocessing that belongs to its weights.

    Args:
        path_or_name: a run's folder, a ".safetensors" file, or the name of a shipped checkpoint.

    Raises:
        ValueError: no such model; weights or card are missing, damaged or disagree.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = _find(path_or_name)
    card = read_card(file)
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is damaged ({error}); save or fetch it again") from None
    model, preprocess = _construct(card, file)
    load_strictly(model, state, str(file))
    model.preprocess = preprocess  # pyright: ignore[reportArgumentType]
    return model.eval(), preprocess


def _construct(card: dict[str, Any], file: Path) -> tuple[nn.Module, EvalTransform]:
    """The network that a card describes, and its preprocessing."""
    try:
        preprocess = EvalTransform(**card["preprocess"])
        return build(card["origin"]["model"], **card["origin"]["arguments"]), preprocess
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card beside {file} is damaged ({error}); save it again") from None


def read_card(path: Path | str) -> dict[str, Any]:
    """The card beside the weights at `path` (a run's folder or a weights file).

    Raises:
        ValueError: it is missing or no card.
    """
    file = _find(path).with_suffix(".json")
    try:
        card = json.loads(file.read_text())
        _ = card["origin"]["model"], card["origin"]["arguments"], card["preprocess"]
    except FileNotFoundError:
        raise ValueError(f"{file} is missing: weights are only readable with their card") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is no model card of reidlab; save the model again") from None
    return card


def _weights_file(path: Path) -> Path:
    path = path.expanduser()
    return path if path.suffix == ".safetensors" else path / WEIGHTS


def _find(path_or_name: Path | str) -> Path:
    path = Path(path_or_name).expanduser()
    file = _weights_file(path)
    if file.is_file():
        return file
    if path.is_dir() and (path / CHECKPOINT).is_file():
        raise ValueError(
            f"{path} holds a training run that did not finish; start the same training command "
            "again, it continues where it stopped"
        )
    if named := shipped(f"checkpoints/{path}.safetensors"):
        return named
    raise ValueError(
        f"no model at {path}: expected a run's folder with {WEIGHTS}, a .safetensors file, or the "
        "name of a shipped checkpoint"
    )
