"""Pairs under the contrastive loss."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses.tuples import pair_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="siamese",
    profile="desk",
    model="siamese_small",
    loss=pair_loss,
    arguments={"pretrained": "crowd", "last_stride": 2},
    loss_arguments={"margin": 10.0},
    learns="distances",
    train=TrainConfig(
        epochs=2,
        sampler="pairs",
        ids_per_batch=8,  # with the next line, batches of 32 pairs
        images_per_id=4,
        optimizer="adam",
        lr=3e-4,
        warmup_epochs=0.2,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.0),
    ),
    source=(
        "ours: Adam and margin of the multi-branch network, with pairs instead of triplets and a "
        "third of its rate; two epochs show it 9,600 images where one of triplets has 7,200. The "
        "trunk starts from people of another seed: compare with the network before its training"
    ),
)

PAPER = Recipe(
    method="siamese",
    profile="paper",
    model="siamese_resnet50",
    arguments={"image_size": (256, 128), "pretrained": True},
    loss=pair_loss,
    loss_arguments={"margin": 10.0},
    learns="distances",
    train=TrainConfig(
        epochs=25,
        sampler="pairs",
        ids_per_batch=8,  # with the next line, batches of 32 pairs
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
        "ours: the trainer of the multi-branch network with pairs instead of triplets, so that the "
        "two can be compared; the loss is that of Hadsell et al. 2006. No published figure"
    ),
)
