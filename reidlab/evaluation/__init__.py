"""How good a ranking is, and under which protocol that was measured."""

from reidlab.evaluation.protocols import PerQuery, Scores, evaluate

__all__ = ["PerQuery", "Scores", "evaluate"]
