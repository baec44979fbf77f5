"""Model + samples -> Embeddings, in memory and in files.

| file | holds |
|---|---|
| `record` | `Embeddings`: features of N images with their labels |
| `run` | `embed`: features of samples, in their order; `embed_blocks`: the same piece by piece |
| `files` | `save_embeddings`, `load_embeddings`: `.parquet` and `.npz` |
| `attributes` | `AttributePredictions`, `predict_attributes`: logits of the attribute heads |
| `formats` | these two kinds of files, byte for byte |
"""

from reidlab.embedding.attributes import AttributePredictions, classes_of, predict_attributes
from reidlab.embedding.files import (
    check_target,
    common_folder,
    load_embeddings,
    read_metadata,
    save_blocks,
    save_embeddings,
)
from reidlab.embedding.record import Embeddings, unit_rows
from reidlab.embedding.run import BLOCK, embed, embed_blocks

__all__ = [
    "BLOCK",
    "AttributePredictions",
    "Embeddings",
    "check_target",
    "classes_of",
    "common_folder",
    "embed",
    "embed_blocks",
    "load_embeddings",
    "predict_attributes",
    "read_metadata",
    "save_blocks",
    "save_embeddings",
    "unit_rows",
]
