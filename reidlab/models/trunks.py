"""A trunk that starts where another network of this package ended, as ImageNet's do elsewhere."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Literal

from reidlab.models.resnet import ResNet
from reidlab.models.states import mismatch
from reidlab.models.weights import read_weights
from reidlab.paths import shipped

PREFIX = "trunk."

log = logging.getLogger(__name__)


def start_trunk(
    trunk: ResNet, pretrained: Literal[False] | str | Path, seed: int
) -> dict[str, Any]:
    """Fill `trunk` as `pretrained` says, and tell what a network's `origin` keeps of its start.

    Args:
        trunk: with its first random weights; they stay when `pretrained` is False.
        pretrained: as `source` of `load_trunk`; only False itself means none.
        seed: of the random weights.

    Raises:
        ValueError: as `load_trunk`.
    """
    start: dict[str, Any] = {"seed": seed}
    if pretrained is not False:
        start |= {"pretrained": str(pretrained), "weights": load_trunk(trunk, pretrained)}
    return start


def load_trunk(trunk: ResNet, source: str | Path) -> str:
    """Fill `trunk` with the one of a trained network; a short hash of the file it came from.

    Args:
        trunk: to fill; of the same width and depth. The last stride may differ, it has no weights.
        source: the name of a shipped checkpoint, the folder of a training run, or a file of
            `save_model`.

    Raises:
        ValueError: there is no such file, it holds no trunk, or one of another shape.
    """
    file = trunk_file(source)
    state = read_weights(file)
    given = {
        str(name).removeprefix(PREFIX): tensor
        for name, tensor in state.items()
        if str(name).startswith(PREFIX)
    }
    wanted = trunk.state_dict()
    if problems := mismatch(wanted, given):
        listed = "\n  ".join(problems)
        raise ValueError(f"{file} has another trunk than this network:\n  {listed}")
    trunk.load_state_dict(wanted | given)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def trunk_file(source: str | Path, others: str = "") -> Path:
    """The weights file that `source` means; the bare name of a shipped checkpoint means that one.

    Args:
        source: see `load_trunk`.
        others: what else the user may name, for the message.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(source, str | Path) or not str(source):
        raise ValueError(f"expected a checkpoint's name, a run's folder or a file, got {source!r}")
    path = Path(source).expanduser()
    bare = isinstance(source, str) and path.name == source
    named = shipped(f"checkpoints/{source}.safetensors") if bare else None
    for file in (path, path / "model.safetensors"):
        if file.is_file() and named is None:
            return file
        if file.is_file():  # what a recipe starts from must not depend on where it is started
            log.warning(
                "%s is the checkpoint that comes with the package, not %s; name that ./%s, or with "
                "its whole path",
                *(source, file, source),
            )
    if named is not None:
        return named
    raise ValueError(
        f"no trained network at {source}: expected a run's folder with model.safetensors, a file, "
        f"{others}or the name of a shipped checkpoint; pretrained=False (--pretrained none) starts "
        "from random weights"
    )
