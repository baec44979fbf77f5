"""AlignedReID: a global feature and stripes that learn from one another's hard pairs."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses import aligned_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="alignedreid",
    profile="desk",
    model="aligned_small",
    loss=aligned_loss,
    arguments={"last_stride": 1, "local": "max", "local_dim": 64, "pretrained": False},
    loss_arguments={"margin": 0.3, "smoothing": 0.0},
    train=TrainConfig(epochs=5, transform=TrainTransform(flip=0.5, pad=5, erase=0.0)),
    flip=True,
    source=(
        "epochs, and that nothing is erased, chosen on the validation people of the default "
        "synthetic set; the rest are the baseline's. From random weights, where the published one "
        "starts from ImageNet's; pretrained='crowd' starts from people of another seed"
    ),
)

PAPER = Recipe(
    method="alignedreid",
    profile="paper",
    model="aligned_resnet50",
    arguments={
        "image_size": (256, 128),
        "last_stride": 2,
        "local": "max",
        "local_dim": 128,
        "pretrained": True,
    },
    loss=aligned_loss,
    loss_arguments={"margin": 0.3, "smoothing": 0.0},
    train=TrainConfig(
        epochs=300,
        ids_per_batch=8,
        images_per_id=4,
        optimizer="adam",
        lr=2e-4,
        weight_decay=5e-4,
        schedule="multistep",
        schedule_by="epoch",
        milestones=(150,),
        gamma=0.1,
        warmup_epochs=0,
        transform=TrainTransform(flip=0.5, pad=10, erase=0.0),
    ),
    source=(
        "Luo et al. 2019, AlignedReID++ (Pattern Recognition 94) and its released code. Published: "
        "Market-1501 rank-1 / mAP 89.2 / 75.9 with the global feature, 91.0 / 77.6 with local "
        "distances added; with label smoothing 0.1 90.6 / 77.7 and 91.8 / 79.1. Ours: "
        "mirror and padded crop as augmentation; bfloat16 autocast on CUDA"
    ),
)
