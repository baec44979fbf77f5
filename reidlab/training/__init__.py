"""One training loop for every method of the course: `fit`, its configuration and its log."""

from reidlab.training.config import TrainConfig
from reidlab.training.history import History
from reidlab.training.loop import MANY_TERMS, OnEpoch, fit
from reidlab.training.processes import ProcessLost, Team, together
from reidlab.training.schedules import learning_rate, warmup_cosine, warmup_multistep

__all__ = [
    "MANY_TERMS",
    "History",
    "OnEpoch",
    "ProcessLost",
    "Team",
    "TrainConfig",
    "fit",
    "learning_rate",
    "together",
    "warmup_cosine",
    "warmup_multistep",
]
