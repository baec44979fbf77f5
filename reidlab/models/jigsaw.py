"""Which patches each local branch of TransReID sees: shifted, shuffled, cut into parts.

Patches are numbered from 0, row by row. The order is the same for every image.

Source: He et al. 2021, "TransReID" (arXiv:2102.04378), section 3.2, and its released code, which
differs from the paper; both are here.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Literal

import torch
from torch import Tensor

Jigsaw = Literal["released", "even"]
JIGSAWS = ("released", "even")


def jigsaw_order(
    count: int, shift: int = 5, groups: int = 2, jigsaw: Jigsaw = "released"
) -> list[int]:
    """The patches after the first of them moved to the end and all were dealt to `groups`.

    "released" is what the published code does: it moves `shift` - 1 patches, and where the groups
    come out uneven it lets the second to last patch occur twice. "even" is what the paper says: it
    moves `shift` patches, and groups may differ by one.

    Args:
        count: N, patches.
        shift: see above; patches.
        groups: equal runs of the shifted patches, from which one is taken in turn.
        jigsaw: "released" or "even".

    Raises:
        ValueError: an unknown name, a shift beyond the patches, or groups that "released" cannot
            make equal.
    """
    _check(count, shift, groups, jigsaw)
    moved = shift - 1 if jigsaw == "released" else shift
    order = [*range(moved, count), *range(moved)]
    if jigsaw == "released" and count % groups:
        order.append(order[-2])
    size, longer = divmod(len(order), groups)  # the first runs are longer by one
    bounds = [i * size + min(i, longer) for i in range(groups + 1)]
    runs = [order[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    dealt = chain.from_iterable(zip_longest(*runs))
    return [patch for patch in dealt if patch is not None]


def local_patches(
    count: int,
    parts: int = 4,
    *,
    shift: int = 5,
    groups: int = 2,
    rearrange: bool = True,
    jigsaw: Jigsaw = "released",
) -> list[list[int]]:
    """The patches of each local branch.

    "released" gives each the same number, N // parts, and what is left over to none; "even" shows
    every patch to one branch, and some see one more.

    Args:
        count: N, patches.
        parts: local branches.
        shift: see `jigsaw_order`.
        groups: see `jigsaw_order`.
        rearrange: without it the patches stay in their order: stripes, as far as rows allow.
        jigsaw: "released" or "even".

    Raises:
        ValueError: as `jigsaw_order`; fewer patches than branches.
    """
    if not 1 <= parts <= count:
        raise ValueError(f"expected 1 to {count} parts, one patch each at least, got {parts}")
    order = list(range(count))
    if rearrange:
        order = jigsaw_order(count, shift, groups, jigsaw)
    elif jigsaw not in JIGSAWS:
        raise ValueError(f"jigsaw must be one of {', '.join(JIGSAWS)}, got {jigsaw!r}")
    if jigsaw == "released":
        size = count // parts
        return [order[i * size : (i + 1) * size] for i in range(parts)]
    bounds = [round(i * count / parts) for i in range(parts + 1)]
    return [order[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def padded(patches: list[list[int]]) -> tuple[Tensor, Tensor | None]:
    """Indices (k, L) of the patches of k branches, and which tokens to ignore (k, 1 + L).

    Short rows are filled up with patch 0, which is then ignored; None where all are equally long.
    Token 0 is the class token.
    """
    counts = [len(own) for own in patches]
    longest = max(counts)
    seen = torch.tensor([[*own, *[0] * (longest - len(own))] for own in patches])
    if min(counts) == longest:
        return seen, None
    ignored = [[i > count for i in range(1 + longest)] for count in counts]  # 0: the class token
    return seen, torch.tensor(ignored)


def _check(count: int, shift: int, groups: int, jigsaw: str) -> None:
    if jigsaw not in JIGSAWS:
        raise ValueError(f"jigsaw must be one of {', '.join(JIGSAWS)}, got {jigsaw!r}")
    if not 1 <= shift < count:
        raise ValueError(f"shift must be 1 to {count - 1} of {count} patches, got {shift}")
    fits = [g for g in range(1, count + 1) if count % g == 0 or (count + 1) % g == 0]
    if not 1 <= groups <= count or (jigsaw == "released" and groups not in fits):
        some = f"{', '.join(map(str, fits[:8]))}{', ...' if len(fits) > 8 else ''}"
        raise ValueError(
            f"{groups} groups cannot share {count} patches, even with one of them twice; choose "
            f"groups from {some}, another stride, or jigsaw='even'"
        )
