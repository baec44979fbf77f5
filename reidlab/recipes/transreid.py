"""A vision transformer that knows cameras and looks at jigsaws of patches."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses.transreid import transreid_loss
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

PAPER = Recipe(
    method="transreid",
    profile="paper",
    model="transreid",
    loss=transreid_loss,
    arguments={"vit": "vit_base", "image_size": (256, 128), "pretrained": True},
    counts=("num_cameras", "untrained"),
    train=TrainConfig(
        epochs=120,
        ids_per_batch=16,
        images_per_id=4,
        optimizer="sgd",
        lr=0.008,
        weight_decay=1e-4,
        bias_lr_factor=2.0,
        momentum=0.9,
        schedule="cosine",
        schedule_by="epoch",
        warmup_epochs=5,
        transform=TrainTransform(flip=0.5, pad=10, erase=0.5, interpolation="bicubic"),
    ),
    source="TransReID's released configuration for Market-1501 (arXiv:2102.04378)",
)
