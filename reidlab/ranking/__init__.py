"""From two sets of embeddings to an ordered gallery."""

from reidlab.ranking.blocks import cosine_distance, distance_blocks
from reidlab.ranking.record import Ranking
from reidlab.ranking.topk import nearest, rank

__all__ = ["Ranking", "cosine_distance", "distance_blocks", "nearest", "rank"]
