"""`reidlab train METHOD`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import tyro
from torch import nn

from reidlab.checkpoints import WEIGHTS, save_model
from reidlab.cli.parsing import parse
from reidlab.data.readers import read_dataset
from reidlab.data.samples import Splits, training_ids
from reidlab.embedding import embed
from reidlab.evaluation import evaluate
from reidlab.recipes import RECIPES, Recipe, recipe
from reidlab.training import History, TrainConfig, fit

EXAMPLES = """
  reidlab train baseline --data people --epochs 20 --out run
  reidlab train baseline --data Market-1501-v15.09.15 --profile paper --out market
  reidlab train baseline --data synthetic --seed 1 --validate-every 5 --out run1

Stopped or killed, the same command continues where the last finished epoch left it.
"""


@dataclass(frozen=True)
class Train:
    """Train a method on a dataset. Checkpoint, log and the final model go to the folder --out."""

    method: tyro.conf.Positional[Literal["baseline"]]
    """What to train."""
    config: TrainConfig = field(default_factory=TrainConfig)
    """How; the defaults come from the recipe of method and profile."""
    data: str = "synthetic"
    """A dataset's name, or a folder laid out like Market-1501."""
    profile: Literal["desk", "paper"] = "desk"
    """desk: small network, minutes on two cores; paper: as published, needs a GPU."""
    pretrained: str | None = None
    """File with ImageNet weights (paper profile); "none" starts from random weights."""
    validation_ids: int = 0
    """People held out of training for validation, when the dataset has no validation folders."""
    validate_every: int = 0
    """Score the validation people every so many epochs; 0 for never."""


def main(argv: Sequence[str]) -> None:
    """Parse, train, save the model with its card."""
    chosen = recipe("baseline", _early(argv, "--profile", "desk"))
    start = replace(chosen.train, out=Path("runs") / f"baseline-{chosen.profile}")
    default = Train(method="baseline", config=start, profile=chosen.profile)  # pyright: ignore[reportArgumentType]
    options = parse(Train, "train", _with_method(argv), examples=EXAMPLES, default=default)
    chosen = recipe(options.method, options.profile)
    splits = _read(options)
    print(splits)
    model = _build(chosen, options, len(training_ids(splits.train)))
    history = fit(
        model,
        splits.train,
        chosen.bound_loss(),
        options.config,
        on_epoch=_validator(splits, chosen, options.validate_every),
        progress=True,
    )
    folder = options.config.out
    assert folder is not None  # the default names one
    save_model(folder, model, _card(options, chosen, splits, history))
    last = history.rows[-1]
    print(f"{len(history)} epochs done, loss {last['loss']:.4f}; model: {folder / WEIGHTS}")
    print(f"next: reidlab evaluate {folder}")


def _early(argv: Sequence[str], flag: str, default: str) -> str:
    """The value of `flag` before the real parsing, since it chooses the defaults shown by it."""
    known = {profile for _, profile in RECIPES}
    for i, word in enumerate(argv):
        value = word.split("=", 1)[1] if word.startswith(f"{flag}=") else None
        if word == flag and i + 1 < len(argv):
            value = argv[i + 1]
        if value in known:
            return value
    return default


def _with_method(argv: Sequence[str]) -> list[str]:
    """`argv`; without a positional method tyro would silently take the default instance's."""
    if {"-h", "--help"} & set(argv):
        return list(argv)
    methods = sorted({method for method, _ in RECIPES})
    if not argv or argv[0].startswith("-"):
        raise ValueError(f"which method? `reidlab train METHOD ...`, one of: {', '.join(methods)}")
    return list(argv)


def _read(options: Train) -> Splits:
    held_out = {"validation_ids": options.validation_ids} if options.validation_ids else {}
    return read_dataset(options.data, **held_out)


def _build(chosen: Recipe, options: Train, num_ids: int) -> nn.Module:
    changes: dict[str, Any] = {"seed": options.config.seed}
    if options.pretrained is not None:
        if "pretrained" not in chosen.arguments:
            raise ValueError(
                f"--pretrained is for --profile paper; {chosen.model} starts at random"
            )
        changes["pretrained"] = False if options.pretrained == "none" else options.pretrained
    return chosen.build(num_ids, **changes)


def _validator(splits: Splits, chosen: Recipe, every: int):
    query, gallery = splits.validation
    if every and not query:
        raise ValueError(
            f"{splits.name} has no validation people; add --validation-ids N, or leave out "
            "--validate-every"
        )

    def validate(epoch: int, model: nn.Module, row: dict[str, float]) -> dict[str, float]:
        if not every or epoch % every:
            return {}
        parts = [embed(model, part, flip=chosen.flip) for part in (query, gallery)]
        scores = evaluate(*parts)
        return {"val_mAP": scores.mean_ap, "val_rank1": float(scores.cmc[0])}

    return validate


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
            "read": options.data
            if options.data == "synthetic"
            else str(Path(options.data).resolve()),
            "validation_ids": options.validation_ids,
            "fingerprint": splits.fingerprint,
            "cameras": splits.cameras,
            "ids": training_ids(splits.train),
        },
        "last": history.rows[-1],
    }
