"""How LA-Transformer names its weights, and what their shapes tell.

Its files hold the class token and the position table twice (the ones that count are those of
`model`) and a classifier in the trunk that nothing reads.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from reidlab.checkpoints.layouts import Layout, Setting, State, elected, number, numbered

DEPTH, ROWS, PATCH = 12, 14, 16  # as published
UNUSED = ("cls_token", "pos_embed", "model.head.weight", "model.head.bias")
_WIDTHS = (("model.cls_token", 2), ("model.norm.weight", 0), ("model.norm.bias", 0))


def _tell(state: State) -> dict[str, Any]:
    """Width, depth, heads of 64 numbers each, and the image whose patches have so many rows."""
    width = elected(state, _WIDTHS, 64)
    rows, columns = _grid(state)
    return {
        "width": width,
        "depth": numbered(state, r"model\.blocks\.(\d+)\.") or DEPTH,
        "heads": max(1, width // 64),
        "image_size": (PATCH * rows, PATCH * columns),
    }


def _grid(state: State) -> tuple[int, int]:
    """Rows and columns of patches: there is a classifier per row.

    Where classifiers and position table disagree, a square of the table, so that what is missing
    is told by name.
    """
    rows = numbered(state, r"classifier(\d+)\.") or ROWS
    table = state.get("model.pos_embed")
    if not isinstance(table, Tensor) or table.ndim != 3:
        return rows, rows
    patches = table.shape[1] - 1
    if patches > 0 and patches % rows == 0:
        return rows, patches // rows
    side = math.isqrt(max(0, patches))
    return (side, side) if side and side**2 == patches else (rows, rows)


LAYOUT = Layout(
    source="la-transformer",
    network="a vision transformer with a classifier per row of patches",
    model="la_transformer_base",
    keys={
        "heads.*.linear.*": "classifier*.add_block.0.*",
        "heads.*.norm.*": "classifier*.add_block.1.*",
        "heads.*.classifier.*": "classifier*.classifier.0.*",
        "trunk.*": "model.*",
    },
    sizes={
        "num_ids": tuple((f"classifier{i}.classifier.0.bias", 0) for i in range(3)),
        "bottleneck": tuple((f"classifier{i}.add_block.0.bias", 0) for i in range(3)),
    },
    tell=_tell,
    settings={
        "fusion_weight": Setting(8.0, rule=number),
        "descriptor": Setting("official", ("official", "fused")),
    },
    ignored=UNUSED,
)
