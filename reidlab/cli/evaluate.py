"""`reidlab evaluate RUN`, or `--official SOURCE FILE`, or `--embeddings QUERY GALLERY`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from torch import nn

from reidlab.checkpoints import atomic_write, load_model, load_official, read_card
from reidlab.cli.feature_files import read_sides
from reidlab.cli.official import OfficialSettings, Unseen, check_cameras, settle_cameras
from reidlab.cli.parsing import checked_picture, parse
from reidlab.cli.reading import Reading, read_again
from reidlab.cli.scoring import Scoring, Stripes, as_json
from reidlab.data.samples import Splits, people
from reidlab.embedding import Embeddings, embed
from reidlab.paths import make_folder, pick_device, whole_file
from reidlab.ranking import rank

EXAMPLES = """
  reidlab evaluate run
  reidlab evaluate run --data Market-1501-v15.09.15 --ap trapezoid
  reidlab evaluate run --split validation --picture hits.png
  reidlab evaluate --official strong-baseline resnet50.pth --data Market-1501-v15.09.15
  reidlab evaluate --official transreid resnet50.pth --data Market-1501-v15.09.15 --flip yes
  reidlab evaluate --official transreid vit.pth --num-cameras 6 --data Market-1501-v15.09.15
  reidlab evaluate run --data other --unseen mean
  reidlab evaluate run --protocol all
  reidlab evaluate run --local aligned
  reidlab evaluate run --rerank zhong --k1 20 --k2 6 --weight 0.3
  reidlab evaluate --embeddings query.parquet gallery.parquet --expand 1
"""


@dataclass(frozen=True)
class Evaluate:
    """Score a trained model, by default under the Market-1501 protocol; JSON goes to RUN, too.

    Without --data, the dataset of the training run is read again. The weights of another project
    take the place of RUN with --official; their dataset is named with --data. With --embeddings,
    files of `reidlab embed` are scored and no model is needed.
    """

    run: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[RUN]")]] = None
    """Folder of a training run, or a .safetensors file."""
    official: Annotated[tuple[str, Path] | None, tyro.conf.arg(metavar="SOURCE FILE")] = None
    """Instead of RUN: a project (strong-baseline, alignedreid, ...) and a file with its weights."""
    embeddings: Annotated[tuple[Path, Path] | None, tyro.conf.arg(metavar="QUERY GALLERY")] = None
    """Instead of RUN: two files written by `reidlab embed`."""
    weights: OfficialSettings = field(default_factory=OfficialSettings)
    data: str | None = None
    """A dataset's name, a folder (laid out like a benchmark, or one per person), or a CSV."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several."""
    test_ids: int = 0
    """People held out as query and gallery, where --data names none."""
    out: Path | None = None
    """By default RUN, or here runs/official-SOURCE-FILE, runs/embeddings-GALLERY-WEIGHTS."""
    split: Literal["test", "validation"] = "test"
    """Which query and gallery."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the features of image and mirror; of --official, recipe means no."""
    neck: Literal["before", "after", "global", "local"] | None = None
    """Side of the neck, or of AlignedReID the feature; by default the one the method publishes."""
    unseen: Unseen | None = None
    """Of a network that was told cameras, on other data than it was trained on: all images get the
    mean of its cameras, or none; error: they are the same cameras."""
    batch_size: int = 128
    """Images per step."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU; with --embeddings, the CPU."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images, or leave them out with a warning."""
    picture: Path | None = None
    """Also draw the first queries and their hits into this file."""
    scoring: Scoring = field(default_factory=Scoring)


def main(argv: Sequence[str]) -> None:
    """Parse, embed or read features, score, print."""
    options = parse(Evaluate, "evaluate", argv, examples=EXAMPLES)
    options.scoring.check()
    picture = checked_picture(options.picture)
    features = _of_files(options) if options.embeddings is not None else _of_model(options)
    watched = sys.stderr.isatty()
    query, gallery, distance = options.scoring.prepare(
        features.query, features.gallery, features.stripes, progress=watched
    )
    result = options.scoring.score(query, gallery, distance, features.source)
    print(result)
    settings = features.settings | options.scoring.as_dict()
    atomic_write(features.folder / _scores_name(options, features), as_json(result, settings))
    if picture is not None:
        from reidlab.plots import gallery_strip

        nearest = rank(query, gallery, k=min(8, len(gallery)), distance=distance)
        figure, form = gallery_strip(nearest), picture.suffix[1:].lower()
        with whole_file(picture) as beside:
            figure.savefig(beside, format=form, dpi=110, bbox_inches="tight")
        print(f"picture: {picture}")


@dataclass(frozen=True, eq=False)
class _Features:
    """What there is to score, and where the scores go.

    Args:
        query: one side.
        gallery: the other.
        settings: what they came from, for the JSON file.
        folder: where that file goes.
        data: the dataset's name, when it was chosen by a flag.
        source: whose weights, when no folder says it.
        stripes: local features of the same images, for --local.
    """

    query: Embeddings
    gallery: Embeddings
    settings: dict[str, Any]
    folder: Path
    data: str = ""
    source: str = ""
    stripes: Stripes | None = None


