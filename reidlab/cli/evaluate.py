"""`reidlab evaluate RUN`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from reidlab.checkpoints import atomic_write, load_model, read_card
from reidlab.cli.parsing import parse
from reidlab.data.readers import read_dataset
from reidlab.embedding import embed
from reidlab.evaluation import Scores, evaluate
from reidlab.ranking import rank

EXAMPLES = """
  reidlab evaluate run
  reidlab evaluate run --data Market-1501-v15.09.15 --ap trapezoid
  reidlab evaluate run --split validation --picture hits.png
"""


@dataclass(frozen=True)
class Evaluate:
    """Score a trained model under the Market-1501 protocol; the table also goes to RUN/scores.json.

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
    model, _ = load_model(options.run)
    card = read_card(options.run)
    splits = read_dataset(*_dataset(options, card), **_held_out(options, card))
    parts = splits.validation if options.split == "validation" else (splits.query, splits.gallery)
    if not parts[0]:
        raise ValueError(f"{splits.name} has no {options.split} queries")
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
    folder = options.run if options.run.is_dir() else options.run.parent
    used = {name: settings[name] for name in ("flip", "neck")} | {"split": options.split}
    atomic_write(folder / "scores.json", as_json(scores, used, splits.fingerprint))
    if options.picture is not None:
        from reidlab.plots import gallery_strip

        figure = gallery_strip(rank(query, gallery, k=min(8, len(gallery))))
        figure.savefig(options.picture, dpi=110, bbox_inches="tight")
        print(f"picture: {options.picture}")


def _dataset(options: Evaluate, card: dict[str, Any]) -> tuple[str]:
    if options.data is not None:
        return (options.data,)
    try:
        return (card["data"]["read"],)
    except (KeyError, TypeError):
        raise ValueError(f"{options.run} does not say its dataset; name one with --data") from None


def _flip(options: Evaluate, card: dict[str, Any]) -> bool:
    if options.flip == "recipe":
        return bool(card.get("flip", False))
    return options.flip == "yes"


def _held_out(options: Evaluate, card: dict[str, Any]) -> dict[str, Any]:
    held_out = card.get("data", {}).get("validation_ids", 0) if options.data is None else 0
    return {"validation_ids": held_out} if held_out else {}


def as_json(scores: Scores, settings: dict[str, Any], fingerprint: str) -> str:
    """The scores as JSON text, with the settings that led to them."""
    content = {
        "protocol": scores.protocol,
        "source": scores.source,
        "fingerprint": fingerprint,
        **settings,
        "mAP": scores.mean_ap,
        "mINP": scores.mean_inp,
        "cmc": [float(value) for value in scores.cmc],
        "valid_queries": scores.num_valid_queries,
    }
    return json.dumps(content, indent=2) + "\n"
