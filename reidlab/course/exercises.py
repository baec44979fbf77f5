"""Exercises that run from top to bottom whether or not the reader has tried them.

An exercise is four cells. A question in words; a stub for the reader (tagged `exercise`):

    def share_of_hits(order, pids, pid):
        return todo("Exercise 1: the share of the first K gallery images that show `pid`")

a solution (tagged `solution`, folded away), which steps back once the stub is filled in:

    @solution(of=share_of_hits)
    def share_of_hits(order, pids, pid):
        return (pids[order] == pid).float().mean()

and a check, whose last line says whose answer was checked on what:

    check(share_of_hits, case(order, pids, 7, expect=0.5), hint="index pids with order first")

Everything is a function, a prediction as well: `def my_guess(): return todo("Exercise 2: ...")`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NoReturn, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

SHIPPED = "_reidlab_shipped_solution"  # attribute that marks a solution of ours


class ExerciseError(NotImplementedError):
    """An exercise that nobody has filled in was run."""


class WrongAnswer(AssertionError):
    """An answer that does not give what was expected."""


def todo(task: str) -> NoReturn:
    """Stand where an answer will stand.

    Raises:
        ExerciseError: always, saying what to do.
    """
    raise ExerciseError(
        f"{task}\n  Replace the line `return todo(...)` with your answer, then run the cells from "
        "there to the check."
    )


def is_stub(answer: Any) -> bool:
    """Whether a function, or a method of a class, still calls `todo` anywhere in its body."""
    members = vars(answer).values() if inspect.isclass(answer) else [answer]
    codes = (getattr(inspect.unwrap(m), "__code__", None) for m in members if callable(m))
    return any("todo" in inner.co_names for code in codes if code for inner in _nested(code))


def _nested(code: CodeType) -> Iterator[CodeType]:
    """A body and the bodies of the functions written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def is_shipped(answer: Any) -> bool:
    """Whether an answer is one of our solutions, not the reader's."""
    return SHIPPED in getattr(answer, "__dict__", {})


