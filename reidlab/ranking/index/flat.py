"""The same search by FAISS, where it is installed.

Shapes: Q queries, N gallery rows, D embedding width, k places kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reidlab.ranking.index.tiles import as_distance

ROWS = 65_536  # copied at a time


class FlatSearch:
    """Search with `faiss.IndexFlatIP`, made from the gallery at the first call.

    Rows that take part are given to FAISS as a bitmap. FAISS brings its own copy of OpenMP beside
    torch's; its threads are set to torch's number before each search, so that the two together do
    not ask for more than the machine has.

    Raises:
        ValueError: FAISS is not installed.
    """

    def __init__(self) -> None:
        """Import FAISS."""
        try:
            import faiss
        except ImportError:
            raise ValueError(
                "backend='faiss' needs FAISS: pip install faiss-cpu; backend='torch' needs nothing "
                "more"
            ) from None
        self._faiss: Any = faiss
        self._index: Any = None

    def __call__(
        self, query: Tensor, gallery: Tensor, k: int, rows: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As `tiles.nearest_rows`, in float32; among equals at the last place FAISS chooses."""
        if self._index is None:
            self._index = self._faiss.IndexFlatIP(gallery.shape[1])
            for part in gallery.split(ROWS):
                self._index.add(_float32(part))
        self._faiss.omp_set_num_threads(torch.get_num_threads())
        parameters = None
        if rows is not None:
            passing = np.zeros(len(gallery), bool)
            passing[rows.numpy()] = True
            bits = np.packbits(passing, bitorder="little")
            selector = self._faiss.IDSelectorBitmap(bits)
            parameters = self._faiss.SearchParameters(sel=selector)
        cosine, order = self._index.search(_float32(query), k, params=parameters)
        distance = as_distance(torch.from_numpy(cosine))  # (Q, k)
        positions, by_position = torch.from_numpy(order).sort(dim=1)
        distance, places = distance.gather(1, by_position).sort(dim=1, stable=True)
        order = positions.gather(1, places)
        return order.to(query.device), distance.to(query.device, gallery.dtype)


def _float32(rows: Tensor) -> np.ndarray:
    return np.ascontiguousarray(rows.to("cpu", torch.float32).numpy())
