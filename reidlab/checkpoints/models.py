"""Models on disk: weights as safetensors, and a card (JSON) that says how to construct them."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.checkpoints.files import CHECKPOINT, WEIGHTS
from reidlab.data.transforms import EvalTransform
from reidlab.models.catalog import build
from reidlab.paths import atomic_write, make_folder, shipped


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
        model: Any = build(card["origin"]["model"], **card["origin"]["arguments"])
        stored, own = (each.get("classes") for each in (card["origin"], model.origin))
        if stored != own:
            raise ValueError(f"its logits mean {stored}, those of this version {own}")
        return model, preprocess
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
