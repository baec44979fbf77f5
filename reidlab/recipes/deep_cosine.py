"""A softmax over cosines."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses.deep_cosine import cosine_softmax_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="deep-cosine",
    profile="desk",
    model="deep_cosine_small",
    loss=cosine_softmax_loss,
    loss_arguments={"scale_weight": 0.1},
    train=TrainConfig(
        epochs=4,
        ids_per_batch=8,
        images_per_id=4,
        optimizer="adam",
        lr=2e-3,
        weight_decay=1e-8,
        warmup_epochs=0.5,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.0),
    ),
    source=(
        "rate, dropout and start chosen on the validation people of the default synthetic set; "
        "with the published start (weights of 0.001, scale ln 2, dropout 0.4) as many steps reach "
        "less than half of the mAP"
    ),
)

PAPER = Recipe(
    method="deep-cosine",
    profile="paper",
    model="deep_cosine",
    loss=cosine_softmax_loss,
    loss_arguments={"scale_weight": 0.1},
    train=TrainConfig(
        epochs=200,
        ids_per_batch=32,
        images_per_id=4,
        optimizer="adam",
        lr=1e-3,
        weight_decay=1e-8,
        schedule="constant",
        warmup_epochs=0,
        transform=TrainTransform(flip=0.5, pad=0, erase=0.0),
    ),
    source=(
        "Wojke and Bewley 2018 (arXiv:1812.00442) and its released code: 128x64 pixels, mirror "
        "only, Adam 1e-3, 32 people x 4 images. Published: Market-1501 rank-1 79.10, mAP 56.68. "
        "Ours: the number of epochs, and batch norms with PyTorch's momentum"
    ),
)
