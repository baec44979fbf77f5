"""IANet, trained with an identity loss and a pairwise loss on the same feature."""

from __future__ import annotations

from reidlab.data.transforms import TrainTransform
from reidlab.losses import id_and_pairwise_loss
from reidlab.recipes.record import Recipe
from reidlab.training import TrainConfig

DESK = Recipe(
    method="ianet",
    profile="desk",
    model="ianet_small",
    loss=id_and_pairwise_loss,
    arguments={"pretrained": False},
    loss_arguments={"classification": "cross-entropy", "pairwise": "triplet"},
    train=TrainConfig(
        epochs=5,
        sampler="groups",
        ids_per_batch=8,
        images_per_id=4,
        lr=2e-3,
        warmup_epochs=0.5,
        transform=TrainTransform(flip=0.5, pad=5, erase=0.5),
    ),
    flip=True,
    source=(
        "losses as in the paper profile, rate of the baseline, as many epochs as a minute holds; "
        'from random weights, because pretrained="crowd" begins where training should end'
    ),
)

PAPER = Recipe(
    method="ianet",
    profile="paper",
    model="ianet_resnet50",
    loss=id_and_pairwise_loss,
    arguments={"image_size": (256, 128), "last_stride": 1, "pretrained": True},
    loss_arguments={
        "classification": "cross-entropy",
        "pairwise": "triplet",
        "smoothing": 0.0,
        "pair_margin": 0.3,
    },
    train=TrainConfig(
        epochs=60,
        sampler="groups",
        ids_per_batch=16,
        images_per_id=4,
        optimizer="adam",
        lr=3.5e-4,
        weight_decay=5e-4,
        schedule="multistep",
        schedule_by="epoch",
        milestones=(20, 40),
        gamma=0.1,
        warmup_epochs=0,
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
    flip=True,
    source=(
        "The public project Simple-ReID, whose network is a plain ResNet-50 (stages=()); with it, "
        "published: Market-1501 mAP 86.6, rank-1 94.5 for this pair of losses, 86.4 and 94.3 with "
        "contrastive, 86.2 and 94.3 with CosFace; a course report lists these under IANet. Blocks: "
        "Hou et al. 2019 (arXiv:1907.08435; Market-1501 mAP 83.1, rank-1 94.4), in their released "
        "form. Differs in: zero pad and crop in place of enlarging by 1.125 and cropping; erasing "
        "writes the numbers of ImageNet's mean (0.485, 0.456, 0.406) into the normalised image, "
        "there (0.4914, 0.4822, 0.4465), also after normalisation; bfloat16 autocast on CUDA"
    ),
)
