"""A vision transformer that knows cameras and looks at jigsaws of patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from reidlab.data.transforms import TrainTransform
from reidlab.losses.transreid import transreid_loss
from reidlab.models.stems import Pair
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="transreid",
    profile="desk",
    model="transreid",
    loss=transreid_loss,
    arguments={"vit": "desk", "image_size": (128, 64), "pretrained": "abroad"},
    counts=("num_cameras", "untrained"),
    train=TrainConfig(
        epochs=6,
        lr=6e-4,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.5),
    ),
    source=(
        "rate and length chosen on the validation people of the default synthetic set. The trunk "
        "starts from people of another world, where the published one starts from ImageNet"
    ),
)

Variant = Literal["transreid", "baseline", "jpm", "sie"]


@dataclass(frozen=True)
class Published:
    """What the released configurations of one dataset have of their own.

    Args:
        words: the dataset.
        lr: of ViT-B with local branches; others where `rates` has them.
        rates: (beginning of the trunk's name or "baseline") -> learning rate.
        strides: published; the second is the one with overlapping patches.
        image_sizes: published, in pixels.
        shift: of the jigsaw.
        batch: images.
        counts: what the table of side information has rows for.
        vehicles: whether DeiT's statistics are ImageNet's.
    """

    words: str
    lr: float = 0.008
    rates: tuple[tuple[str, float], ...] = ()
    strides: tuple[int, ...] = (16, 12)
    image_sizes: tuple[Pair, ...] = ((256, 128), (384, 128))
    shift: int = 5
    batch: int = 64
    counts: tuple[str, ...] = ("num_cameras", "untrained")
    vehicles: bool = False


_VEHICLES: dict[str, Any] = {"image_sizes": ((256, 256),), "shift": 8, "vehicles": True}
SLOWER = (("deit", 0.005), ("vit_small", 0.005))
PUBLISHED = {
    "market1501": Published("Market-1501"),
    "msmt17": Published("MSMT17", rates=SLOWER),
    "dukemtmc": Published("DukeMTMC-reID"),
    "occluded-duke": Published("Occluded-Duke", strides=(16, 11), image_sizes=((256, 128),)),
    "veri": Published(
        "VeRi-776", lr=0.01, rates=(("baseline", 0.008),),
        counts=("num_cameras", "num_views", "untrained"), **_VEHICLES,
    ),
    "vehicleid": Published(
        "VehicleID", lr=0.045, rates=(("baseline", 0.04), ("deit", 0.03)), batch=224, counts=(),
        **_VEHICLES,
    ),
}  # fmt: skip
"""Dataset -> its published settings. Batches of VehicleID are 224 or 256 images on four GPUs."""


def published(
    name: str = "market1501",
    *,
    vit: str = "vit_base",
    stride: int = 16,
    image_size: Pair | None = None,
    variant: Variant = "transreid",
) -> Recipe:
    """The paper recipe as it was released for a dataset.

    Args:
        name: of the dataset, a key of `PUBLISHED`.
        vit: "vit_base", "vit_small_8" (which the released files call small), "deit_base",
            "deit_small".
        stride: 16; 12, of Occluded-Duke 11, for overlapping patches.
        image_size: (H, W) in pixels; None is the smallest published.
        variant: "transreid", everything; "baseline", neither side information nor local branches;
            "sie" or "jpm", one of the two.

    Raises:
        ValueError: an unknown dataset or variant.
    """
    if name not in PUBLISHED:
        names = ", ".join(PUBLISHED)
        raise ValueError(f"no settings were published for {name!r}; choose one of {names}")
    if variant not in get_args(Variant):
        choices = ", ".join(get_args(Variant))
        raise ValueError(f"variant must be one of {choices}, got {variant!r}")
    own = PUBLISHED[name]
    size = image_size or own.image_sizes[0]
    arguments: dict[str, Any] = {"vit": vit, "image_size": size, "pretrained": True}
    arguments["recompute"] = "cpu"  # a step of 64 images in 8 GB there, with all it computes
    if stride != 16:
        arguments["stride"] = stride
    if own.shift != 5:
        arguments["shift"] = own.shift
    if variant in ("baseline", "sie"):
        arguments["parts"] = 0
    if own.vehicles and vit.startswith("deit"):
        arguments["statistics"] = "imagenet"
    known = stride in own.strides and size in own.image_sizes
    return Recipe(
        method="transreid",
        profile="paper",
        model="transreid",
        loss=transreid_loss,
        arguments=arguments,
        counts=own.counts if variant in ("transreid", "sie") else (),
        train=_training(own, vit, variant),
        source=(
            f"TransReID's released configuration for {own.words} (arXiv:2102.04378)"
            + ("" if known else f", there with another stride or size than {stride} and {size}")
        ),
    )


def _training(own: Published, vit: str, variant: str) -> TrainConfig:
    """SGD, cosine per epoch; smaller networks learn from more erasing."""
    rates = (rate for key, rate in own.rates if variant == key or vit.startswith(key))
    return TrainConfig(
        epochs=120,
        ids_per_batch=own.batch // 4,
        images_per_id=4,
        optimizer="sgd",
        lr=next(rates, own.lr),
        weight_decay=1e-4,
        bias_lr_factor=2.0,
        momentum=0.9,
        schedule="cosine",
        schedule_by="epoch",
        warmup_epochs=5,
        transform=TrainTransform(
            flip=0.5, pad=10, erase=0.5 if vit == "vit_base" else 0.8, interpolation="bicubic"
        ),
    )


PAPER = published()
