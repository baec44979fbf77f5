"""`reidlab data make`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reidlab.cli.parsing import parse
from reidlab.data.readers import read_dataset
from reidlab.data.synthetic.dataset import make_dataset
from reidlab.data.synthetic.plan import SyntheticOptions

EXAMPLES = """
  reidlab data make --out people
  reidlab data make --out hard --difficulty hard --seed 1
  reidlab data make --out large --size 256 128 --ids 50 --test-ids 50
"""


@dataclass(frozen=True)
class Make:
    """Render a synthetic dataset of pedestrians, laid out on disk exactly like Market-1501.

    A folder that already holds these very images is checked and kept. Without --out the dataset
    goes to the cache, where `read_dataset("synthetic")` finds it.
    """

    out: Path | None = None
    """Folder to write."""
    options: SyntheticOptions = field(default_factory=SyntheticOptions)
    """What to render."""
    overwrite: bool = False
    """Replace a dataset that was made with other options."""


def main(argv: Sequence[str]) -> None:
    """Parse, render, print the fingerprint table."""
    make = parse(Make, "data make", argv, examples=EXAMPLES)
    start, watched = time.perf_counter(), sys.stderr.isatty()
    if make.out is None:
        print(read_dataset("synthetic", **vars(make.options), progress=watched))
        return
    folder = make_dataset(make.out, make.options, overwrite=make.overwrite, progress=watched)
    print(read_dataset(folder))
    print(f"{folder}: {time.perf_counter() - start:.0f} seconds")
    print(f"next: reidlab train baseline --data {folder} --out run")
