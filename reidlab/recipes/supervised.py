"""Pre-training with identities: what a transformer starts from where ImageNet is out of reach."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses.transreid import transreid_loss
from reidlab.recipes import transreid
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="supervised",
    profile="desk",
    model="transreid",
    loss=transreid_loss,
    arguments={"vit": "desk", "image_size": (128, 64), "parts": 0},
    variant="abroad",
    train=TrainConfig(
        epochs=13,
        ids_per_batch=16,
        images_per_id=4,
        lr=1.5e-3,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.5),
    ),
    source=(
        "ours: what ImageNet is to the published transformers, a thousand people of another world "
        "are to the desk's; rate and length chosen on validation people"
    ),
)

PAPER = Recipe(
    method="supervised",
    profile="paper",
    model="transreid",
    loss=transreid_loss,
    arguments={**transreid.PAPER.arguments, "parts": 0},
    train=transreid.PAPER.train,
    source=(
        "the released baseline configuration of TransReID (arXiv:2102.04378), the same for every "
        "dataset of people; train it on the largest labelled set at hand, such as MSMT17 "
        "(published there: mAP 61.8, rank-1 81.8)"
    ),
)
