"""`reidlab embed MODEL --out FILE`."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro
from torch import nn

from reidlab.checkpoints import load_model, read_card
from reidlab.cli import complain
from reidlab.cli.official import Unseen, check_unlabelled, settle_cameras
from reidlab.cli.parsing import parse
from reidlab.cli.reading import Reading, read_again
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Samples, Splits
from reidlab.embedding import (
    Embeddings,
    check_target,
    common_folder,
    embed_blocks,
    save_blocks,
)
from reidlab.paths import readable
from reidlab.ranking.index.origin import weights_digest

EXAMPLES = """
  reidlab embed run --part gallery --out gallery.parquet
  reidlab embed run --data Market-1501-v15.09.15 --out market.parquet
  reidlab embed run --data crops --unlabelled --on-error skip --out crops.parquet

Read them with pandas.read_parquet or numpy.load, or as a record with reidlab.embedding:
load_embeddings("gallery.parquet").
"""

Part = Literal["all", "query", "gallery", "train", "validation-query", "validation-gallery"]


@dataclass(frozen=True)
class Embed:
    """Write the features of a dataset's images to a file, with person, camera and path.

    A .parquet file is written as the features come and needs little memory (and pyarrow); an .npz
    file is collected in memory first. Either appears when it is complete. Without --data, the
    dataset of the training run is read again.
    """

    model: tyro.conf.Positional[Path]
    """Folder of a training run, a .safetensors file, or the name of a shipped checkpoint."""
    out: Path
    """File to write; its name ends in .parquet or .npz."""
    data: str | None = None
    """A dataset's name, a folder (laid out like a benchmark, or one per person), or a CSV."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    part: Part = "all"
    """Which images; all of them come in the order train, validation, query, gallery."""
    unlabelled: bool = False
    """--data is a folder of crops, and nobody says who they show; persons are then numbered."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the features of image and mirror."""
    neck: Literal["before", "after", "global", "local"] | None = None
    """Side of the neck, or of AlignedReID the feature; by default the one the method publishes."""
    unseen: Unseen | None = None
    """Of a network that was told cameras, on other data than it was trained on: all images get the
    mean of its cameras, or none; error: they are the same cameras."""
    batch_size: int = 128
    """Images per step."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images, or leave them out with a warning."""


def main(argv: Sequence[str]) -> None:
    """Parse, embed, print one line."""
    options = parse(Embed, "embed", argv, examples=EXAMPLES)
    out = check_target(options.out)
    try:
        print(_embed(options, out))
    except KeyboardInterrupt:
        complain(f"interrupted; {out} was not written, the same command starts again", 130)


def _embed(options: Embed, out: Path) -> str:
    """Features to the file `out`, block by block; a line that sums up."""
    model, _ = load_model(options.model)
    card = read_card(options.model)
    splits = _read(options, card)
    if options.unlabelled:
        check_unlabelled(model, options.unseen)
    settle_cameras(model, card, splits, _named(options), options.unseen)
    samples = _chosen(options, splits)
    flip = bool(card.get("flip", False)) if options.flip == "recipe" else options.flip == "yes"
    count = _Count()
    blocks = embed_blocks(
        model,
        samples,
        flip=flip,
        neck=options.neck,
        batch_size=options.batch_size,
        device=options.device,
        on_error=options.on_error,
        progress=sys.stderr.isatty(),
    )
    folder = common_folder(sample.path for part in _parts(splits).values() for sample in part)
    metadata = _metadata(options, card, model, splits) | {"flip": flip}
    save_blocks(out, count.passing(blocks), folder=folder, metadata=metadata)
    return count.summary(out)


def _read(options: Embed, card: dict[str, Any]) -> Splits:
    """The dataset named on the command line, else that of the training run, unchanged."""
    if options.unlabelled:
        if options.data is None:
            raise ValueError("--unlabelled: name the folder of crops with --data")
        watched = sys.stderr.isatty()
        return read_dataset(options.data, options.root, layout="unlabelled", progress=watched)
    trained = Reading.of_card(card)
    if (named := _named(options)) is not None:
        return named.like(trained).splits()
    if options.root or options.variant:
        raise ValueError("--root and --variant belong to --data; name a dataset")
    return read_again(trained, card.get("data", {}).get("fingerprint"), options.model, "embed")


def _named(options: Embed) -> Reading | None:
    """The dataset of --data."""
    if options.data is None:
        return None
    return Reading.of(options.data, options.root, variant=options.variant)


def _parts(splits: Splits) -> dict[str, Sequence[Any]]:
    return {
        "train": splits.train,
        "validation-query": splits.validation[0],
        "validation-gallery": splits.validation[1],
        "query": splits.query,
        "gallery": splits.gallery,
    }


def _chosen(options: Embed, splits: Splits) -> Sequence[Any]:
    """The samples of --part; an error names the parts that there are."""
    parts = _parts(splits)
    if options.part == "all":
        every = (sample for part in parts.values() for sample in part)
        return Samples(every, splits.cameras, splits.name, splits.views)
    if not parts[options.part]:
        there = ", ".join(f"{name} ({len(part):,})" for name, part in parts.items() if part)
        raise ValueError(f"{splits.name} has no {options.part} images; it has {there}")
    return parts[options.part]


def _metadata(
    options: Embed, card: dict[str, Any], model: nn.Module, splits: Splits
) -> dict[str, Any]:
    """What features came from, as far as it decides them."""
    preprocess: Any = model.preprocess
    path = options.model.expanduser()
    return {
        "model": {
            "name": card["origin"]["model"],
            "method": card.get("method"),
            "path": str(path.resolve() if path.exists() else options.model),
            "card": hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:16],
            "weights": weights_digest(model),
        },
        "data": {
            "name": splits.name,
            "fingerprint": splits.fingerprint,
            "part": options.part,
            "labelled": not options.unlabelled,
        },
        "neck": options.neck or getattr(model, "default_neck", None),
        **({} if options.unseen is None else {"unseen": options.unseen}),
        "size": list(preprocess.size),
    }


@dataclass
class _Count:
    """Counts embeddings on their way to the file, and the time since it was made."""

    images: int = 0
    width: int = 0
    start: float = field(default_factory=time.perf_counter)

    def passing(self, blocks: Iterable[Embeddings]) -> Iterator[Embeddings]:
        """The blocks as they come."""
        for block in blocks:
            self.images += len(block)
            self.width = block.features.shape[1]
            yield block

    def summary(self, file: Path) -> str:
        """`gallery.parquet: 3,010 images x 512, 6.2 MB, 12.3 seconds, 245 images/s`."""
        seconds = time.perf_counter() - self.start
        size = readable(file.stat().st_size)
        return (
            f"{file}: {self.images:,} images x {self.width}, {size}, "
            f"{seconds:.1f} seconds, {self.images / seconds:.0f} images/s"
        )
