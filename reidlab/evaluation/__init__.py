"""How good a ranking is, and under which protocol that was measured.

| file | holds |
|---|---|
| `record` | `Scores` and `PerQuery`: what a protocol found; prints as a table row |
| `hits` | at which places of a ranking the images of the query's person stand |
| `shots` | one random image per person, for galleries of single shots |
| `protocols` | the rules of each protocol, and one pass over the distances for several of them |
| `run` | `evaluate`: one protocol |
| `compare` | `compare_protocols` and `ScoreTable`: the same features under all of them |
| `multi` | `pool_queries`: several images per query |
| `attributes` | `evaluate_attributes`: answers about attributes, beside what guessing reaches |
| `pairs` | `roc` and `Roc`: true accepts against false accepts, all pairs pooled |
"""

from reidlab.evaluation.attributes import (
    AttributeScores,
    HeadScores,
    OfficialScores,
    evaluate_attributes,
    evaluate_official,
    official_matrix,
    read_official,
    several_colors,
    write_official,
)
from reidlab.evaluation.compare import ScoreTable, compare_protocols
from reidlab.evaluation.multi import pool_queries
from reidlab.evaluation.pairs import Roc, roc
from reidlab.evaluation.protocols import AP_FORMS, PROTOCOLS
from reidlab.evaluation.record import PerQuery, Scores
from reidlab.evaluation.run import evaluate

__all__ = [
    "AP_FORMS",
    "PROTOCOLS",
    "AttributeScores",
    "HeadScores",
    "OfficialScores",
    "PerQuery",
    "Roc",
    "ScoreTable",
    "Scores",
    "compare_protocols",
    "evaluate",
    "evaluate_attributes",
    "evaluate_official",
    "official_matrix",
    "pool_queries",
    "read_official",
    "roc",
    "several_colors",
    "write_official",
]
