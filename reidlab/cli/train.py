"""`reidlab train METHOD`."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn
from tqdm.auto import tqdm

from reidlab.checkpoints import WEIGHTS, save_model
from reidlab.cli import complain
from reidlab.cli.annotations import Part, Unused, annotated
from reidlab.cli.learning import AttributeLesson, Lesson, PeopleLesson, kept_epoch
from reidlab.cli.methods import recipe_of, split_method
from reidlab.cli.parsing import parse
from reidlab.cli.reading import Reading
from reidlab.cli.settings import changed, with_loss, with_settings
from reidlab.data.attributes import read_attributes
from reidlab.data.samples import Splits, training_ids
from reidlab.losses.multibranch import multibranch_loss
from reidlab.losses.needs import check_sampler
from reidlab.recipes import PRETRAINING, RECIPES, Recipe
from reidlab.training import (
    MANY_TERMS,
    History,
    OnEpoch,
    ProcessLost,
    Team,
    TrainConfig,
    fit,
    together,
)

EXAMPLES = """
  reidlab train baseline --data people --epochs 20 --out run
  reidlab train baseline --data Market-1501-v15.09.15 --profile paper --out market
  reidlab train baseline --data synthetic --seed 1 --validate-every 5 --out run1
  reidlab train attributes --out attributes
  reidlab train attributes --data Market-1501-v15.09.15 --annotations market_attribute.mat \\
      --profile paper --share 0.8 --out market-attributes
  reidlab train attributes --unweighted --seed 1 --out control
  reidlab train multibranch --margin 5 --out branches
  reidlab train multibranch --no-classes --mining hard --sampler pk --out mined
  reidlab train ianet --pairwise contrastive --fusion renormalised --out ia
  reidlab train alignedreid --data people --patience 2 --monitor val_mAP --validate-every 1
  torchrun --nproc-per-node=2 -m reidlab train baseline --data people --out run2

Stopped or killed, the same command continues where the last finished epoch left it. Under torchrun
the processes share every batch (P x K in all); without --freeze-norm each keeps its own batch
statistics.
"""

log = logging.getLogger(__name__)

Profile = Literal["desk", "paper"]
OF_ATTRIBUTES = ("annotations", "unused", "share", "unweighted")


@dataclass(frozen=True)
class Train:
    """Train a method on a dataset. Checkpoint, log and the final model go to the folder --out."""

    config: TrainConfig = field(default_factory=TrainConfig)
    """How; the defaults come from the recipe of method and profile."""
    data: str = "synthetic"
    """A dataset's name, a folder (laid out like a benchmark, or one per person), or a CSV."""
    root: Path | None = None
    """Folder in which named datasets lie; by default $REIDLAB_DATA."""
    variant: str | None = None
    """Which variant, where a dataset has several; attributes take synthetic's "wide" by default."""
    profile: Profile = "desk"
    """desk: small network, minutes on two cores; paper: as published, needs a GPU."""
    like: str | None = None
    """Paper profile of transreid: dataset whose published settings to take: market1501 (the
    default), msmt17, dukemtmc, occluded-duke, veri or vehicleid."""
    pretrained: str | None = None
    """Weights to start from; "none": random. Paper profile: ImageNet's, as a file, torchvision:NAME
    or timm:NAME. At the desk, where a method has it: the trunk of a run, of a file, or of "crowd",
    which comes with the package."""
    validation_ids: int = 0
    """People held out of training for validation, when the dataset has none."""
    test_ids: int = 0
    """People held out as query and gallery, where a CSV or a folder per person names none."""
    validate_every: int = 0
    """Score the validation people every so many epochs; 0 for never (attributes: every epoch)."""
    annotations: Path | None = None
    """Attributes: market_attribute.mat or a CSV, where the dataset's folder holds neither."""
    unused: Unused = "raise"
    """Attributes: what to do with people in the table who are on no image."""
    share: float | None = None
    """Attributes: share of the people that trains where nobody is there to validate on; 0.8."""
    classes: bool = True
    """--no-classes: metric loss only, neither classifier nor identity loss (multibranch)."""
    unweighted: bool = False
    """Attributes: all classes count alike, the control."""


