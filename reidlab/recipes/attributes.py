"""Twelve attribute heads."""

from __future__ import annotations

from reidlab.data.targets import weights_of
from reidlab.data.transforms import TrainTransform
from reidlab.losses import attribute_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="attributes",
    profile="desk",
    model="attributes_small",
    loss=attribute_loss,
    arguments={"last_stride": 2, "pretrained": "crowd"},
    loss_arguments={"reduction": "sum"},
    prepare=weights_of,
    learns="attributes",
    variant="wide",
    train=TrainConfig(
        epochs=5,
        sampler="shuffle",
        ids_per_batch=16,  # with the next line, batches of 64
        images_per_id=4,
        optimizer="adam",
        lr=3e-3,
        warmup_epochs=0.5,
        patience=5,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.0),
    ),
    source=(
        "rate and epochs chosen on the validation people of the synthetic set's variant wide; the "
        "trunk starts from people of another seed, where the published one starts from ImageNet"
    ),
)

PAPER = Recipe(
    method="attributes",
    profile="paper",
    model="attributes_resnet50",
    arguments={"image_size": (256, 128), "pretrained": True},
    loss=attribute_loss,
    loss_arguments={"reduction": "sum"},
    prepare=weights_of,
    learns="attributes",
    train=TrainConfig(
        epochs=100,
        sampler="shuffle",
        ids_per_batch=32,  # with the next line, batches of 128
        images_per_id=4,
        optimizer="adam",
        lr=1e-4,
        weight_decay=5e-4,
        schedule="constant",
        warmup_epochs=0,
        patience=5,
        transform=TrainTransform(flip=0.5, pad=10, erase=0.0),
    ),
    source=(
        "a course report on Market-1501 (Barattin and Da Rold, University of Trento): ImageNet's "
        "ResNet-50, twelve heads with dropout 0.2, weighted cross-entropy, Adam 1e-4, decay 5e-4, "
        "batch 128, patience 5. Published: mean accuracy 81 on its own validation people, after 13 "
        "epochs. Ours where the report is silent: 256x128 pixels, mirror and crop, sum over heads"
    ),
)
