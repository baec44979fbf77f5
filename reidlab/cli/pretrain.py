"""`reidlab pretrain METHOD`."""

from __future__ import annotations

from collections.abc import Sequence

from reidlab.cli.train import train
from reidlab.recipes import PRETRAINING

EXAMPLES = """
  reidlab pretrain supervised --seed 7 --out abroad
  reidlab pretrain supervised --data MSMT17_V2 --profile paper --out msmt
  reidlab train transreid --pretrained ./abroad --out run

The first is how the checkpoint `abroad` was made, which comes with the package. Any folder that a
training wrote can be given as --pretrained to methods with the same trunk. Where it has the name of
a checkpoint that comes with the package, that one is meant; ./abroad is the folder.
"""


def main(argv: Sequence[str]) -> None:
    """Parse, train, save the model with its card."""
    train("pretrain", PRETRAINING, argv, EXAMPLES)