def main(argv: Sequence[str]) -> None:
    """Parse, train, save the model with its card."""
    methods = {method for method, _ in RECIPES} - set(PRETRAINING)
    train("train", sorted(methods), argv, EXAMPLES)


def train(command: str, methods: Sequence[str], argv: Sequence[str], examples: str) -> None:
    """What `reidlab train` and `reidlab pretrain` do.

    Args:
        command: its name.
        methods: that it knows.
        argv: the method and the flags.
        examples: for its help.
    """
    method, argv = split_method(command, methods, argv)
    chosen = recipe_of(method, argv)
    folder = Path("runs") / f"{method}-{chosen.profile}"
    kind = with_settings(Train, chosen)
    default = kind(config=replace(chosen.train, out=folder), profile=chosen.profile)
    options = parse(kind, f"{command} {method}", argv, examples=examples, default=default)
    changes = _changes(chosen, options) | changed(options.network)
    chosen = with_loss(chosen, options.loss)
    chosen = chosen if options.classes else _without_classes(chosen)
    if options.unweighted:
        chosen = replace(chosen, prepare=None)
    _check_ignored(chosen, argv)
    check_sampler(functools.partial(chosen.loss, **chosen.loss_arguments), options.config.sampler)
    try:
        with together() as team:
            _train(options, chosen, changes, team)
    except ProcessLost as error:
        complain(str(error), 1)


def _check_ignored(chosen: Recipe, argv: Sequence[str]) -> None:
    """Raise when a flag was given that other flags leave without effect."""
    given = {word.split("=")[0].replace("_", "-") for word in argv}
    if chosen.learns == "distances":
        for flag in sorted(given & {"--smoothing", "--id-on"}):
            raise ValueError(f"{flag} is of the identity loss, which --no-classes leaves out")
    mining = chosen.loss_arguments.get("mining", "given")
    if "--id-on" in given and mining != "given":
        raise ValueError(
            f"--id-on is for --mining given; --mining {mining} classifies every image of a batch"
        )


def _without_classes(chosen: Recipe) -> Recipe:
    """The recipe without identity classifier and loss.

    Raises:
        ValueError: its network or its loss cannot do without.
    """
    if chosen.loss is not multibranch_loss:  # the others have nothing left, or no classes anyway
        raise ValueError(f"--no-classes is for train multibranch, not for {chosen.method}")
    return replace(chosen, learns="distances")


def _train(options: Train, chosen: Recipe, changes: dict[str, Any], team: Team) -> None:
    """Read, train, save; of several processes one reads first, speaks and writes."""
    with team.leader_first():
        splits = _reading(options, chosen).splits()
    if team.leads:
        print(splits)
        if options.profile == "paper" and team.device(options.config.device).type == "cpu":
            log.warning("the paper profile on a CPU takes days or weeks; it is meant for a GPU")
    lesson = _lesson(options, chosen, splits)
    with team.leader_first():  # pre-trained weights are fetched once
        own = _counted(chosen, splits, changes) | changes
        _check_sides(own, splits)
        model = chosen.build(len(training_ids(lesson.train)), **own)
    loss = chosen.bound_loss(model, samples=lesson.train, seed=options.config.seed)
    if isinstance(lesson, AttributeLesson):
        lesson.bind(getattr(loss, "keywords", {}).get("weights", {}))
        if team.leads and lesson.split is not None:
            print(lesson.split)
    history = fit(
        model,
        lesson.train,
        loss,
        options.config,
        on_epoch=_on_epoch(lesson, options.config),
        progress=sys.stderr.isatty(),
    )
    if not team.leads:
        return
    folder = options.config.out or Path("runs") / f"{chosen.method}-{chosen.profile}"
    card = _card(options, chosen, splits, history) | lesson.card(model, options.config)
    save_model(folder, model, card)
    last = history.rows[-1]
    done = f"{len(history)} epochs done"
    if options.config.max_steps is not None and len(history) < options.config.epochs:
        done = f"stopped after {options.config.max_steps} steps (--max-steps)"
    print(f"{done}, loss {last['loss']:.4f}; model: {folder / WEIGHTS}")
    for line in lesson.closing(folder, history.rows, options.config):
        print(line)


