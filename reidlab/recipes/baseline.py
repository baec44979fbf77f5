"""The strong baseline."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses import ReidCenterLoss, reid_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="baseline",
    profile="desk",
    model="baseline_small",
    loss=reid_loss,
    loss_arguments={"margin": 0.3, "smoothing": 0.1},
    train=TrainConfig(epochs=20),  # its defaults are this recipe
    flip=True,
    source="chosen on the validation people of the default synthetic set",
)

PAPER = Recipe(
    method="baseline",
    profile="paper",
    model="baseline_resnet50",
    arguments={"image_size": (256, 128), "pretrained": True},
    loss=ReidCenterLoss,
    loss_arguments={"margin": 0.3, "smoothing": 0.1, "center_weight": 5e-4},
    train=TrainConfig(
        epochs=120,
        ids_per_batch=16,
        images_per_id=4,
        optimizer="adam",
        lr=3.5e-4,
        weight_decay=5e-4,
        schedule="multistep",
        schedule_by="epoch",
        milestones=(40, 70),
        gamma=0.1,
        warmup_epochs=10,
        warmup_factor=0.01,
        loss_lr=0.5,  # of the class centers
        transform=TrainTransform(
            flip=0.5,
            pad=10,
            erase=0.5,
            erase_area=(0.02, 0.4),
            erase_fill="mean",
            erase_aspect="linear",
            erase_tries=100,
        ),
    ),
    source=(
        "Luo et al. 2019 (arXiv:1903.07071) and its released configuration with center loss. "
        "Published: Market-1501 rank-1 94.5, mAP 85.9. Differs in: bfloat16 autocast on CUDA"
    ),
)
