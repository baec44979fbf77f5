"""What makes a notebook a lesson: the first cell, exercises with answers, and a runner for all.

A lesson imports `start`, and for its exercises `todo`, `solution`, `case` and `check`. On the
command line `python -m reidlab.course` runs notebooks from top to bottom without a browser.
"""

from reidlab.course.exercises import (
    Checked,
    ExerciseError,
    WrongAnswer,
    case,
    check,
    solution,
    todo,
)
from reidlab.course.session import start

__all__ = [
    "Checked",
    "ExerciseError",
    "WrongAnswer",
    "case",
    "check",
    "solution",
    "start",
    "todo",
]
