"""`reidlab data make`: labelled sets, and with `--unlabelled N` images without labels."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reidlab.cli.parsing import parse
from reidlab.data.readers import read_dataset
from reidlab.data.synthetic.dataset import make_dataset
from reidlab.data.synthetic.options import SyntheticOptions, UnlabelledOptions
from reidlab.data.synthetic.unlabelled import make_unlabelled, read_unlabelled_truth
from reidlab.data.variants import with_variant

UNLABELLED = "--unlabelled"
EXAMPLES = """
  reidlab data make --out people
  reidlab data make --variant wide --out many
  reidlab data make --out hard --difficulty hard --seed 1
  reidlab data make --out large --size 256 128 --ids 50 --test-ids 50
  reidlab data make --unlabelled 8000 --out crowd    (flags: data make --unlabelled --help)
"""
UNLABELLED_EXAMPLES = """
  reidlab data make --unlabelled 8000 --out crowd
  reidlab data make --unlabelled 8000 --out crowd --world c --supersample 1
  reidlab data make --unlabelled 100000 --out clean --poor 0 --ids 20000
"""


@dataclass(frozen=True)
class Make:
    """Render a synthetic dataset of pedestrians, laid out on disk exactly like Market-1501.

    A folder that already holds these very images is checked and kept. Without --out the dataset
    goes to the cache, where `read_dataset("synthetic")` finds it. With --unlabelled N it is N
    images without labels instead, for self-supervised learning.
    """

    out: Path | None = None
    """Folder to write."""
    options: SyntheticOptions = field(default_factory=SyntheticOptions)
    """What to render."""
    variant: str | None = None
    """wide: 1,600 + 200 + 800 people with two images each, for attributes; crowd: what the shipped
    weights learnt from. Other flags win."""
    overwrite: bool = False
    """Replace a dataset that was made with other options."""


@dataclass(frozen=True)
class MakeUnlabelled:
    """Render images without labels, as many as wanted, for self-supervised learning.

    They come in folders of a thousand. A run that was interrupted continues, and a larger number
    makes a set longer. The folder truth/ says who is shown: to check a filter, not to train on.
    """

    unlabelled: int
    """Number of images."""
    out: Path
    """Folder to write."""
    options: UnlabelledOptions = field(default_factory=UnlabelledOptions)
    """What to render."""
    overwrite: bool = False
    """Replace a set that was made with other options or is longer."""


def main(argv: Sequence[str]) -> None:
    """Parse, render, say what there is now."""
    if any(word == UNLABELLED or word.startswith(f"{UNLABELLED}=") for word in argv):
        _unlabelled(argv)
    else:
        _labelled(argv)


def _labelled(argv: Sequence[str]) -> None:
    options = SyntheticOptions(**with_variant({"variant": _variant(argv)}))
    make = parse(Make, "data make", argv, examples=EXAMPLES, default=Make(options=options))
    start, watched = time.perf_counter(), sys.stderr.isatty()
    if make.out is None:
        print(read_dataset("synthetic", **vars(make.options), progress=watched))
        return
    folder = make_dataset(make.out, make.options, overwrite=make.overwrite, progress=watched)
    print(read_dataset(folder))
    print(f"{folder}: {time.perf_counter() - start:.0f} seconds")
    method = "attributes" if make.variant == "wide" else "baseline"
    print(f"next: reidlab train {method} --data {folder} --out run")


def _variant(argv: Sequence[str]) -> str | None:
    """The variant, read before the real parsing since it decides the defaults of other flags."""
    words = [part for word in argv for part in word.split("=", 1)]
    return words[words.index("--variant") + 1] if "--variant" in words[:-1] else None


def _unlabelled(argv: Sequence[str]) -> None:
    asked = ["--help"] if {"-h", "--help"} & set(argv) else argv  # also without a number
    name = f"data make {UNLABELLED} N"
    make = parse(MakeUnlabelled, name, asked, examples=UNLABELLED_EXAMPLES)
    start, watched = time.perf_counter(), sys.stderr.isatty()
    folder = make_unlabelled(
        make.out,
        make.unlabelled,
        **vars(make.options),
        overwrite=make.overwrite,
        progress=watched,
    )
    rows = read_unlabelled_truth(folder)
    spoiled = Counter(row.poor for row in rows if row.poor)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(spoiled.items()))
    people = len({row.pid for row in rows if row.pid})
    poor = f"{spoiled.total():,} of them poor crops" + (f" ({kinds})" if kinds else "")
    print(f"{len(rows):,} images of {people:,} people, {poor}")
    print(f"{folder}: {time.perf_counter() - start:.0f} seconds")
