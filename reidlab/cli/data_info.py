"""`reidlab data info NAME`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from reidlab.cli.data_check import reader_options
from reidlab.cli.parsing import parse
from reidlab.data.images import ImageDataset, check_images
from reidlab.data.readers import read_dataset
from reidlab.data.samples import DISTRACTOR, Sample, Samples, Splits, cameras_of, people
from reidlab.data.summary import summarize
from reidlab.paths import atomic_write, make_folder
from reidlab.plots.page import PageFigure, image_size
from reidlab.plots.sheet import contact_sheet

EXAMPLES = """
  reidlab data info people
  reidlab data info synthetic --picture people.png
  reidlab data info cuhk03 --variant labeled --root ~/datasets
"""
ROWS, COLUMNS = 6, 12


@dataclass(frozen=True)
class Info:
    """What a dataset holds: people, cameras, sizes, labels; on demand, a picture of some of it."""

    data: tyro.conf.Positional[str]
    """A dataset's name, or a folder."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    layout: str | None = None
    """How a folder is laid out, when it is not recognised: persons, unlabelled, market, ..."""
    picture: Path | None = None
    """Draw some people under each camera into this PNG file."""
    seed: int = 0
    """Of the choice of images."""


def main(argv: Sequence[str]) -> None:
    """Parse, count, print, draw."""
    options = parse(Info, "data info", argv, examples=EXAMPLES)
    _check_picture(options.picture)
    watched = sys.stderr.isatty()
    given = reader_options(options.variant, options.layout)
    splits = read_dataset(options.data, options.root, progress=watched, **given)
    print(splits)
    print()
    print(summarize(splits, seed=options.seed, progress=watched))
    print()
    if options.picture is None:
        print("--picture FILE.png draws some of it")
        return
    atomic_write(options.picture, draw(splits, options.seed))
    print(f"picture: {options.picture}")


def _check_picture(picture: Path | None) -> None:
    """Complain before the work, not after it."""
    if picture is None:
        return
    if picture.suffix.lower() != ".png":
        raise ValueError(f"--picture {picture}: expected a name that ends in .png")
    make_folder(picture.parent)


def draw(splits: Splits, seed: int) -> bytes:
    """A PNG: a row per person, grouped by camera; random crops where nobody says who is who."""
    samples = splits.train or splits.gallery
    if splits.labelled:
        chosen = check_images(some_people(samples, ROWS, COLUMNS, seed), on_error="skip")
        title = f"{splits.name}: {len(people(chosen))} of {len(people(samples)):,} people"
        figure = contact_sheet(chosen, columns=COLUMNS, rows=ROWS, title=title)
    else:
        chosen = check_images(some_images(samples, ROWS * COLUMNS, seed), on_error="skip")
        title = f"{splits.name}: {len(chosen)} of {len(samples):,} images"
        pixels = ImageDataset(chosen, image_size(chosen[0].path)).images(range(len(chosen)))
        figure = contact_sheet(pixels, columns=COLUMNS, rows=ROWS, title=title)
    assert isinstance(figure, PageFigure)
    return figure.png()


def some_people(samples: Sequence[Sample], count: int, images: int, seed: int) -> Samples:
    """Images of random people among those who fill a row of `images`, shared out over cameras."""
    found: dict[int, dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.pid > DISTRACTOR:
            found[sample.pid][sample.camid].append(sample)
    cameras = len({sample.camid for sample in samples})
    each = max(1, images // max(1, cameras))  # crops per camera
    filled = {pid: sum(min(each, len(s)) for s in own.values()) for pid, own in found.items()}
    order = np.random.default_rng(seed).permutation(sorted(found)).tolist()
    order.sort(key=lambda pid: -filled[pid])  # stable: random among equals
    chosen = sorted(order[:count])
    kept = [sample for pid in chosen for own in found[pid].values() for sample in own[:each]]
    return Samples(kept, cameras_of(samples), getattr(samples, "source", ""))


def some_images(samples: Sequence[Sample], count: int, seed: int) -> Samples:
    """Random images, in their order."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(samples), min(count, len(samples)), replace=False)
    return Samples([samples[i] for i in sorted(chosen.tolist())], cameras_of(samples))
