"""Weights that a vision transformer starts from: timm's, those of a file, or our own.

Names of parameters are timm's, so that its files and those that follow it (DeiT, DINO, ...) fit as
they are. What belongs to ImageNet's classes is left out, and the position table is resized.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from reidlab.models.pretrained import library_file
from reidlab.models.states import find_state, mismatch
from reidlab.models.stems import Pair, PatchStem
from reidlab.models.trunks import PREFIX, trunk_file
from reidlab.models.vit import ViT, resize_positions
from reidlab.models.weights import read_weights

SIZES = {(768, 12): "base", (384, 12): "small", (192, 12): "tiny"}
FAMILIES = (  # of timm, for each of the sizes
    "vit_{}_patch16_224",
    "vit_{}_patch16_384",
    "deit_{}_patch16_224",
    "deit_{}_patch16_384",
    "deit_{}_distilled_patch16_224",
    "deit_{}_distilled_patch16_384",
)
USUAL = {
    "vit_base": "timm:vit_base_patch16_224.orig_in21k_ft_in1k",
    "vit_small": "timm:vit_small_patch16_224.augreg_in21k_ft_in1k",
    "vit_tiny": "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_base": "timm:deit_base_distilled_patch16_224.fb_in1k",
    "deit_small": "timm:deit_small_distilled_patch16_224.fb_in1k",
    "deit_tiny": "timm:deit_tiny_distilled_patch16_224.fb_in1k",
}
"""What `pretrained=True` means. Of ViT-B and DeiT those that TransReID started from: ViT-B was
published as jx_vit_base_p16_224-80ecf9dd.pth."""

CLASSES = ("head", "dist", "pre_logits", "fc.")  # how keys begin that belong to ImageNet's classes
POSITIONS, DISTILLED = "pos_embed", "dist_token"


def start_vit(
    trunk: ViT, pretrained: bool | str | Path, seed: int, name: str | None = None
) -> dict[str, Any]:
    """Fill `trunk` as `pretrained` says, and tell what a network's `origin` keeps of its start.

    The table of side information is never taken over. Position tables are resized; where the file
    is one of ours, from the grid that its card tells, else from a square one.

    Args:
        trunk: with its first random weights; they stay when `pretrained` is False.
        pretrained: True for timm's weights in `USUAL`, another name ("timm:NAME"), the path of a
            file in the names of timm, or a network of ours: the name of a shipped checkpoint, the
            folder of a training run, or a file of `save_model`.
        seed: of the random weights.
        name: of the trunk, a key of `USUAL`, where sizes alone do not tell it.

    Raises:
        ValueError: no such weights, they cannot be fetched or read, or they are of another trunk.
    """
    start: dict[str, Any] = {"seed": seed}
    if pretrained is False:
        return start
    asked = _usual(trunk, name) if pretrained is True else str(pretrained)
    file = _find(trunk, asked)
    content = read_weights(file)
    own = {k.removeprefix(PREFIX): v for k, v in content.items() if str(k).startswith(PREFIX)}
    given = own or _imagenet(content, trunk, file)
    if isinstance(table := given.get(POSITIONS), Tensor) and table.ndim == 3:
        given[POSITIONS] = resize_positions(table.float(), trunk.grid, _grid(trunk, table, file))
    given.pop("side_embed", None)
    wanted = {key: value for key, value in trunk.state_dict().items() if key != "side_embed"}
    if problems := mismatch(wanted, given):
        listed = "\n  ".join(problems)
        raise ValueError(f"{asked} has another trunk than this network:\n  {listed}")
    trunk.load_state_dict(trunk.state_dict() | given)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return start | {"pretrained": str(pretrained), "weights": digest}


def _usual(trunk: ViT, name: str | None) -> str:
    """The weights that True stands for.

    Raises:
        ValueError: no library has any for such a trunk.
    """
    size = _size(trunk)
    asked = USUAL.get(name or f"vit_{size}") if size else None
    if asked is None:
        raise ValueError(
            f"no library has weights of this trunk (width {trunk.dim}, {len(trunk.blocks)} "
            f"blocks, {type(trunk.patch_embed).__name__}); name a file, a training run or a "
            "shipped checkpoint, or start from random weights (pretrained=False, --pretrained none)"
        )
    return asked


def _size(trunk: ViT) -> str | None:
    """What timm calls this width and depth."""
    plain = isinstance(trunk.patch_embed, PatchStem)
    return SIZES.get((trunk.dim, len(trunk.blocks))) if plain else None


def _find(trunk: ViT, asked: str) -> Path:
    """The weights file, fetched if need be."""
    size = _size(trunk)
    families = [family.format(size) for family in FAMILIES] if size else []
    if families and (file := library_file(asked, families, ("timm",))):
        return file
    others = f"a name such as {USUAL[f'vit_{size}']}, " if size else ""
    return trunk_file(asked, others)


def _imagenet(content: Mapping[Any, Any], trunk: ViT, file: Path) -> dict[str, Any]:
    """A state dict in timm's names, without what belongs to ImageNet's classes."""
    wanted = trunk.state_dict()

    def fits(state: Mapping[str, Any]) -> bool:
        return 2 * len(wanted.keys() & state.keys()) > len(wanted)

    found = find_state(content, fits, str(file))
    given = {key: value for key, value in found.items() if not key.startswith(CLASSES)}
    table, weight = given.get(POSITIONS), given.get("patch_embed.proj.weight")
    if DISTILLED in found and isinstance(table, Tensor):
        given[POSITIONS] = table[:, [0, *range(2, table.shape[1])]]  # row 1: the other token's
    if isinstance(weight, Tensor) and weight.ndim == 2:  # once a linear map of a patch's pixels
        side = math.isqrt(weight.shape[1] // 3)
        given["patch_embed.proj.weight"] = weight.reshape(len(weight), 3, side, side)
    return given


def _grid(trunk: ViT, table: Tensor, file: Path) -> Pair:
    """The grid that a position table (1, 1 + N, D) belongs to.

    The card beside the file tells it. Without a card, a square where N is one, as ImageNet's
    images are, else the rectangle that is most like the images of `trunk`.
    """
    count = table.shape[1] - 1
    told = _told(trunk, file)
    if told is not None and math.prod(told) == count:
        return told
    side = math.isqrt(count)
    if side * side == count:
        return side, side
    aspect = math.log(trunk.image_size[0] / trunk.image_size[1])
    pairs = [(high, count // high) for high in range(1, count + 1) if count % high == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1]) - aspect))


def _told(trunk: ViT, file: Path) -> Pair | None:
    """The grid of the network whose card lies beside `file`; None where there is no such card."""
    try:
        arguments = json.loads(file.with_suffix(".json").read_text())["origin"]["arguments"]
        size, stride = arguments["image_size"], arguments.get("stride", 16)
        stride = (stride, stride) if isinstance(stride, int) else (stride[0], stride[1])
        return trunk.patch_embed.grid((size[0], size[1]), stride)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
