"""Weights on disk: models with their cards, and runs that continue after an interruption.

Every file is written beside its final name and moved there in one step, so that a reader never
meets half a file. Nothing that is read may execute code: safetensors, JSON, `weights_only`.

| file | what it holds |
|---|---|
| `files` | names of a run's files |
| `models` | `save_model`, `load_model`: weights and their card |
| `official` | `load_official`: networks with the weights of other projects |
| `layouts` | what is known of one of those networks: names, sizes, settings |
| `keys` | how those projects name their weights: one layout for each network |
| `transreid` | the layouts of TransReID's transformers |
| `shipping` | `ship_model`: a model made ready to travel with the package |
| `runs` | `RunState`: the checkpoint of a training run |
"""

from reidlab.checkpoints.files import CARD, CHECKPOINT, LOG, WEIGHTS
from reidlab.checkpoints.models import load_model, load_strictly, read_card, save_model
from reidlab.checkpoints.official import load_official
from reidlab.checkpoints.runs import FORMAT, RunState, read_checkpoint
from reidlab.paths import atomic_write

__all__ = [
    "CARD",
    "CHECKPOINT",
    "FORMAT",
    "LOG",
    "WEIGHTS",
    "RunState",
    "atomic_write",
    "load_model",
    "load_official",
    "load_strictly",
    "read_card",
    "read_checkpoint",
    "save_model",
]
