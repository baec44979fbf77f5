"""Which images form a batch: P identities x K images, or a plain shuffle."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pk_batches(
    pids: Sequence[int],
    ids_per_batch: int,
    images_per_id: int,
    *,
    shuffler: random.Random,
    drawer: np.random.RandomState,
) -> list[list[int]]:
    """One epoch of batches of P identities x K images, as positions in `pids`.

    Each identity's images are shuffled and cut into chunks of K (an identity with fewer than K
    images draws K with replacement; an incomplete last chunk rests this epoch). Then batches take
    one chunk each of P identities, drawn among those with chunks left, until fewer than P are left.

    Args:
        pids: one person id per image.
        ids_per_batch: P.
        images_per_id: K.
        shuffler: shuffles images and draws identities.
        drawer: draws with replacement.

    Source: Hermans et al. 2017 (arXiv:1703.07737); the order of draws is that of the sampler
    which TransReID (arXiv:2102.04378) trains with.
    """
    chunks = _chunks(pids, images_per_id, shuffler, drawer)
    batches = []
    waiting = list(chunks)
    while len(waiting) >= ids_per_batch:
        batch: list[int] = []
        for pid in shuffler.sample(waiting, ids_per_batch):
            batch += chunks[pid].pop(0)
            if not chunks[pid]:
                waiting.remove(pid)
        batches.append(batch)
    return batches


def group_batches(
    pids: Sequence[int],
    ids_per_batch: int,
    images_per_id: int,
    *,
    shuffler: random.Random,
    drawer: np.random.RandomState,
) -> list[list[int]]:
    """One epoch of batches of P groups of K images each, as positions in `pids`.

    Chunks are cut as in `pk_batches`, but all of them are shuffled together and taken in a row: one
    batch may hold the same person twice. An incomplete last batch rests this epoch.

    A batch of one person alone has no negative: its last group changes places with the first group
    of somebody else that another batch, or the rest, can spare. Where nobody can, it rests too.

    Args:
        pids: one person id per image.
        ids_per_batch: P.
        images_per_id: K.
        shuffler: shuffles images and groups.
        drawer: draws with replacement.

    Source: the sampler of the public projects Simple-ReID and IANet, as described by its effect.
    """
    groups = [c for own in _chunks(pids, images_per_id, shuffler, drawer).values() for c in own]
    shuffler.shuffle(groups)
    whole = len(groups) - len(groups) % ids_per_batch
    batches = [groups[s : s + ids_per_batch] for s in range(0, whole, ids_per_batch)]
    if ids_per_batch > 1:
        batches = _mixed(batches, groups[whole:], pids)
    return [[i for group in batch for i in group] for batch in batches]


def _mixed(
    batches: list[list[list[int]]], rest: list[list[int]], pids: Sequence[int]
) -> list[list[list[int]]]:
    """`batches` of groups, changed in place until each has two people; the others are left out."""
    for batch in batches:
        if len(_people(batch, pids)) > 1:
            continue
        own = pids[batch[0][0]]
        for other in (*batches, rest):
            place = _spare(other, own, pids, needs_two=other is not rest)
            if place is not None:
                batch[-1], other[place] = other[place], batch[-1]
                break
    return [batch for batch in batches if len(_people(batch, pids)) > 1]


def _spare(
    groups: list[list[int]], own: int, pids: Sequence[int], *, needs_two: bool
) -> int | None:
    """Place of a group of somebody else, for which `groups` can take one of person `own`."""
    for place, group in enumerate(groups):
        left = _people(groups[:place] + groups[place + 1 :], pids) | {own}
        if pids[group[0]] != own and (len(left) > 1 or not needs_two):
            return place
    return None


def _people(groups: list[list[int]], pids: Sequence[int]) -> set[int]:
    """Whose groups these are."""
    return {pids[group[0]] for group in groups}


def _chunks(
    pids: Sequence[int], size: int, shuffler: random.Random, drawer: np.random.RandomState
) -> dict[int, list[list[int]]]:
    """Person id -> chunks of `size` positions, people in order of first appearance."""
    positions: dict[int, list[int]] = {}
    for position, pid in enumerate(pids):
        positions.setdefault(int(pid), []).append(position)
    chunks = {}
    for pid, own in positions.items():
        if len(own) < size:
            own = drawer.choice(own, size=size, replace=True).tolist()
        shuffler.shuffle(own)
        whole = len(own) - len(own) % size
        chunks[pid] = [own[start : start + size] for start in range(0, whole, size)]
    return chunks


class PKSampler:
    """Batches of P identities x K images; a new order for every epoch, the same for every seed.

    Args:
        pids: one person id per image.
        ids_per_batch: P; losses that need a negative want 2 or more.
        images_per_id: K.
        seed: with the epoch it decides the order; epoch 0 uses `seed` itself.
        rank: of several processes that share every batch, the number of this one, from 0.
        processes: how many there are; each gets P / processes people of the same global batch.
        distinct: P different people; else P groups of K images, as in `group_batches`.

    Raises:
        ValueError: fewer people than P, P or K too small, or P no multiple of `processes`.
    """

    def __init__(
        self,
        pids: Sequence[int],
        ids_per_batch: int = 16,
        images_per_id: int = 4,
        *,
        seed: int = 0,
        rank: int = 0,
        processes: int = 1,
        distinct: bool = True,
    ) -> None:
        people = len(set(pids))
        if ids_per_batch < 1 or images_per_id < 1:
            raise ValueError(f"P and K must be positive, got {ids_per_batch} x {images_per_id}")
        if people < ids_per_batch:
            raise ValueError(
                f"a batch needs {ids_per_batch} people, the samples have {people}; "
                f"lower ids_per_batch to {people} or fewer, or add people"
            )
        if ids_per_batch % processes:
            raise ValueError(
                f"{processes} processes cannot share {ids_per_batch} people per batch equally; "
                f"choose a multiple of {processes} for ids_per_batch (--ids-per-batch)"
            )
        self.pids = list(pids)
        self.ids_per_batch = ids_per_batch
        self.images_per_id = images_per_id
        self.seed = seed
        self.rank, self.processes, self.distinct = rank, processes, distinct
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of epoch `epoch`."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of positions of the current epoch."""
        seed = epoch_seed(self.seed, self.epoch)
        batches = (pk_batches if self.distinct else group_batches)(
            self.pids,
            self.ids_per_batch,
            self.images_per_id,
            shuffler=random.Random(seed),
            drawer=np.random.RandomState(seed),
        )
        return iter([share_of(batch, self.rank, self.processes) for batch in batches])


