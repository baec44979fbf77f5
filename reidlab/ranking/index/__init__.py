"""A gallery to search again and again: in memory, in files, filtered.

| file | holds |
|---|---|
| `gallery` | `Index`: search, save, load |
| `tiles` | the k nearest rows, reading the gallery once |
| `flat` | the same by FAISS |
| `filters` | which images take part: cameras and attributes |
| `files`, `names` | an index on disk, and its paths |
"""

from reidlab.ranking.index.filters import Attribute, attribute_values
from reidlab.ranking.index.gallery import Index

__all__ = ["Attribute", "Index", "attribute_values"]
