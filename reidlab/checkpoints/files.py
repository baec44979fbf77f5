"""Names of the files in a run's folder."""

from __future__ import annotations

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
WEIGHTS, CARD = "model.safetensors", "model.json"
