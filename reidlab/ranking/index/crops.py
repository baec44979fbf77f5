"""Image files to search among, with whatever is known of who they show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reidlab.data.benchmarks.files import nested_images
from reidlab.data.market import NAME
from reidlab.data.readers import LAYOUTS, scan_dataset
from reidlab.data.samples import Sample, Samples, views_of

UNNAMED = -2  # person or camera of an image of which nobody says it
GUESSED = ("persons", "unlabelled")  # layouts whose folders need not stand for people


@dataclass(frozen=True)
class Crops:
    """The images of a folder.

    Args:
        folder: in full.
        samples: to search among.
        labelled: whether the samples' persons and cameras mean something.
        known: all images of the folder with labels, by full path: a query may be one of them.
        named: whether the labels come from the names of the files alone.
    """

    folder: Path
    samples: Samples
    labelled: bool = False
    known: dict[str, Sample] = field(default_factory=dict, repr=False)
    named: bool = False

    def look_up(self, path: Path) -> Sample | None:
        """What is known of the image at `path`."""
        full = path.expanduser().resolve()
        if self.named:
            return _by_name(full)
        return self.known.get(str(full))


def read_crops(folder: Path | str, *, unlabelled: bool = False) -> Crops:
    """The images in `folder` and below it.

    A folder laid out like a benchmark, and a CSV file with `path, pid, camid`, give their gallery
    (without one, all their images) with persons and cameras. So does a folder in which every image
    is named like Market-1501's (`0002_c1s1_000451_03.jpg`). Any other folder gives all its images;
    folders in it need not stand for people, and nobody is named.

    Args:
        folder: to read.
        unlabelled: take every image, and no labels.

    Raises:
        ValueError: no such folder, no images in it, or a benchmark that is incomplete.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.exists():
        raise ValueError(f"no gallery at {folder}; name a folder of crops")
    recognised = (n for n, layout in LAYOUTS.items() if n not in GUESSED and _fits(layout, folder))
    layout = None if unlabelled else next(recognised, None)
    if layout is not None:
        return _benchmark(folder, layout)
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is no gallery; name a folder of crops, a saved index, a .parquet or .npz "
            "file of `reidlab embed`, or a CSV file with path, pid, camid"
        )
    paths = [Path(path) for path in nested_images(folder)]
    if not paths:
        raise ValueError(f"{folder} holds no images, nor does any folder in it")
    samples = [] if unlabelled else [_by_name(path) for path in paths]
    if samples and all(samples):
        named = Samples([sample for sample in samples if sample], source=folder.name)
        return Crops(folder, named, labelled=True, named=True)
    nobody = Samples([Sample(path, 0, 0) for path in paths], source=folder.name)
    return Crops(folder, nobody)


def query_samples(images: Sequence[Path], gallery: Crops | None) -> tuple[Samples, list[bool]]:
    """A sample per image for the model, and whether its labels are known.

    An image of unknown camera counts as one of the gallery's first camera, for models that ask.
    """
    found = [gallery.look_up(path) if gallery else None for path in images]
    cameras = gallery.samples.cameras if gallery else [0]
    samples = [
        Sample(path, 0, cameras[0]) if sample is None else sample
        for path, sample in zip(images, found, strict=True)
    ]
    every = sorted({*cameras, *(sample.camid for sample in samples)})
    views = views_of(gallery.samples) if gallery else []
    return Samples(samples, every, views=views), [sample is not None for sample in found]


def _fits(layout: object, folder: Path) -> bool:
    return layout.recognises(folder)  # pyright: ignore[reportAttributeAccessIssue]


def _benchmark(folder: Path, layout: str) -> Crops:
    scan = scan_dataset(folder, layout=layout)
    if scan.problems:
        raise ValueError(
            f"{scan.problems[0]}; or search all images without labels (unlabelled, --unlabelled)"
        )
    everyone = [sample for part in scan.parts.values() for sample in part]
    cameras = sorted({sample.camid for sample in everyone})
    samples = Samples(scan.parts.get("gallery") or everyone, cameras, scan.name, views_of(everyone))
    known = {os.path.realpath(sample.path): sample for sample in everyone}
    return Crops(folder, samples, labelled=True, known=known)


def _by_name(path: Path) -> Sample | None:
    """Person and camera from a name like Market-1501's; None for other names."""
    match = NAME.match(path.name)
    return Sample(path, int(match[1]), int(match[2])) if match else None