def solution(*, of: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a solution: gives the reader's own answer `of` once there is one, else the solution.

    Running the cell again, edited or not, never turns a solution into an answer of the reader.

    Args:
        of: the stub, or what the reader made of it; a function or a class of the same name.

    Raises:
        ValueError: (from the decorator) the two have different names, so that a check would not
            find the answer.
    """

    def choose(shipped: F) -> F:
        theirs, ours = of.__name__, shipped.__name__
        if theirs != ours:
            raise ValueError(f"expected a solution named {theirs} like its stub, got {ours}")
        setattr(shipped, SHIPPED, True)
        return shipped if is_stub(of) or is_shipped(of) else of  # pyright: ignore[reportReturnType]

    return choose


@dataclass(frozen=True)
class Case:
    """One call of an answer and the value it should give; made by `case`."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    expect: Any
    tolerance: float

    def call(self, name: str) -> str:
        """The call as a reader would write it."""
        parts = [_short(value) for value in self.args]
        parts += [f"{key}={_short(value)}" for key, value in self.kwargs.items()]
        return f"{name}({', '.join(parts)})"


@dataclass(frozen=True)
class Checked:
    """What a check found; as the last line of a cell it shows itself."""

    name: str
    whose: str
    lines: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        """Whose answer passed, and what was tried."""
        count = f"{len(self.lines)} check{'s' if len(self.lines) > 1 else ''}"
        return "\n".join([f"{self.name}: {self.whose} passes {count}", *self.lines])


def case(*args: Any, expect: Any, tolerance: float = 1e-5, **kwargs: Any) -> Case:
    """One thing to try: call the answer with these arguments, and expect this value.

    Args:
        *args: passed on.
        expect: a number, text, tensor, array, or a list, tuple or dict of them.
        tolerance: of numbers, absolute and relative.
        **kwargs: passed on.
    """
    return Case(args, kwargs, expect, tolerance)


def check(
    answer: Callable[..., Any], *cases: Case | Callable[[Callable[..., Any]], None], hint: str = ""
) -> Checked:
    """Try an answer and say whose it is: the reader's, or the shipped solution.

    Args:
        answer: the function, or class, under that name in the notebook.
        *cases: each a `case(...)`, or a function that takes the answer and asserts something; the
            first line of its docstring, or its name, says what.
        hint: shown when the answer is wrong.

    Raises:
        ExerciseError: the stub is not filled in and the solution cell was not run.
        WrongAnswer: a case gives another value, or an assertion fails.
        ValueError: no cases.
    """
    if not cases:
        raise ValueError("expected at least one case to check, got none")
    name = answer.__name__
    if is_stub(answer):
        raise ExerciseError(
            f"{name} is still the stub: replace its `todo(...)` with your answer, then run the "
            "cells from there to this one."
        )
    whose = "the shipped solution" if is_shipped(answer) else "your answer"
    tail = f"\n  Hint: {hint}" if hint else ""
    lines = []
    for one in cases:
        try:
            lines.append(_try_case(answer, one) if isinstance(one, Case) else _try(answer, one))
        except AssertionError as error:
            raise WrongAnswer(f"{name}: {whose} is not right yet.\n  {error}{tail}") from None
        except Exception as error:
            error.add_note(f"This came from {whose} to {name}, while it was checked.{tail}")
            raise
    return Checked(name, whose, tuple(f"  {line}" for line in lines))


def _try_case(answer: Callable[..., Any], one: Case) -> str:
    call = one.call(answer.__name__)
    got = answer(*one.args, **one.kwargs)
    if not _agree(got, one.expect, one.tolerance):
        raise AssertionError(f"{call}\n    expected {_show(one.expect)}\n    got      {_show(got)}")
    return f"{call} -> {_short(one.expect)}"


def _try(answer: Callable[..., Any], assertion: Callable[[Callable[..., Any]], None]) -> str:
    words = (inspect.getdoc(assertion) or assertion.__name__.replace("_", " ")).splitlines()[0]
    try:
        assertion(answer)
    except AssertionError as error:
        reason = f"\n    {error}" if str(error) else ""
        raise AssertionError(f"expected: {words}{reason}") from None
    return words


def _agree(got: Any, expected: Any, tolerance: float) -> bool:
    """Equal values of equal shapes; numbers within the tolerance, NaN like NaN."""
    if isinstance(expected, Mapping):
        same_keys = isinstance(got, Mapping) and got.keys() == expected.keys()
        return same_keys and all(_agree(got[k], expected[k], tolerance) for k in expected)
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        pairs = zip(got, expected, strict=False)
        return len(got) == len(expected) and all(_agree(a, b, tolerance) for a, b in pairs)
    a, b = _numbers(got), _numbers(expected)
    if a is None or b is None:
        return a is b and bool(got == expected)
    return a.shape == b.shape and np.allclose(a, b, tolerance, tolerance, equal_nan=True)


def _numbers(value: Any) -> np.ndarray | None:
    """Numbers, bare, nested in lists, or in a tensor, as an array; None for anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value  # numpy has no bfloat16
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal length
        return None
    return array if array.dtype.kind in "biufc" else None


def _short(value: Any) -> str:
    """A value in a few characters; large tensors and arrays by their shape."""
    shape = tuple(getattr(value, "shape", ()))
    if np.prod(shape) > 8:
        return f"<{type(value).__name__} {shape}>"
    numbers = _numbers(value) if shape or isinstance(value, float) else None
    digits: Any = {"float_kind": lambda x: f"{x:.4g}", "int_kind": str}
    text = np.array2string(numbers, separator=", ", formatter=digits) if numbers is not None else ""
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _show(value: Any) -> str:
    """A value for the report of a wrong answer: more of its entries, and its shape."""
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    text = repr(value)
    return (text if len(text) <= 400 else f"{text[:397]}...") + shape