def _of_files(options: Evaluate) -> _Features:
    """The features of --embeddings."""
    assert options.embeddings is not None
    own = ("embeddings", "device", "out", "picture", "scoring", "weights")
    given = [f.name for f in fields(Evaluate) if getattr(options, f.name) != f.default]
    given += options.weights.given()
    if others := [name for name in given if name not in own]:
        listed = ", ".join("RUN" if o == "run" else "--" + o.replace("_", "-") for o in others)
        raise ValueError(
            f"{listed}: of no use with --embeddings, whose features are there already; leave it out"
        )
    if options.scoring.local != "none":
        raise ValueError("--local needs the network, which gives stripes; name RUN or --official")
    query, gallery, settings = read_sides(*options.embeddings)
    if options.device is not None:
        device = pick_device(options.device)
        query, gallery = query.to(device), gallery.to(device)
    return _Features(query, gallery, settings, make_folder(_folder(options, settings["weights"])))


def _of_model(options: Evaluate) -> _Features:
    """The features that RUN or --official gives."""
    model, card = _load(options)
    count = _stripe_count(options, model)
    splits = _read(options, card)
    if options.official is None or options.unseen is not None:
        settle_cameras(model, card, splits, _named(options), options.unseen)
    else:
        check_cameras(model, card, splits)
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
    stripes = None
    if count:
        settings["neck"] = "local"
        stripes = Stripes(*(embed(model, part, **settings) for part in parts), count=count)
    used = {name: settings[name] for name in ("flip", "on_error")} | {"neck": options.neck}
    used |= {"split": options.split, "fingerprint": splits.fingerprint}
    used |= {} if options.unseen is None else {"unseen": options.unseen}
    source = ""
    if options.official is not None:  # without a run's folder, the scores say whose weights
        source, file = options.official
        used |= {**card["origin"]["start"], "file": str(file)}
    data = "" if options.data is None else splits.name
    return _Features(query, gallery, used, folder, data, source, stripes)


def _stripe_count(options: Evaluate, model: nn.Module) -> int:
    """How many stripes --local compares; 0 without it."""
    if options.scoring.local == "none":
        return 0
    count = getattr(model, "num_stripes", None)
    if not isinstance(count, int):
        name = type(model).__name__
        raise ValueError(f"--local: {name} has no stripes; train one with `train alignedreid`")
    return count


def _load(options: Evaluate) -> tuple[nn.Module, dict[str, Any]]:
    """The network of RUN or of --official, and its card."""
    settings = options.weights.given()
    if (options.run is None) == (options.official is None):
        got = "got neither" if options.run is None else f"got both (RUN is {options.run})"
        raise ValueError(
            f"which model? name the folder RUN of a training, or --official SOURCE FILE; {got} "
            "(--embeddings QUERY GALLERY needs none)"
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


def _folder(options: Evaluate, weights: str | None = None) -> Path:
    """Where the scores go; the `weights` of --embeddings tell files of the same name apart."""
    if options.out is not None:
        return options.out.expanduser()
    if options.official is not None:
        source, file = options.official
        return Path("runs") / f"official-{source}-{file.stem}"
    if options.embeddings is not None:
        gallery = options.embeddings[1].expanduser().resolve()
        origin = re.sub(r"[^\w.-]+", "-", str(weights)[:8] if weights else gallery.parent.name)
        return Path("runs") / f"embeddings-{gallery.stem}-{origin}"
    assert options.run is not None
    run = options.run.expanduser()
    return run if run.is_dir() else run.parent


def _read(options: Evaluate, card: dict[str, Any]) -> Splits:
    """The dataset named on the command line, else that of the training run, unchanged."""
    trained = Reading.of_card(card)
    if (named := _named(options)) is not None:
        splits = named.like(trained).splits()
        if trained is not None and named.same_place(trained):
            _check_strangers(splits, card["data"].get("ids", []))
        return splits
    if options.root or options.variant or options.test_ids:
        raise ValueError("--root, --variant and --test-ids belong to --data; name a dataset")
    assert options.run is not None
    return read_again(trained, card.get("data", {}).get("fingerprint"), options.run, "score on")


def _named(options: Evaluate) -> Reading | None:
    """The dataset of --data."""
    if options.data is None:
        return None
    return Reading.of(
        options.data, options.root, variant=options.variant, test_ids=options.test_ids
    )


def _check_strangers(splits: Splits, learnt: Sequence[int]) -> None:
    """Raise when people of the test were trained on: the score would mean nothing."""
    asked = people(splits.query)
    if known := sorted(asked & set(learnt)):
        raise ValueError(
            f"{len(known)} of {len(asked)} query people, for instance {known[0]}, were trained on; "
            "hold them out of training (train --test-ids N), then leave out --test-ids here"
        )


def _scores_name(options: Evaluate, features: _Features) -> str:
    """`scores.json` for the plain score on the training's dataset, else a name that says more.

    A score with other settings gets another name, so that it does not replace the plain one.
    """
    parts = ["scores", "" if options.split == "test" else options.split]
    parts += [re.sub(r"[^a-z0-9]+", "-", features.data.lower()).strip("-")]
    parts += [options.scoring.slug()]
    parts += [] if options.flip == "recipe" else [f"flip-{options.flip}"]
    parts += [] if options.neck is None else [f"neck-{options.neck}"]
    parts += [] if options.unseen is None else [f"unseen-{options.unseen}"]
    parts += [] if options.on_error == "raise" else [f"on-error-{options.on_error}"]
    return "-".join(part for part in parts if part) + ".json"


def _flip(options: Evaluate, card: dict[str, Any]) -> bool:
    if options.flip == "recipe":
        return bool(card.get("flip", False))
    return options.flip == "yes"
