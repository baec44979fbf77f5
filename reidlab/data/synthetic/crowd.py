"""An endless stream of passers-by: which person, camera and moment image number `index` shows.

Every image is drawn from (seed, index) alone, so a longer set starts with the shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidlab.data.samples import DISTRACTOR
from reidlab.data.synthetic.options import UnlabelledOptions
from reidlab.data.synthetic.plan import BYSTANDER, SIDES
from reidlab.data.synthetic.poor import KINDS, spoil
from reidlab.data.synthetic.scene import cameras
from reidlab.data.synthetic.shots import DIFFICULTIES, Shot, sample_shot
from reidlab.data.synthetic.wardrobe import Person, sample_people

STREAMS = ("people", "image", "poor")
BLOCK = 250  # people who are dressed together, look-alikes among them
PER_PERSON = 4  # images of each on average, where people keep coming


@dataclass(frozen=True)
class Snapshot:
    """One image of the stream.

    Args:
        index: its number, from 0.
        pid: who is shown, from 1; 0 for nobody.
        camid: from 1.
        poor: how it was spoiled, one of `poor.KINDS`; `None` when it was not.
        shot: what is seen.
    """

    index: int
    pid: int
    camid: int
    poor: str | None
    shot: Shot


class Crowd:
    """The people, cameras and images of an unlabelled set.

    People are dressed when they are first needed and kept: all of them when their number is given,
    else those of one block.
    """

    def __init__(self, options: UnlabelledOptions) -> None:
        self.options = options
        self.network = cameras(options.world, options.cameras, options.seed)
        self.difficulty = DIFFICULTIES[options.difficulty]
        self._blocks: dict[int, list[Person]] = {}

    def snapshot(self, index: int) -> Snapshot:
        """Image number `index`."""
        rng = self._stream("image", index)
        number = self._somebody(rng, index)
        camera = self.network[int(rng.integers(len(self.network)))]
        passing, other = rng.random(), self._somebody(rng, index)
        beside = passing < BYSTANDER * self.difficulty.jitter and other != number
        shot = sample_shot(
            self.person(number),
            camera,
            rng=rng,
            difficulty=self.difficulty,
            bystander=self.person(other) if beside else None,
        )
        shot, poor = self._spoiled(shot, index, number)
        pid = DISTRACTOR if shot.person is None else number + 1
        return Snapshot(index, pid, camera.index + 1, poor, shot)

    def person(self, number: int) -> Person:
        """Person `number` of the crowd, from 0."""
        block, place = divmod(number, BLOCK)
        if block not in self._blocks:
            if self.options.ids is None:
                self._blocks.clear()  # nobody of an earlier block comes back
            seed = int(self._stream("people", block).integers(1 << 31))
            self._blocks[block] = sample_people(BLOCK, seed=seed, world=self.options.world)
        return self._blocks[block][place]

    def _somebody(self, rng: np.random.Generator, index: int) -> int:
        """Anyone of a crowd of given size, else anyone who walks by around image `index`."""
        if self.options.ids is not None:
            return int(rng.integers(self.options.ids))
        return index // (BLOCK * PER_PERSON) * BLOCK + int(rng.integers(BLOCK))

    def _spoiled(self, shot: Shot, index: int, number: int) -> tuple[Shot, str | None]:
        """The shot, or a poor crop in its place. Other shares leave the good ones as they are."""
        rng = self._stream("poor", index)
        if rng.random() >= self.options.share:
            return shot, None
        kind = KINDS[int(rng.integers(len(KINDS)))]
        other = self._somebody(rng, index)
        stranger = self.person(other if other != number else (other ^ 1))
        return spoil(shot, kind, rng=rng, stranger=stranger), kind

    def _stream(self, purpose: str, key: int) -> np.random.Generator:
        """A generator of its own for each purpose and key, apart from those of labelled sets."""
        place = [self.options.seed, ord(self.options.world), len(SIDES)]
        return np.random.default_rng([*place, STREAMS.index(purpose), key])