def _lesson(options: Train, chosen: Recipe, splits: Splits) -> Lesson:
    """Who trains and how an epoch is judged."""
    given = {name: getattr(options, name) for name in OF_ATTRIBUTES}
    if chosen.learns != "attributes":
        if used := [name for name, value in given.items() if value != getattr(Train(), name)]:
            raise ValueError(f"--{used[0]} is for train attributes, not for {chosen.method}")
        return PeopleLesson(splits, chosen, options.config, options.validate_every)
    needed: tuple[Part, ...] = ("train", "validation")
    table = None if options.annotations is None else read_attributes(options.annotations)
    splits = annotated(splits, table, needed, options.unused)
    if options.validate_every:
        raise ValueError("attributes are validated after every epoch; leave out --validate-every")
    if options.share is not None and splits.validation[0]:
        raise ValueError(f"{splits.name} has validation people; leave out --share")
    share = 0.8 if options.share is None else options.share
    return AttributeLesson(splits, options.config, chosen.loss_arguments, share)


def _reading(options: Train, chosen: Recipe) -> Reading:
    """What the flags say about the dataset."""
    held_out = {"validation_ids": options.validation_ids, "test_ids": options.test_ids}
    usual = chosen.variant if options.data.lower() == "synthetic" else None
    return Reading.of(options.data, options.root, variant=options.variant or usual, **held_out)


def _changes(chosen: Recipe, options: Train) -> dict[str, Any]:
    """Arguments of the network that differ from its recipe."""
    changes: dict[str, Any] = {"seed": options.config.seed}
    if options.pretrained is not None:
        if "pretrained" not in chosen.arguments:
            raise ValueError(
                f"--pretrained is for --profile paper, and not for {chosen.model}, which starts at "
                "random"
            )
        changes["pretrained"] = False if options.pretrained == "none" else options.pretrained
    return changes


def _counted(chosen: Recipe, splits: Splits, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the dataset decides about the network; of cameras nothing, where a flag counts them."""
    found = chosen.counted(splits)
    if "num_cameras" in changes:
        found.pop("untrained", None)
    return found


def _check_sides(own: Mapping[str, Any], splits: Splits) -> None:
    """Raise when a flag asks for a table of fewer cameras, or of more views, than there are."""
    cameras, views = own.get("num_cameras", 0), own.get("num_views", 0)
    if min(cameras, views) < 0:
        raise ValueError(f"--num-cameras and --num-views are 0 or more, got {cameras} and {views}")
    if 0 < cameras < len(splits.cameras) and own.get("unseen", "error") == "error":
        raise ValueError(
            f"--num-cameras {cameras}: {splits.name} has {len(splits.cameras)}; leave it out to "
            "count them, give 0 for a network that is told none, or say with --unseen mean (or "
            "none) what images of the others get"
        )
    if views and not splits.views:
        raise ValueError(f"--num-views {views}: {splits.name} says no views; leave it out")


def _on_epoch(lesson: Lesson, config: TrainConfig) -> OnEpoch:
    """Judge an epoch, and print a line about it."""

    def report(epoch: int, model: nn.Module, row: dict[str, float]) -> dict[str, float]:
        found = lesson.judge(epoch, model, row)
        skipped = {"epoch", "lr", "seconds", "images_per_second"}
        shown = [name for name in row if name not in skipped]
        shown = shown if len(shown) <= MANY_TERMS else ["loss"]
        terms = [f"{name} {(row | found)[name]:.3f}" for name in (*shown, *found)]
        speed = f"{row['images_per_second']:.0f} images/s"
        tqdm.write("  ".join([f"epoch {epoch:>3}/{config.epochs}", *terms, speed]))
        return found

    return report


def _card(options: Train, chosen: Recipe, splits: Splits, history: History) -> dict[str, Any]:
    return {
        "method": chosen.method,
        "profile": chosen.profile,
        "flip": chosen.flip,
        "train": asdict(options.config),
        "loss": dict(chosen.loss_arguments),
        "source": chosen.source,
        "data": {
            "name": splits.name,
            **_reading(options, chosen).as_dict(),
            "fingerprint": splits.fingerprint,
            "cameras": splits.cameras,
            "ids": training_ids(splits.train),
        },
        "last": history.rows[-1],
        "kept": history.rows[kept_epoch(history.rows, options.config) - 1],
    }
