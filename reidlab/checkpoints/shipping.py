"""A trained model made ready to travel with the package: small, and without traces of a machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reidlab.checkpoints.models import load_model, read_card
from reidlab.paths import atomic_write, make_folder

PRIVATE = ("out", "device", "restart", "in_memory", "tensorboard")  # of the training's settings


def ship_model(run: Path | str, name: str, folder: Path | str) -> Path:
    """Copy a model in half precision, with its card; the path of the weights.

    Half precision keeps three decimal digits of each weight in half the space.

    Args:
        run: a finished training run: its folder or weights file.
        name: of the checkpoint: `load_model(name)`.
        folder: where it goes, in a checkout `data/checkpoints`.

    Raises:
        ValueError: there is no finished run or it is damaged, its card names places on this
            machine, so that nobody else could tell what it learnt from, a name that is none, or the
            folder cannot be written.
    """
    from safetensors.torch import save

    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"expected a name of letters, digits, _ and -, got {name!r}")
    model, _ = load_model(run)
    card = _public(read_card(run))
    if private := [text for text in _texts(card) if re.match(r"[/\\~]|\w:[/\\]", text)]:
        raise ValueError(
            f"the card of {run} names {private[0]}, a place on this machine; train on a dataset "
            "that has a name, such as synthetic with a variant, and from weights that have one"
        )
    if "read" not in card.get("data", {}):
        raise ValueError(f"the card of {run} does not say what it was trained on")
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in model.state_dict().items()
    }
    file = make_folder(folder) / f"{name}.safetensors"
    atomic_write(file, save({key: tensor.contiguous() for key, tensor in state.items()}))
    atomic_write(file.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    return file


def _texts(value: Any) -> Iterator[str]:
    """Every text in a card, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _public(card: dict[str, Any]) -> dict[str, Any]:
    """The card without what is only true on the machine that trained."""
    train = {key: value for key, value in card.get("train", {}).items() if key not in PRIVATE}
    last = {k: v for k, v in card.get("last", {}).items() if "second" not in k}
    return card | {"train": train, "last": last, "precision": "half"}
