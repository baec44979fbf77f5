"""Wishes to try a search with, drawn from the people who are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np

from reidlab.data.heads import HEADS, Labels, classes
from reidlab.data.samples import DISTRACTOR, Sample
from reidlab.data.targets import targets_of
from reidlab.data.wishes import Wish

THINGS = ("backpack", "bag", "handbag", "hat")  # nobody looks for somebody without one
TRIES = 200  # draws per wish before giving up


def common_wishes(
    people: Mapping[int, Labels] | Sequence[Sample],
    *,
    count: int = 20,
    heads: Sequence[str] = tuple(HEADS),
    sizes: Sequence[int] = (1, 2, 3),
    seed: int = 0,
) -> list[Wish]:
    """Different wishes that somebody fulfils and somebody does not, the frequent ones likelier.

    Each describes a random person by some random heads. What is not carried or worn on the head is
    not asked for: "no hat" describes nearly everybody.

    Args:
        people: an `AttributeTable`, person id -> column -> code, or samples with attributes
            (distractors and junk are passed over).
        count: how many wishes.
        heads: heads to draw from.
        sizes: numbers of heads per wish, drawn evenly.
        seed: of the draws.

    Raises:
        ValueError: an unknown head, sizes that do not fit, labels that are missing or not valid, or
            fewer different wishes than `count`.
    """
    for name, value, least in (("count", count, 1), ("seed", seed, 0)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected {name} of at least {least}, a whole number, got {value!r}")
    if not heads or set(heads) - set(HEADS):
        raise ValueError(f"expected heads out of {', '.join(HEADS)}; got {', '.join(heads)}")
    if not sizes or not all(1 <= size <= len(set(heads)) for size in sizes):
        raise ValueError(f"expected sizes from 1 to {len(set(heads))}, got {tuple(sizes)}")
    known = _known(people)
    rng = np.random.default_rng(seed)
    found: dict[Wish, None] = {}
    for _ in range(TRIES * count):
        person = known[int(rng.integers(len(known)))]
        size = sizes[int(rng.integers(len(sizes)))]
        drawn = [heads[int(i)] for i in rng.permutation(len(heads))]
        wanted = [head for head in dict.fromkeys(drawn) if head not in THINGS or person[head]]
        if len(wanted) >= size:
            wish = Wish({head: frozenset([person[head]]) for head in wanted[:size]})
            if wish not in found and not all(map(wish.fulfilled, known)):
                found[wish] = None
        if len(found) == count:
            return list(found)
    raise ValueError(
        f"found only {len(found)} different wishes of {len(known)} people, expected {count}; ask "
        "for fewer, or allow more heads or sizes"
    )


def _known(people: Mapping[int, Labels] | Sequence[Sample]) -> list[dict[str, int]]:
    """Classes of everybody, sorted by person."""
    if not isinstance(people, Mapping):
        first = {s.pid: s for s in reversed(people) if s.pid > DISTRACTOR}
        rows = targets_of([first[pid] for pid in sorted(first)])
        found = [{head: int(rows[head][i]) for head in HEADS} for i in range(len(first))]
    else:
        found = [classes(people[pid]) for pid in sorted(people)]
    if not found:
        raise ValueError("expected people with attributes, got nobody")
    return found
