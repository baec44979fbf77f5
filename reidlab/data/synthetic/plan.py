"""What a synthetic dataset consists of: who is seen when, by which camera, under which file name.

All labels come from numpy generators, one per person and one per image, each seeded by what it is
for. So labels are the same on every machine, and asking for more people, images or distractors
never changes who the others are or how they are seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reidlab.data.market import FOLDERS, choose_queries
from reidlab.data.samples import DISTRACTOR, JUNK
from reidlab.data.synthetic.options import SyntheticOptions
from reidlab.data.synthetic.poor import KINDS, sample_junk, spoil
from reidlab.data.synthetic.scene import Camera, cameras
from reidlab.data.synthetic.shots import Shot, sample_distractor, sample_shot
from reidlab.data.synthetic.wardrobe import Person, sample_people

BYSTANDER = 0.1  # share of images with a passer-by, at full jitter
STREAMS = ("people", "person", "image", "distractor", "junk", "poor")
SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class PlannedImage:
    """One image to render.

    Args:
        file: path inside the dataset, `bounding_box_train/0002_c1s1_000451_00.jpg`.
        pid: person id; 0 distractor, -1 junk.
        camid: from 1.
        split: key of `market.FOLDERS`.
        shot: what is seen.
        poor: how it was spoiled on purpose, one of `poor.KINDS`; `None` when it was not.
    """

    file: str
    pid: int
    camid: int
    split: str
    shot: Shot
    poor: str | None = None


@dataclass(frozen=True)
class Plan:
    """A whole dataset before rendering.

    Args:
        options: what was asked for.
        cameras: camera id minus 1 is the position.
        people: person id -> person; training ids first, then validation, then test.
        sides: person id -> "train", "validation" or "test".
        images: sorted by split and file name.
    """

    options: SyntheticOptions
    cameras: list[Camera]
    people: dict[int, Person]
    sides: dict[int, str]
    images: list[PlannedImage]


def make_plan(options: SyntheticOptions) -> Plan:
    """Every person and image of the dataset."""
    network = cameras(options.world, options.cameras, options.seed)
    counts = {"train": options.ids, "validation": options.validation_ids, "test": options.test_ids}
    people: dict[int, Person] = {}
    sides: dict[int, str] = {}
    images: list[PlannedImage] = []
    for side, count in counts.items():
        planner = _Planner(options, network, side)
        own = planner.people(count)
        for index, person in enumerate(own):
            pid = len(people) + 1
            people[pid], sides[pid] = person, side
            images += planner.images_of(person, index, pid)
        if side == "test":
            images += planner.distractors(options.distractors) + planner.junk(own, options.junk)
        elif side == "validation" and count:
            images += planner.distractors(options.distractors // 2)
    order = list(FOLDERS)
    images.sort(key=lambda image: (order.index(image.split), image.file))
    return Plan(options, network, people, sides, images)


class _Planner:
    """Plans the images of one side; holds what all of them share."""

    def __init__(self, options: SyntheticOptions, network: list[Camera], side: str) -> None:
        self.options, self.network, self.side = options, network, side
        self.difficulty = options.conditions
        self.gallery = "gallery" if side == "test" else "validation_gallery"
        self.query = "query" if side == "test" else "validation_query"

    def stream(self, purpose: str, *key: int) -> np.random.Generator:
        """A generator of its own for each purpose and key."""
        place = [self.options.seed, ord(self.options.world), SIDES.index(self.side)]
        return np.random.default_rng([*place, STREAMS.index(purpose), *key])

    def people(self, count: int) -> list[Person]:
        """`count` people; more of them never change the first ones."""
        seed = int(self.stream("people").integers(1 << 31))
        return sample_people(count, seed=seed, world=self.options.world)

    def stranger(self, seed: int) -> Person:
        """Somebody who is in no split."""
        return sample_people(1, seed=seed, world=self.options.world)[0]

    def images_of(self, person: Person, index: int, pid: int) -> list[PlannedImage]:
        """All images of one person of this side, who has position `index` in it."""
        rng = self.stream("person", index)
        camids = self._seen_by(rng)
        queries = set() if self.side == "train" else choose_queries(camids)
        images, taken = [], dict.fromkeys(camids, 0)
        for i, camid in enumerate(camids):
            drawn = self.stream("image", index, camid, taken[camid])
            start = int(self.stream("person", index, camid).integers(1000, 90000))
            split = self.query if i in queries else self.gallery
            shot = sample_shot(
                person,
                self.network[camid - 1],
                rng=drawn,
                difficulty=self.difficulty,
                bystander=self._bystander(drawn),
            )
            frame = start + 25 * taken[camid]
            split = "train" if self.side == "train" else split
            image = self._image(pid, camid, frame, split, shot)
            images.append(self._spoiled(image, index, camid, taken[camid]))
            taken[camid] += 1
        return images

    def _spoiled(self, image: PlannedImage, *key: int) -> PlannedImage:
        """The image, or a poor crop in its place; only training images, so that scores compare."""
        rng = self.stream("poor", *key)
        if self.side != "train" or rng.random() >= self.options.poor:
            return image
        kind = KINDS[int(rng.integers(len(KINDS)))]
        stranger = self.stranger(int(rng.integers(1 << 31)))
        return replace(image, shot=spoil(image.shot, kind, rng=rng, stranger=stranger), poor=kind)

    def _seen_by(self, rng: np.random.Generator) -> list[int]:
        """Camera of each image: every camera of the person once, two of them again, then any."""
        options = self.options
        order = (rng.permutation(options.cameras) + 1).tolist()
        wanted = int(rng.integers(4, 7))
        count = max(2, min(wanted, options.cameras, options.images_per_id - 2))
        seen = order[:count]
        camids = [*seen, *seen[:2]]
        camids += [seen[int(rng.integers(count))] for _ in range(options.images_per_id)]
        return camids[: options.images_per_id]

    def _bystander(self, rng: np.random.Generator) -> Person | None:
        """Now and then somebody else. Draws the same numbers either way."""
        chance, seed = rng.random(), int(rng.integers(1 << 31))
        return self.stranger(seed) if chance < BYSTANDER * self.difficulty.jitter else None

    def distractors(self, count: int) -> list[PlannedImage]:
        """Boxes of the surroundings and of strangers, id 0."""
        images = []
        for k in range(count):
            rng = self.stream("distractor", k)
            camid = 1 + int(rng.integers(self.options.cameras))
            frame = 100 * k + int(rng.integers(100))
            shot = sample_distractor(
                self.network[camid - 1],
                rng=rng,
                difficulty=self.difficulty,
                person=self.stranger(int(rng.integers(1 << 31))),
            )
            images.append(self._image(DISTRACTOR, camid, frame, self.gallery, shot))
        return images

    def junk(self, own: list[Person], count: int) -> list[PlannedImage]:
        """Boxes of this side's people that are too poor to count, id -1."""
        images = []
        for k in range(count):
            rng = self.stream("junk", k)
            camid = 1 + int(rng.integers(self.options.cameras))
            frame = 100 * k + int(rng.integers(100))
            shot = sample_junk(
                own[k % len(own)],
                self.network[camid - 1],
                rng=rng,
                difficulty=self.difficulty,
                bystander=self.stranger(int(rng.integers(1 << 31))),
            )
            images.append(self._image(JUNK, camid, frame, self.gallery, shot))
        return images

    @staticmethod
    def _image(pid: int, camid: int, frame: int, split: str, shot: Shot) -> PlannedImage:
        person = "-1" if pid == JUNK else f"{pid:04d}"
        name = f"{person}_c{camid}s1_{frame:06d}_00.jpg"
        return PlannedImage(f"{FOLDERS[split]}/{name}", pid, camid, split, shot)