class ShuffleSampler:
    """Plain batches: a permutation of all images per epoch, the last batch kept if large enough.

    Args:
        count: number of images.
        batch_size: images per batch.
        seed: with the epoch it decides the order.
        rank: of several processes that share every batch, the number of this one, from 0.
        processes: how many there are.

    Raises:
        ValueError: no image, or no batch size that `processes` can share equally.
    """

    def __init__(
        self, count: int, batch_size: int = 64, *, seed: int = 0, rank: int = 0, processes: int = 1
    ) -> None:
        if count < 1 or batch_size < 1:
            raise ValueError(f"expected images and a batch size, got {count} and {batch_size}")
        if batch_size % processes:
            raise ValueError(
                f"{processes} processes cannot share a batch of {batch_size} images equally; "
                f"choose a multiple of {processes} (P x K)"
            )
        self.count, self.batch_size, self.seed, self.epoch = count, batch_size, seed, 0
        self.rank, self.processes = rank, processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of epoch `epoch`."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of positions of the current epoch; batch norm cannot train on a single image."""
        order = np.random.RandomState(epoch_seed(self.seed, self.epoch)).permutation(self.count)
        batches = [
            order[start : start + self.batch_size].tolist()
            for start in range(0, self.count, self.batch_size)
        ]
        batches = [share_of(batch, self.rank, self.processes) for batch in batches]
        return iter([batch for batch in batches if len(batch) > 1])


def share_of(batch: list[T], rank: int, processes: int) -> list[T]:
    """The part of a batch that belongs to process `rank`: in a row, as long as everybody's.

    What does not divide by the number of processes, at the end of a last batch, is left out.
    """
    own = len(batch) // processes
    return batch[rank * own :][:own]


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch: `seed` itself for epoch 0, an unrelated one for each other epoch."""
    if epoch == 0:
        return seed
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
