"""`reidlab evaluate RUN`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from reidlab.checkpoints import atomic_write, load_model, read_card
from reidlab.cli.parsing import parse
from reidlab.cli.train import read_options, remembered
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Splits
from reidlab.embedding import embed
from reidlab.evaluation import Scores, evaluate
from reidlab.paths import make_folder
from reidlab.ranking import rank

EXAMPLES = """
  reidlab evaluate run
  reidlab evaluate run --data Market-1501-v15.09.15 --ap trapezoid
  reidlab evaluate run --split validation --picture hits.png
"""


@dataclass(frozen=True)
class Evaluate:
    """Score a trained model under the Market-1501 protocol; the scores also go to RUN, as JSON.

    Without --data, the dataset of the training run is read again.
    """

    run: tyro.conf.Positional[Path]
    """Folder of a training run, or a .safetensors file."""
    data: str | None = None
    """A dataset's name, or a folder laid out like Market-1501."""
    split: Literal["test", "validation"] = "test"
    """Which query and gallery."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the features of image and mirror."""
    neck: Literal["before", "after"] | None = None
    """Side of the neck; by default the one the method publishes."""
    ap: Literal["plain", "trapezoid"] = "plain"
    """Form of average precision."""
    batch_size: int = 128
    """Images per step."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images, or leave them out with a warning."""
    picture: Path | None = None
    """Also draw the first queries and their hits into this file."""


def main(argv: Sequence[str]) -> None:
    """Parse, embed, score, print."""
    options = parse(Evaluate, "evaluate", argv, examples=EXAMPLES)
    _check_picture(options.picture)
    model, _ = load_model(options.run)
    card = read_card(options.run)
    splits = _read(options, card)
    parts = splits.validation if options.split == "validation" else (splits.query, splits.gallery)
    if not parts[0]:
        raise ValueError(
            f"{splits.name} has no {options.split} queries; train with --validation-ids N to hold "
            "people out, or score --split test"
        )
    settings: dict[str, Any] = {
        "flip": _flip(options, card),
        "neck": options.neck,
        "batch_size": options.batch_size,
        "device": options.device,
        "on_error": options.on_error,
        "progress": sys.stderr.isatty(),
    }
    query, gallery = (embed(model, part, **settings) for part in parts)
    scores = evaluate(query, gallery, ap=options.ap)
    print(scores)
    used = {name: settings[name] for name in ("flip", "neck", "on_error")}
    used |= {"split": options.split, "fingerprint": splits.fingerprint}
    run = options.run.expanduser()
    folder = run if run.is_dir() else run.parent
    atomic_write(folder / _scores_name(options, splits), as_json(scores, used))
    if options.picture is not None:
        from reidlab.plots import gallery_strip

        figure = gallery_strip(rank(query, gallery, k=min(8, len(gallery))))
        figure.savefig(options.picture, dpi=110, bbox_inches="tight")
        print(f"picture: {options.picture}")


def _check_picture(picture: Path | None) -> None:
    """Complain before the work, not after it."""
    if picture is None:
        return
    if picture.suffix.lower() not in (".png", ".jpg", ".jpeg", ".pdf", ".svg"):
        raise ValueError(
            f"--picture {picture}: expected a name that ends in .png, .jpg, .pdf, .svg"
        )
    make_folder(picture.parent)


def _read(options: Evaluate, card: dict[str, Any]) -> Splits:
    """The dataset named on the command line, else that of the training run, unchanged."""
    trained = card.get("data", {})
    data = trained.get("read") if options.data is None else remembered(options.data)
    if data is None:
        raise ValueError(f"{options.run} does not say its dataset; name one with --data")
    held_out = trained.get("validation_ids", 0) if data == trained.get("read") else 0
    splits = read_dataset(data, **read_options(data, held_out))
    if options.data is None and splits.fingerprint != trained.get("fingerprint"):
        raise ValueError(
            f"{data} has changed since {options.run} was trained on it (fingerprint "
            f"{splits.fingerprint}, then {trained.get('fingerprint')}); to score on it as it is "
            f"now, name it: --data {data}"
        )
    return splits


def _scores_name(options: Evaluate, splits: Splits) -> str:
    """`scores.json` for the test people of the training's dataset, else a name that says more."""
    parts = [] if options.split == "test" else [options.split]
    parts += [] if options.data is None else [splits.name]
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")
    return f"scores-{slug}.json" if slug else "scores.json"


def _flip(options: Evaluate, card: dict[str, Any]) -> bool:
    if options.flip == "recipe":
        return bool(card.get("flip", False))
    return options.flip == "yes"


def as_json(scores: Scores, settings: dict[str, Any]) -> str:
    """The scores as JSON text, with the settings that led to them."""
    content = {
        "protocol": scores.protocol,
        "ap": scores.ap,
        "source": scores.source,
        **settings,
        "mAP": scores.mean_ap,
        "mINP": scores.mean_inp,
        "cmc": [float(value) for value in scores.cmc],
        "valid_queries": scores.num_valid_queries,
    }
    return json.dumps(content, indent=2) + "\n"
