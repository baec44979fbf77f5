"""Pairs and triplets drawn before a batch is made, without looking at any feature.

No hardness is measured: a partner is any other image of the same person, a negative any image of
anybody else. Mining inside a batch is in `reidlab.losses.triplet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reidlab.data.samplers import epoch_seed, share_of

Positions = NDArray[np.int64]
Kind = Literal["pairs", "triplets"]
LENGTHS: dict[str, int] = {"pairs": 2, "triplets": 3}


class People:
    """Positions of images sorted by person, so that partners are drawn without a loop.

    Args:
        pids: one person id per image.

    Raises:
        ValueError: fewer than two people.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        names, person, counts = np.unique(
            np.asarray(pids, dtype=np.int64), return_inverse=True, return_counts=True
        )
        if len(names) < 2:
            raise ValueError(
                f"expected images of at least two people, got {len(names)}: no negative exists"
            )
        self.order = np.argsort(person, kind="stable")  # (N,), people side by side
        self.count = counts[person]  # (N,) images of each image's person
        self.start = (np.cumsum(counts) - counts)[person]  # (N,) where they begin in `order`
        self.place = np.empty(len(person), dtype=np.int64)  # of each image among its person's
        self.place[self.order] = np.arange(len(person))
        self.place -= self.start

    def __len__(self) -> int:
        """Number of images."""
        return len(self.order)

    def partners(self, anchors: Positions, generator: np.random.Generator) -> Positions:
        """For each anchor another image of its person; itself where the person has only one."""
        count = self.count[anchors]
        step = 1 + generator.integers(0, np.maximum(count - 1, 1))  # 1..count-1: never itself
        return self.order[self.start[anchors] + (self.place[anchors] + step) % count]

    def strangers(self, anchors: Positions, generator: np.random.Generator) -> Positions:
        """For each anchor an image of anybody else, all of them equally likely."""
        count, start = self.count[anchors], self.start[anchors]
        drawn = generator.integers(0, len(self) - count)
        return self.order[np.where(drawn < start, drawn, drawn + count)]


def random_triplets(pids: Sequence[int], generator: np.random.Generator) -> Positions:
    """(N, 3) positions: each image once as anchor, in random order, a partner and a stranger.

    Args:
        pids: one person id per image.
        generator: decides all.

    Raises:
        ValueError: fewer than two people.
    """
    people = People(pids)
    anchors = generator.permutation(len(people))
    found = [anchors, people.partners(anchors, generator), people.strangers(anchors, generator)]
    return np.stack(found, axis=1)


def random_pairs(
    pids: Sequence[int], generator: np.random.Generator, share: float = 0.5
) -> Positions:
    """(N, 2) positions: each image once, in random order, with a partner or with a stranger.

    Args:
        pids: one person id per image.
        generator: decides all.
        share: probability of a partner; whoever has only one image always gets a stranger.

    Raises:
        ValueError: fewer than two people, or a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1, got {share}")
    people = People(pids)
    anchors = generator.permutation(len(people))
    same = (generator.random(len(people)) < share) & (people.count[anchors] > 1)
    partners, strangers = (
        people.partners(anchors, generator),
        people.strangers(anchors, generator),
    )
    return np.stack([anchors, np.where(same, partners, strangers)], axis=1)


class TupleSampler:
    """Batches of pairs or triplets, each tuple's images in a row; new ones for every epoch.

    Args:
        pids: one person id per image.
        kind: "pairs" or "triplets".
        batch_size: tuples per batch; the last batch of an epoch may have fewer.
        seed: with the epoch it decides all draws.
        rank: of several processes that share every batch, the number of this one, from 0.
        processes: how many there are.

    Raises:
        ValueError: fewer than two people, or a batch size that `processes` cannot share equally.
    """

    def __init__(
        self,
        pids: Sequence[int],
        kind: Kind = "triplets",
        batch_size: int = 32,
        *,
        seed: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size < 1 or batch_size % processes:
            raise ValueError(
                f"{processes} processes cannot share a batch of {batch_size} {kind} equally; "
                f"choose a multiple of {processes} (P x K)"
            )
        People(pids)  # complains now, not in the first epoch
        self.pids, self.kind, self.batch_size = list(pids), kind, batch_size
        self.seed, self.rank, self.processes, self.epoch = seed, rank, processes, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the draws of epoch `epoch`."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of positions of the current epoch."""
        generator = np.random.default_rng(epoch_seed(self.seed, self.epoch))
        draw = random_pairs if self.kind == "pairs" else random_triplets
        tuples = draw(self.pids, generator).tolist()
        for start in range(0, len(tuples), self.batch_size):
            own = share_of(tuples[start : start + self.batch_size], self.rank, self.processes)
            if own:
                yield [position for each in own for position in each]
