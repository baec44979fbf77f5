"""`reidlab evaluate RUN`, `reidlab evaluate --official SOURCE FILE`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from torch import nn

from reidlab.checkpoints import atomic_write, load_model, load_official, read_card
from reidlab.cli.parsing import parse
from reidlab.cli.reading import Reading, read_again
from reidlab.data.samples import Splits, people
from reidlab.embedding import embed
from reidlab.evaluation import Scores, evaluate
from reidlab.paths import make_folder
from reidlab.ranking import rank

EXAMPLES = """
  reidlab evaluate run
  reidlab evaluate run --data Market-1501-v15.09.15 --ap trapezoid
  reidlab evaluate run --split validation --picture hits.png
  reidlab evaluate --official strong-baseline resnet50.pth --data Market-1501-v15.09.15
  reidlab evaluate --official transreid resnet50.pth --data Market-1501-v15.09.15 --flip yes
"""


@dataclass(frozen=True)
class Evaluate:
    """Score a trained model under the Market-1501 protocol; the scores also go to RUN, as JSON.

    Without --data, the dataset of the training run is read again. The weights of another project
    take the place of RUN with --official; their dataset is named with --data.
    """

    run: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[RUN]")]] = None
    """Folder of a training run, or a .safetensors file."""
    official: Annotated[tuple[str, Path] | None, tyro.conf.arg(metavar="SOURCE FILE")] = None
    """Instead of RUN: a project (strong-baseline, transreid) and a file with its weights."""
    image_size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Of --official: pixels that the weights were trained for; by default 256 128."""
    last_stride: Literal[1, 2] | None = None
    """Of --official: stride of the last stage; by default 1."""
    data: str | None = None
    """A dataset's name, a folder (laid out like a benchmark, or one per person), or a CSV."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    test_ids: int = 0
    """People held out as query and gallery, where --data names none."""
    out: Path | None = None
    """Folder for the scores; by default RUN, or runs/official-SOURCE-FILE here."""
    split: Literal["test", "validation"] = "test"
    """Which query and gallery."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the features of image and mirror; of --official, recipe means no."""
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
    model, card = _load(options)
    splits = _read(options, card)
    parts = splits.validation if options.split == "validation" else (splits.query, splits.gallery)
    if not parts[0]:
        flag, other = ("--validation-ids", "test")
        if options.split == "test":
            flag, other = ("--test-ids", "validation")
        raise ValueError(
            f"{splits.name} has no {options.split} queries; train with {flag} N to hold people "
            f"out, or score --split {other}"
        )
    folder = make_folder(_folder(options))
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
    used = {name: settings[name] for name in ("flip", "neck", "on_error")}
    used |= {"split": options.split, "fingerprint": splits.fingerprint}
    if options.official is not None:  # without a run's folder, the scores say whose weights
        source, file = options.official
        scores = replace(scores, source=f"{source} on {scores.source}")
        used |= {**card["origin"]["start"], "file": str(file)}
    print(scores)
    atomic_write(folder / _scores_name(options, splits), as_json(scores, used))
    if options.picture is not None:
        from reidlab.plots import gallery_strip

        figure = gallery_strip(rank(query, gallery, k=min(8, len(gallery))))
        figure.savefig(options.picture, dpi=110, bbox_inches="tight")
        print(f"picture: {options.picture}")


def _load(options: Evaluate) -> tuple[nn.Module, dict[str, Any]]:
    """The network of RUN or of --official, and its card."""
    flags = {"image_size": options.image_size, "last_stride": options.last_stride}
    settings = {name: value for name, value in flags.items() if value is not None}
    if (options.run is None) == (options.official is None):
        got = "got neither" if options.run is None else f"got both (RUN is {options.run})"
        raise ValueError(
            f"which model? name the folder RUN of a training, or --official SOURCE FILE; {got}"
        )
    if options.run is not None:
        if settings:
            listed = ", ".join("--" + name.replace("_", "-") for name in settings)
            raise ValueError(f"{listed}: only for --official; {options.run} has a card that says")
        return load_model(options.run)[0], read_card(options.run)
    assert options.official is not None
    source, file = options.official
    if options.data is None:
        raise ValueError(f"{file} does not say its dataset; name one with --data")
    model = load_official(source, file, **settings)
    return model, {"origin": model.origin}


def _folder(options: Evaluate) -> Path:
    """Where the scores go."""
    if options.out is not None:
        return options.out.expanduser()
    if options.official is not None:
        source, file = options.official
        return Path("runs") / f"official-{source}-{file.stem}"
    assert options.run is not None
    run = options.run.expanduser()
    return run if run.is_dir() else run.parent


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
    trained = Reading.of_card(card)
    if options.data is not None:
        named = Reading.of(
            options.data, options.root, variant=options.variant, test_ids=options.test_ids
        )
        splits = named.like(trained).splits()
        if trained is not None and named.same_place(trained):
            _check_strangers(splits, card["data"].get("ids", []))
        return splits
    if options.root or options.variant or options.test_ids:
        raise ValueError("--root, --variant and --test-ids belong to --data; name a dataset")
    assert options.run is not None
    return read_again(trained, card.get("data", {}).get("fingerprint"), options.run, "score on")


def _check_strangers(splits: Splits, learnt: Sequence[int]) -> None:
    """Raise when people of the test were trained on: the score would mean nothing."""
    asked = people(splits.query)
    if known := sorted(asked & set(learnt)):
        raise ValueError(
            f"{len(known)} of {len(asked)} query people, for instance {known[0]}, were trained on; "
            "hold them out of training (train --test-ids N), then leave out --test-ids here"
        )


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
