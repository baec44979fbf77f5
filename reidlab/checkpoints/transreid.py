"""How TransReID names the weights of its transformers, and what their shapes tell.

With local branches (b1 global, b2 shared by the local ones) its files also hold the block and the
norm that both were copied from, and always a classifier of ImageNet's classes; none of these plays
a part in what the network computes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from reidlab.checkpoints.layouts import (
    Layout,
    Setting,
    State,
    count,
    elected,
    number,
    numbered,
    steps,
)
from reidlab.models.sides import UNSEEN
from reidlab.models.stems import Pair
from reidlab.models.transreid import STATISTICS
from reidlab.models.vit import VITS

DEPTH, PARTS = 12, 4  # as published
SIZES = ((256, 128), (384, 128), (256, 256), (224, 224), (384, 384))  # published, for messages
POSITIONS, SIDES = "base.pos_embed", "base.sie_embed"
CLASSES = ("base.fc.weight", "base.fc.bias")

_NECKS = {
    "necks.0.norm.*": "bottleneck.*",
    "necks.0.classifier.*": "classifier.*",
    "necks.*.norm.*": "bottleneck_*.*",
    "necks.*.classifier.*": "classifier_*.*",
}
_TRUNK = {"trunk.side_embed": SIDES, "trunk.*": "base.*"}
_HIDDEN = (  # whose length is the hidden width of a block
    "base.blocks.{}.mlp.fc1.weight",
    "base.blocks.{}.mlp.fc1.bias",
)


def trunk_of(state: State) -> dict[str, Any]:
    """The constructor's arguments `vit` and `sizes`: a published trunk by name, another in sizes.

    Heads are 64 wide. The first small network, known by its attention without biases, has eight
    heads and a factor of its own.
    """
    tables = (("base.cls_token", 2), (POSITIONS, 2), ("base.patch_embed.proj.bias", 0))
    width = elected(state, tables, 768)
    depth = _depth(state)
    places = [(key.format(i), 0) for i in range(depth) for key in _HIDDEN]
    bias = not state or any(key.endswith("attn.qkv.bias") for key in state)
    sizes: dict[str, Any] = {"width": width, "depth": depth}
    sizes["heads"] = max(1, width // 64) if bias else 8
    if (ratio := elected(state, places, 4 * width) / width) != 4.0:
        sizes["mlp_ratio"] = ratio
    if not bias:
        sizes |= {"qkv_bias": False, "qk_scale": width**-0.5}
    for name, known in VITS.items():
        if known == sizes:
            return {"vit": name}
    return {"vit": "vit_base", "sizes": sizes}


def _with_parts(state: State) -> dict[str, Any]:
    """As `trunk_of`, and the number of local branches."""
    found = (re.match(r"(?:classifier|bottleneck)_(\d+)\.", key) for key in state)
    return trunk_of(state) | {"parts": len({match[1] for match in found if match}) or PARTS}


def _without_parts(state: State) -> dict[str, Any]:
    return trunk_of(state) | {"parts": 0}


def _depth(state: State) -> int:
    """Number of blocks.

    The last of them is b1's where there is one. What b1 was copied from counts for it, and is
    missing where somebody took out all that the network never uses, the norm among them.
    """
    found = numbered(state, r"base\.blocks\.(\d+)\.")
    copied = any(key.startswith("b1.") for key in state)
    norm = any(key.startswith("base.norm.") for key in state)
    depth = found + (copied and not norm) if found else DEPTH
    published = elected(state, ((POSITIONS, 2),), 0) == VITS["vit_base"]["width"]
    if copied and published and abs(depth - DEPTH) == 1:
        raise ValueError(
            f"{found} blocks {'with' if norm else 'without'} base.norm beside b1 and b2: a network "
            f"of this width has {DEPTH}. One of the parts that it never uses seems to have been "
            f"taken out without the other; take out both base.norm and base.blocks.{DEPTH - 1}, "
            "or neither"
        )
    return depth


def _ends(depth: int) -> dict[str, Any]:
    """Names and unused keys of a network with local branches: its last block lies elsewhere."""
    last = f"blocks.{depth - 1}"
    ends = {
        f"trunk.{last}.*": "b1.0.*",
        "trunk.norm.*": "b1.1.*",
        "local_end.block.*": "b2.0.*",
        "local_end.norm.*": "b2.1.*",
    }
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    layers = ["base.norm", *(f"base.{last}.{part}" for part in parts)]
    unused = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    return {"keys": ends | _TRUNK | _NECKS, "ignored": (*CLASSES, *unused)}


def _why(state: State, settings: Mapping[str, Any]) -> str | None:
    """What settings do not fit tables that belong to a camera network or to an image size."""
    found = (_about_sides(state, settings), _about_positions(state, settings))
    return "; ".join(words for words in found if words) or None


def _about_sides(state: State, settings: Mapping[str, Any]) -> str | None:
    cameras, views = settings["num_cameras"], settings["num_views"]
    asked = max(1, cameras) * max(1, views) if cameras or views else 0
    table = state.get(SIDES)
    rows = len(table) if isinstance(table, Tensor) and table.ndim else 0
    if asked == rows:
        return None
    if not rows:
        return f"it has no {SIDES}, the table of cameras and views; leave out their numbers"
    pairs = [f"{n} x {rows // n}" for n in range(2, rows) if rows % n == 0]
    both = f", or both, num_cameras x num_views: {', '.join(pairs)}" if pairs else ""
    got = f"num_cameras={cameras} and num_views={views} make {asked}"
    return (
        f"its table of cameras and views, {SIDES}, has {rows} rows, {got}; say what they stand "
        f"for: num_cameras={rows} (--num-cameras {rows}), num_views={rows}{both}"
    )


def _about_positions(state: State, settings: Mapping[str, Any]) -> str | None:
    table = state.get(POSITIONS)
    if not isinstance(table, Tensor) or table.ndim != 3:
        return None
    rows, (high, wide) = table.shape[1] - 1, settings["image_size"]
    if rows == math.prod(_grid((high, wide), settings["stride"])):
        return None
    sizes = dict.fromkeys([(high, wide), *SIZES])
    fits = [
        f"{size[0]}x{size[1]} at stride {stride}"
        for size in sizes
        for stride in range(16, 7, -1)
        if math.prod(_grid(size, stride)) == rows
    ]
    known = f"; such a table fits {', '.join(fits)}" if fits else ""
    return (
        f"its position table has {rows} + 1 rows, which does not fit images of {high}x{wide} at "
        f"stride {settings['stride']}{known} (image_size, stride; --image-size, --stride)"
    )


def _grid(size: Pair, stride: int | Pair) -> Pair:
    """Rows and columns of patches of 16 pixels."""
    down, across = (stride, stride) if isinstance(stride, int) else stride
    return max(0, (size[0] - 16) // down + 1), max(0, (size[1] - 16) // across + 1)


PLAIN = Layout(
    source="transreid",
    network="a vision transformer with a batch-norm neck",
    model="transreid",
    keys=_TRUNK | _NECKS,
    sizes={"num_ids": (("classifier.weight", 0),)},
    tell=_without_parts,
    settings={
        "image_size": Setting((256, 128)),
        "stride": Setting(16, rule=steps),
        "num_cameras": Setting(0, rule=count),
        "num_views": Setting(0, rule=count),
        "sie_coefficient": Setting(3.0, rule=number),
        "unseen": Setting("error", UNSEEN),
        "statistics": Setting("half", tuple(STATISTICS)),
    },
    ignored=CLASSES,
    hint=_why,
)

JIGSAW = replace(
    PLAIN,
    network="a vision transformer with local branches",
    sizes={"num_ids": tuple((f"classifier{end}.weight", 0) for end in ("", "_1", "_2"))},
    tell=_with_parts,
    adapt=lambda state: _ends(_depth(state)),
    settings={
        **PLAIN.settings,
        "shift": Setting(5, rule=count),
        "groups": Setting(2, rule=count),
        "rearrange": Setting(True, (True, False)),
    },
    **_ends(DEPTH),
)
