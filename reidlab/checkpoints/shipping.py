"""A trained model made ready to travel with the package: small, and without traces of a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reidlab.checkpoints.files import CARD
from reidlab.checkpoints.models import read_card
from reidlab.paths import atomic_write, make_folder

PRIVATE = ("out", "device", "restart", "in_memory", "tensorboard")  # of the training's settings


def ship_model(run: Path | str, name: str, folder: Path | str) -> Path:
    """Copy a model in half precision, with its card; the path of the weights.

    Half precision keeps three decimal digits of each weight in half the space.

    Args:
        run: folder of a finished training run.
        name: of the checkpoint: `load_model(name)`.
        folder: where it goes, in a checkout `data/checkpoints`.

    Raises:
        ValueError: there is no finished run, it was trained on a folder of this machine, so that
            nobody else could tell what it learnt from, or the folder cannot be written.
    """
    from safetensors.torch import load_file, save

    run, card = Path(run).expanduser(), read_card(run)
    read = str(card.get("data", {}).get("read", ""))
    if Path(read).is_absolute():
        raise ValueError(
            f"{run / CARD} was trained on {read}, a folder of this machine; train on a dataset "
            "that has a name, such as synthetic with a variant"
        )
    state = load_file(run / "model.safetensors")
    state = {k: t.half() if t.is_floating_point() else t for k, t in state.items()}
    file = make_folder(folder) / f"{name}.safetensors"
    atomic_write(file, save(state))
    atomic_write(file.with_suffix(".json"), json.dumps(_public(card), indent=2) + "\n")
    return file


def _public(card: dict[str, Any]) -> dict[str, Any]:
    """The card without what is only true on the machine that trained."""
    train = {key: value for key, value in card.get("train", {}).items() if key not in PRIVATE}
    last = {k: v for k, v in card.get("last", {}).items() if "second" not in k}
    return card | {"train": train, "last": last, "precision": "half"}
