"""Rows of patches with a classifier each."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses.la_transformer import la_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="la-transformer",
    profile="desk",
    model="la_transformer_small",
    arguments={"pretrained": "abroad"},
    loss=la_loss,
    train=TrainConfig(
        epochs=5,
        ids_per_batch=8,
        images_per_id=4,
        lr=6e-4,
        warmup_epochs=0.5,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.5),
    ),
    source=(
        "rate, length and erasing chosen on the validation people of the default synthetic set. "
        "The trunk starts from people of another world, where the published one starts from "
        "ImageNet; all blocks train from the first step on"
    ),
)

PAPER = Recipe(
    method="la-transformer",
    profile="paper",
    model="la_transformer_base",
    arguments={"image_size": (224, 224), "pretrained": True},
    loss=la_loss,
    train=TrainConfig(
        epochs=30,
        sampler="shuffle",
        ids_per_batch=8,  # with the next line, batches of 32 images
        images_per_id=4,
        optimizer="adam",
        lr=3e-4,
        weight_decay=5e-4,
        schedule="multistep",
        schedule_by="epoch",
        milestones=tuple(range(0, 30, 2)),  # the first two epochs run at 2.4e-4
        gamma=0.8,
        warmup_epochs=0,
        unfreeze_every=2,
        transform=TrainTransform(flip=0.5, pad=0, erase=0.0, interpolation="bicubic"),
    ),
    source=(
        "Sharma, Kapil and Chapman 2021 (arXiv:2106.03720) and its released notebooks: squares of "
        "224 pixels, mirror only, Adam 3e-4, decay 5e-4, batches of 32; every two epochs, from "
        "the first on, the rate times 0.8 and one more block trained, the last two to begin with. "
        "Published: Market-1501 rank-1 98.27, mAP 94.46, from lists of ten in which images of the "
        "query's own camera count and with randomly mirrored queries; not comparable with the "
        "usual protocol. Ours: the last epoch is kept, where the notebook keeps the one that is "
        "best at naming one held-out image of each training person"
    ),
)
