"""Trains small networks, alone or under torchrun, and writes what was logged.

    python shared_training.py DATA OUT.json [RUN_FOLDER [die]]

With "die" the second process is killed in the middle of the second epoch of the first network.
"""

import dataclasses
import functools
import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from reidlab.data.heads import HEADS, labels_of
from reidlab.data.readers import read_dataset
from reidlab.data.targets import weights_of
from reidlab.data.transforms import EvalTransform, TrainTransform
from reidlab.losses import ReidCenterLoss, attribute_loss, la_loss, reid_loss
from reidlab.models.attributes import attributes_small
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_small
from reidlab.models.layers import Branches
from reidlab.training import TrainConfig, fit, together

SIZE = (32, 16)
SETTINGS = {"ids_per_batch": 4, "images_per_id": 2, "epochs": 3, "device": "cpu", "lr": 2e-3}


class Norms(nn.Module):
    """A network that normalises each image for itself."""

    num_ids = 4
    preprocess = EvalTransform(SIZE)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.neck = nn.ModuleDict({"classifier": nn.Linear(8, 4, bias=False)})
        self.never = nn.Linear(3, 3)  # a parameter that no loss reaches

    def forward(self, images, camids=None, viewids=None):
        feature = self.norm(self.stem(images).mean(dim=(2, 3)))
        return Branches([feature], [self.neck["classifier"](feature)])


class Dies:
    """`reid_loss` until the second process meets its fifth batch."""

    __qualname__ = "reid_loss"

    def __init__(self, rank):
        self.rank, self.batches = rank, 0

    def __call__(self, model, batch):
        self.batches += 1
        if self.rank == 1 and self.batches == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return reid_loss(model, batch)


def noting(model, batch):
    """`reid_loss`, which writes down what random layers would draw from."""
    noting.seeds.add(torch.initial_seed())
    return reid_loss(model, batch)


noting.seeds = set()


def labelled(sample):
    """A person with attributes, rare and frequent ones."""
    classes = {head: int(sample.pid == 1) for head in HEADS}
    return dataclasses.replace(sample, attributes=labels_of(classes))


def main(data, out, run=None, die=None):
    people = [labelled(sample) for sample in read_dataset(data).train]
    logs, called = {}, []
    noisy = TrainTransform(pad=2, erase=0.9)
    cases = {
        "frozen": (baseline_small(4, width=8, image_size=SIZE), reid_loss, {"freeze_norm": True}),
        "norms": (Norms(), reid_loss, {"optimizer": "sgd", "clip_norm": 0.5}),
        "centers": (Norms(), ReidCenterLoss(4, 8, center_weight=0.1), {"loss_lr": 0.1}),
        "batch norm": (baseline_small(4, width=8, image_size=SIZE), reid_loss, {}),
        "shuffle": (Norms(), noting, {"sampler": "shuffle"}),
        "weights": (
            attributes_small(width=8, image_size=SIZE, dropout=0.0),
            functools.partial(attribute_loss, **weights_of(people)),
            {"sampler": "shuffle", "freeze_norm": True},
        ),
        "blocks": (
            la_transformer_small(4, width=16, heads=2, image_size=SIZE, dropout=0.0),
            functools.partial(la_loss, triplet=1.0),
            {"freeze_norm": True, "unfreeze_every": 1, "optimizer": "adam", "clip_norm": 1.0},
        ),
    }
    with together() as team:
        for name, (model, loss, changes) in cases.items():
            folder = Path(run) / name if run and name == "frozen" else None
            loss = Dies(team.rank) if die else loss
            config = TrainConfig(**{**SETTINGS, "transform": noisy, "out": folder} | changes)
            history = fit(
                model,
                people,
                loss,
                config,
                on_epoch=lambda epoch, model, row: called.append(epoch) or {"seen": epoch},
            )
            logs[name] = [
                {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
                for row in history.rows
            ]
        Path(f"{out}.{team.rank}").write_text(
            json.dumps(logs | {"called": called, "seeds": sorted(noting.seeds)})
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # as `python -m reidlab` does: see there
