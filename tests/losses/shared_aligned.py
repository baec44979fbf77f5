"""Trains networks with stripes, alone or under torchrun, and writes what was logged.

python shared_aligned.py DATA OUT.json
"""

import functools
import json
import os
import sys
from pathlib import Path

from reidlab.data.readers import read_dataset
from reidlab.losses import aligned_loss, mutual_loss
from reidlab.models.aligned import aligned_small
from reidlab.models.mutual import mutual_small
from reidlab.training import TrainConfig, fit, together

TINY = {"width": 8, "image_size": (64, 32), "local_dim": 6}
SETTINGS = {"ids_per_batch": 4, "images_per_id": 2, "epochs": 2, "device": "cpu"}


def main(data, out):
    people, logs = read_dataset(data).train, {}
    cases = {
        "shared pairs": (aligned_small(4, **TINY), aligned_loss),
        "own pairs": (
            aligned_small(4, **TINY),
            functools.partial(aligned_loss, mine_on="local", local_weight=10.0),
        ),
        "mutual": (
            mutual_small(4, **TINY),
            functools.partial(mutual_loss, local_distance_weight=1.0),
        ),
    }
    with together() as team:
        for name, (model, loss) in cases.items():
            history = fit(model, people, loss, TrainConfig(**SETTINGS, freeze_norm=True))
            logs[name] = [
                {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
                for row in history.rows
            ]
        if team.rank == 0:
            Path(out).write_text(json.dumps(logs))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # no destructors after the processes have parted
