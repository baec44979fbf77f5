"""How much memory a re-ranking may need, said before it begins.

Shapes: Q queries, G gallery images, N = Q + G items, D embedding width, K places kept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from reidlab.paths import free_memory, readable
from reidlab.ranking.blocks import BLOCK_ENTRIES
from reidlab.ranking.neighbours import BLOCK_PAIRS
from reidlab.ranking.pairs import LEAST_ROWS


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes beyond the inputs that are expected; `print` shows them.

    Args:
        result: of what is returned.
        features: of one normalised copy, and one more while it is made.
        neighbours: of lists and sparse vectors.
        blocks: of what is held while a block is worked on.
    """

    result: int
    features: int
    neighbours: int
    blocks: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return self.result + self.features + self.neighbours + self.blocks

    def __str__(self) -> str:
        """`about 602.5 MB (result 214.4 MB, features 79.0 MB, ...)`."""
        parts = ", ".join(f"{f.name} {readable(getattr(self, f.name))}" for f in fields(self))
        return f"about {readable(self.total)} ({parts})"


def reciprocal_memory(
    num_query: int,
    num_gallery: int,
    width: int,
    *,
    k1: int = 20,
    k2: int = 6,
    k: int | None = None,
    itemsize: int = 4,
) -> MemoryNeed:
    """What `k_reciprocal` is expected to hold beyond its inputs.

    Everything but the result grows with N, not with its square. Sparse vectors had 0.5 to 1.2 times
    (k1 + 1) entries in trials, and 1 to 0.85 k2 times as many after the mean over k2 of them, most
    for features without any structure; 1.5 and k2 times are reckoned with here.

    Args:
        num_query: Q.
        num_gallery: G.
        width: D; 0 where a distance matrix takes the place of features.
        k1: neighbours tested for reciprocity.
        k2: neighbours averaged over.
        k: places kept, or None for all distances.
        itemsize: bytes of a number in the features; wide ones are normalised before they shrink.
    """
    items = num_query + num_gallery
    length = min(k1 + 1, items)
    own = min(items, 3 * length // 2)  # entries of a vector,
    mixed = min(items, length * k2)  # and of a mean of k2
    rows = max(LEAST_ROWS, BLOCK_ENTRIES // max(1, items))
    return MemoryNeed(
        result=num_query * (4 * num_gallery if k is None else 12 * k),
        features=(8 if itemsize <= 4 else 16) * items * width,
        neighbours=items * (8 * max(length, k2) + 45 * own + 44 * mixed),
        blocks=rows * items * (5 * 4 + 1) + 120 * (BLOCK_PAIRS + items),
    )


def check_free(need: MemoryNeed, device: torch.device) -> None:
    """Raise unless `device` has that much memory free.

    Raises:
        ValueError: it has not; says what would need less.
    """
    free = free_memory(device)
    if need.total <= free:
        return
    advice = [
        "k=50 keeps 50 places of each query, not all distances" if need.result > free / 4 else "",
        "rank(query, gallery, k) to pick candidates and re-rank these",
        "more queries at a time do not help: the gallery's neighbours take the room"
        if need.neighbours > free / 2
        else "",
        "move the embeddings to the CPU with .to('cpu')" if device.type == "cuda" else "",
    ]
    raise ValueError(
        f"re-ranking needs {need} on {device}, where {readable(free)} are free; "
        f"what helps: {'; '.join(line for line in advice if line)}"
    )
