"""Taking the images of CUHK03 out of the MATLAB file that its authors give out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from reidlab.data.benchmarks.files import image_names
from reidlab.data.synthetic.staging import staging

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of HDF5; MATLAB puts 512 bytes before it
FIRST_CAMERA = 5  # cells of a person under the first camera of a pair; as many follow

Cells = Iterator[tuple[int, int, list[np.ndarray]]]  # camera pair and person from 0, ten cells


def extract_images(archive: Path, variant: str, folder: Path, *, progress: bool = False) -> None:
    """Write every image of `variant` in `archive` into `folder` as PNG, all of them or none.

    The file holds one table per camera pair, with a row per person and ten cells per row: five of
    the pair's first camera, five of its second, some of them empty. The names that the new
    protocol lists follow from the position: pair, person, camera of the pair, cell, all counted
    from 1, as in `1_001_2_06.png`.

    Args:
        archive: `cuhk-03.mat`.
        variant: "labeled" or "detected".
        folder: absent, empty, or to be replaced.
        progress: show a bar.

    Raises:
        ValueError: the file is damaged or something else, h5py is needed and not installed, or
            the folder cannot be written.
    """
    with staging(folder, keep=lambda: folder.is_dir() and bool(image_names(folder))) as work:
        try:
            cells = _hdf5(archive, variant) if _is_hdf5(archive) else _matlab5(archive, variant)
            bar = tqdm(
                cells, desc=f"{archive.name}: {variant}", unit=" people", disable=not progress
            )
            for pair, person, images in bar:
                _write(work, pair, person, images)
        except ImportError:
            raise ValueError(
                f"{archive} is a MATLAB 7.3 file (HDF5), and the package h5py that reads it is "
                "not installed: pip install h5py, which the extra reidlab[mat] brings"
            ) from None
        except Exception as error:  # damage shows itself in every way a parser can fail
            raise ValueError(
                f"{archive}: the images of {variant!r} cannot be taken out ({error!r}); is it "
                "complete, and the original file?"
            ) from None
        if not image_names(work):
            raise ValueError(f"{archive} holds no images of {variant!r}")


def _is_hdf5(archive: Path) -> bool:
    with open(archive, "rb") as file:
        start = file.read(520)
    return start.startswith(SIGNATURE) or start[512:] == SIGNATURE


def _matlab5(archive: Path, variant: str) -> Cells:
    from scipy.io import loadmat

    pairs = loadmat(archive, variable_names=[variant])[variant].ravel()
    for pair, table in enumerate(pairs):  # (people, 10)
        for person, row in enumerate(table):
            yield pair, person, list(row)


def _hdf5(archive: Path, variant: str) -> Cells:
    import h5py

    with h5py.File(archive, "r") as opened:
        file: Any = opened  # each cell is a reference to look up in the file
        for pair, reference in enumerate(np.ravel(file[variant][()])):
            table = file[reference][()].T  # MATLAB writes columns first -> (people, 10)
            for person, row in enumerate(table):
                yield pair, person, [file[cell][()].T for cell in row]


def _write(folder: Path, pair: int, person: int, images: list[np.ndarray]) -> None:
    for cell, pixels in enumerate(images):
        if pixels.ndim < 3 or pixels.size == 0:  # nobody saw this person so often
            continue
        camera = 1 if cell < FIRST_CAMERA else 2
        name = f"{pair + 1}_{person + 1:03d}_{camera}_{cell + 1:02d}.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name, compress_level=1)
