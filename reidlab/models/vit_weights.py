"""Weights that a vision transformer starts from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from reidlab.models.states import mismatch
from reidlab.models.trunks import PREFIX, trunk_file
from reidlab.models.vit import ViT, resize_positions
from reidlab.models.weights import read_weights


def start_vit(trunk: ViT, pretrained: bool | str | Path, seed: int) -> dict[str, Any]:
    """Fill `trunk` as `pretrained` says, and tell what a network's `origin` keeps of its start.

    Args:
        trunk: with its first random weights; they stay when `pretrained` is False.
        pretrained: the name of a shipped checkpoint, the folder of a training run, or a file of
            `save_model`. The table of side information is never taken over.
        seed: of the random weights.

    Raises:
        ValueError: there is no such file, or it holds another trunk.
    """
    start: dict[str, Any] = {"seed": seed}
    if pretrained is False:
        return start
    file = trunk_file(str(pretrained))
    state = read_weights(file)
    given = {k.removeprefix(PREFIX): v for k, v in state.items() if str(k).startswith(PREFIX)}
    wanted = trunk.state_dict()
    if "pos_embed" in given:
        given["pos_embed"] = resize_positions(given["pos_embed"], trunk.grid, None)
    given.pop("side_embed", None)
    sides = {"side_embed": wanted["side_embed"]} if "side_embed" in wanted else {}
    if problems := mismatch(wanted, given | sides):
        listed = "\n  ".join(problems)
        raise ValueError(f"{file} has another trunk than this network:\n  {listed}")
    trunk.load_state_dict(wanted | given)
    return start | {
        "pretrained": str(pretrained),
        "weights": hashlib.sha256(file.read_bytes()).hexdigest()[:12],
    }
