"""From two sets of embeddings to an ordered gallery."""

from reidlab.ranking.blocks import cosine_distance, distance_blocks
from reidlab.ranking.expansion import expand_query
from reidlab.ranking.index import Index, attribute_values
from reidlab.ranking.memory import MemoryNeed, reciprocal_memory
from reidlab.ranking.reciprocal import k_reciprocal
from reidlab.ranking.record import Ranking
from reidlab.ranking.topk import nearest, rank

__all__ = [
    "Index",
    "MemoryNeed",
    "Ranking",
    "attribute_values",
    "cosine_distance",
    "distance_blocks",
    "expand_query",
    "k_reciprocal",
    "nearest",
    "rank",
    "reciprocal_memory",
]
