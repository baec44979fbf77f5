"""How good a network's answers about attributes are, and what guessing would have been worth.

| file | holds |
|---|---|
| `truth` | what is right: classes of the images asked, checked; the class that training had most |
| `record` | `HeadScores` and `AttributeScores`: counts per head and all that follows from them |
| `run` | `evaluate_attributes`: answers against the truth and against guessing |
| `official` | the twelve columns of Market-1501's own evaluator: write, compare |
| `matrices` | the `.mat` file that such a matrix travels in |
"""

from reidlab.evaluation.attributes.matrices import read_official, write_official
from reidlab.evaluation.attributes.official import (
    OFFICIAL,
    OfficialScores,
    evaluate_official,
    official_matrix,
    several_colors,
)
from reidlab.evaluation.attributes.record import AttributeScores, HeadScores, InstanceScores
from reidlab.evaluation.attributes.run import evaluate_attributes
from reidlab.evaluation.attributes.truth import majority_classes, true_classes

__all__ = [
    "OFFICIAL",
    "AttributeScores",
    "HeadScores",
    "InstanceScores",
    "OfficialScores",
    "evaluate_attributes",
    "evaluate_official",
    "majority_classes",
    "official_matrix",
    "read_official",
    "several_colors",
    "true_classes",
    "write_official",
]
