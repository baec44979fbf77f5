"""`reidlab attributes IMAGE ... --model RUN`, or `--data DATASET`, or `--find WISH`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from reidlab.calibration.temperature import AttributeCalibration
from reidlab.checkpoints import read_card
from reidlab.cli.attribute_data import Labelled, evaluate_on, read_labelled
from reidlab.cli.attribute_output import (
    as_text,
    checked_targets,
    flat_rows,
    full_rows,
    say,
    write_json,
    write_picture,
    write_table,
)
from reidlab.cli.attribute_wishes import find
from reidlab.cli.parsing import parse
from reidlab.cli.search import printable
from reidlab.embedding.attributes import AttributePredictions
from reidlab.embedding.own_attributes import attribute_model, describe_images

EXAMPLES = """
  reidlab attributes crop.jpg --model run
  reidlab attributes crop.jpg my_crops --model run --out card.png --csv attributes.csv
  reidlab attributes my_crops --model run --find "red top, backpack" --out hits.png
  reidlab attributes --model run --data synthetic
  reidlab attributes --model run --data Market-1501-v15.09.15 --official gallery_market.mat
  reidlab attributes --model run --data synthetic --find "hat" --find "woman, long hair" --k 5

In Python: found = reidlab.describe_images("run", "crop.jpg"), then
reidlab.plots.attribute_card(found).
"""
SHOWN, HITS = 6, 10  # images of the picture, and places of a wish, where --k does not say


@dataclass(frozen=True)
class Attributes:
    """What a model says about the people on images: twelve attributes, each with a probability.

    With --data, the labelled test people of a dataset take the place of own images, and the answers
    are scored beside those of always guessing what most people are. With --find, images are ranked
    by how likely all wanted attributes hold together. Nothing is written unless a flag says where.
    """

    images: tyro.conf.Positional[
        Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[IMAGE|FOLDER ...]")]
    ] = ()
    """Image files, and folders of them."""
    model: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Folder of a training run, a .safetensors file, or the name of a shipped checkpoint."""
    data: str | None = None
    """Instead of images: a dataset's name, a folder, or a CSV."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    annotations: Path | None = None
    """Of --data: market_attribute.mat or a CSV, where the dataset's folder holds neither."""
    find: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Rank by a wish such as "red top, backpack"; more than one --find is more than one ranking."""
    k: int | None = None
    """Places of each --find, 10 by default; else crops in the picture, 6 by default."""
    out: Path | None = None
    """Draw the answers (--find: the hits; --data: the scores) into a .png, .jpg, .pdf or .svg."""
    csv: Path | None = None
    """Write a table: a row per image, or per hit of --find."""
    json: Path | None = None
    """Write the same with the probability of every class; with --data, the scores."""
    official: Path | None = None
    """Of --data: write the gallery's answers as the 12-column .mat of Market-1501's evaluator."""
    overwrite: bool = False
    """Replace files that are there; images that are looked at are never replaced."""
    calibration: Literal["card", "none"] | None = None
    """Correct the probabilities as the model's card says. By default only --find does so, where the
    card says it: that undoes class weights, and rare answers become as rare as they are."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the logits of image and mirror."""
    batch_size: int = 128
    """Images per step."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images, or leave them out with a warning."""

    def check(self) -> None:
        """Complain of flags that do not go together.

        Raises:
            ValueError: no model, images and a dataset, neither, or a flag without effect.
        """
        if self.model is None:
            raise ValueError("which model? name the folder of a training with --model RUN")
        if bool(self.images) == (self.data is not None):
            got = f"both {self.images[0]} and --data {self.data}" if self.images else "neither"
            raise ValueError(f"expected image files or folders, or --data DATASET, got {got}")
        if self.k is not None and self.k < 1:
            raise ValueError(f"--k must be at least 1, got {self.k}")
        of_data = ("root", "variant", "annotations", "official")
        given = [name for name in of_data if getattr(self, name) is not None]
        if given and self.data is None:
            raise ValueError(f"--{given[0]} belongs to --data; name a dataset")
        if self.find and self.official is not None:
            raise ValueError("--official is for scores, not for --find; leave one out")
        scored = self.data is not None and not self.find
        if self.k is not None and (scored or not (self.find or self.out)):
            raise ValueError("--k is for --find, and for the picture of own images; leave it out")


def main(argv: Sequence[str]) -> None:
    """Parse, look, write, print."""
    options = parse(Attributes, "attributes", argv, examples=EXAMPLES)
    options.check()
    assert options.model is not None
    targets = _targets(options)
    net = attribute_model(options.model)
    card = read_card(options.model)
    flip = bool(card.get("flip", False)) if options.flip == "recipe" else options.flip == "yes"
    calibration = _calibration(options, card)
    settings: dict[str, Any] = {"flip": flip, "batch_size": options.batch_size}
    settings |= {"device": options.device, "on_error": options.on_error}
    settings |= {"progress": sys.stderr.isatty()}
    if options.data is None:
        images, own = list(options.images), {**settings, "calibration": calibration}
        found = describe_images(net, images, **own)
        if options.find:
            find(found, options.find, options.k or HITS, targets)
        else:
            _describe(found, options.k or SHOWN, targets)
        return
    asked = read_labelled(
        options.data, options.root, options.variant, options.annotations, card, bool(options.find)
    )
    labelled = Labelled.predict(net, asked, calibration, settings)
    if options.find:
        find(labelled.predictions, options.find, options.k or HITS, targets, labelled.truth)
    else:
        evaluate_on(labelled, targets)


def _targets(options: Attributes) -> dict[str, Path]:
    """Files to write, by flag, after all names were checked."""
    files = {name: getattr(options, name) for name in ("out", "csv", "json", "official")}
    images = [*options.images, *([options.annotations] if options.annotations else [])]
    images += _files_of(options.model) if options.model is not None else []
    dataset = Path(options.data).expanduser() if options.data else None
    dataset = dataset if dataset and dataset.exists() else None
    return checked_targets(files, images, dataset, options.overwrite)


def _files_of(model: Path) -> list[Path]:
    """The files of a model, which nothing may replace."""
    path = model.expanduser()
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    return [path, path.with_suffix(".json")] if path.is_file() else []


def _calibration(options: Attributes, card: dict[str, Any]) -> AttributeCalibration | None:
    """What turns the model's logits into probabilities, where its card says it and it is wanted."""
    usual = "card" if options.find else "none"
    if options.calibration == "card" and "calibration" not in card:
        raise ValueError(
            f"the card of {options.model} holds no calibration; `reidlab train attributes` writes "
            "one. Leave out --calibration card for the probabilities as they are"
        )
    if (options.calibration or usual) == "none" or "calibration" not in card:
        return None
    return AttributeCalibration.from_dict(card["calibration"], f"the card of {options.model}")


def _describe(found: AttributePredictions, k: int, targets: dict[str, Path]) -> None:
    """Table, picture and files of the answers on own images."""
    lines = [as_text(found)]
    if "csv" in targets:
        write_table(targets["csv"], flat_rows(found))
    if "json" in targets:
        write_json(targets["json"], full_rows(found))
    if "out" in targets:
        from reidlab.plots.card import attribute_card

        write_picture(attribute_card(found, k=k), targets["out"])
    some = f" (the first {k} of {len(found):,} images)" if len(found) > k else ""
    notes = {"out": some}
    names = {"out": "picture", "csv": "table", "json": "json"}
    lines += [f"{names[f]}: {printable(path)}{notes.get(f, '')}" for f, path in targets.items()]
    say("\n".join(lines))
