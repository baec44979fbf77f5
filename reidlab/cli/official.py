"""Flags for weights of other projects, and for cameras that a network was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import tyro

from reidlab.cli.reading import Reading
from reidlab.data.samples import Splits

Unseen = Literal["mean", "none", "error"]


@dataclass(frozen=True)
class OfficialSettings:
    """What the weights of --official do not say themselves; None is what was published."""

    image_size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = None
    """Of --official: pixels that the weights were trained for; by default 256 128."""
    last_stride: Literal[1, 2] | None = None
    """Of --official: stride of a ResNet's last stage; by default the published one."""
    stride: int | None = None
    """Of --official: pixels from patch to patch of a vision transformer; by default 16."""
    num_cameras: int | None = None
    """Of --official: cameras that TransReID's table of side information has rows for."""
    num_views: int | None = None
    """Of --official: views, likewise."""
    sie_coefficient: float | None = None
    """Of --official: what these rows are multiplied by; by default 3."""
    statistics: Literal["half", "imagenet"] | None = None
    """Of --official: how TransReID's transformers normalise pixels; by default half."""
    shift: int | None = None
    """Of --official: patches that TransReID's jigsaw moves; by default 5, of vehicles 8."""
    groups: int | None = None
    """Of --official: that it deals them to; by default 2."""
    rearrange: bool | None = None
    """Of --official: whether there is a jigsaw; by default there is."""

    def given(self) -> dict[str, Any]:
        """Those that were asked for."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def settle_cameras(
    model: Any, card: dict[str, Any], splits: Splits, named: Reading | None, unseen: Unseen | None
) -> None:
    """See to it that a network which knows cameras meets those it knows, or is told otherwise.

    Args:
        model: of a run; others than those with side information pass.
        card: its card.
        splits: what it will look at.
        named: how that was read; None for the data of the training.
        unseen: the flag: "mean" or "none" treat all cameras as unknown, "error" none of them.

    Raises:
        ValueError: the dataset is another one, and no flag says what its cameras are, or it has
            other cameras.
    """
    if getattr(model, "sides", None) is None:
        if unseen is not None:
            raise ValueError("--unseen is for networks that were told cameras; leave it out")
        return
    if unseen in ("mean", "none"):
        model.forget_cameras(unseen)
        return
    trained, data = Reading.of_card(card), card.get("data", {})
    same = named is None or (trained is not None and named.same_place(trained))
    if unseen is None and not same and splits.fingerprint != data.get("fingerprint"):
        raise ValueError(
            f"this network was told the cameras of {data.get('name', 'its training data')}, and "
            f"those of {splits.name} are others. --unseen mean gives all images the mean of its "
            "cameras, --unseen none nothing; --unseen error: they are the same cameras"
        )
    check_cameras(model, card, splits)


def check_cameras(model: Any, card: dict[str, Any], splits: Splits) -> None:
    """Raise when the cameras of a dataset cannot be those that a network was told of.

    Args:
        model: its cameras are numbered as those of its training, in their order.
        card: names them; that of --official weights does not, then their number counts.
        splits: what it will look at.
    """
    sides, found = getattr(model, "sides", None), list(splits.cameras)
    if sides is None or sides.strangers or not sides.cameras:
        return
    trained = card.get("data", {}).get("cameras")
    if found == trained or (trained is None and len(found) == sides.cameras):
        return
    told = f"{sides.cameras} cameras" if trained is None else f"cameras {_listed(trained)}"
    raise ValueError(
        f"this network was told of {told}, and {splits.name} has cameras {_listed(found)}, so that "
        "it cannot be said which is which; --unseen mean gives all images the mean of its cameras, "
        "--unseen none nothing"
    )


def _listed(cameras: Sequence[int]) -> str:
    return ", ".join(map(str, cameras))


def check_unlabelled(model: Any, unseen: Unseen | None) -> None:
    """Raise when a network asks for cameras of images of which nobody says them."""
    if getattr(model, "sides", None) is not None and unseen not in ("mean", "none"):
        raise ValueError(
            "this network was told cameras, and nobody says those of --unlabelled images; "
            "--unseen mean gives all of them the mean of its cameras, --unseen none nothing"
        )
