import math

import numpy as np
import pytest
import torch

from reidlab.course import (
    ExerciseError,
    WrongAnswer,
    case,
    check,
    solution,
    todo,
)
from reidlab.course.exercises import _agree, is_stub


def stub():
    def double(x):
        return todo("Exercise 1: give twice x")

    return double


def right():
    def double(x):
        return x + x

    return double


def wrong():
    def double(x):
        return x

    return double


def shipped_for(answer):
    @solution(of=answer)
    def double(x):
        return 2 * x

    return double


def test_a_stub_fails_with_the_task_and_what_to_do():
    with pytest.raises(NotImplementedError, match=r"Exercise 1: give twice x\n.*todo"):
        stub()(3)


def test_the_solution_steps_in_for_a_stub_and_says_so():
    report = check(shipped_for(stub()), case(3, expect=6))
    expected = "double: the shipped solution passes 1 check\n  double(3) -> 6"
    assert repr(report) == expected


def test_the_readers_answer_is_kept_and_named():
    mine = right()
    assert shipped_for(mine) is mine
    report = check(shipped_for(mine), case(3, expect=6), case(x=0, expect=0))
    expected = "double: your answer passes 2 checks\n  double(3) -> 6\n  double(x=0) -> 0"
    assert repr(report) == expected


def test_a_wrong_answer_is_kept_and_refused_with_expected_got_and_hint():
    with pytest.raises(WrongAnswer) as caught:
        check(shipped_for(wrong()), case(3, expect=6), hint="add x to itself")
    for part in ("your answer", "double(3)", "expected 6", "got      3", "Hint: add x to itself"):
        assert part in str(caught.value)


def test_running_the_solution_cell_twice_does_not_make_it_the_readers():
    first = shipped_for(stub())
    second = shipped_for(first)
    assert second is not first
    assert check(second, case(3, expect=6)).whose == "the shipped solution"


def test_checking_a_stub_says_that_it_is_one():
    with pytest.raises(ExerciseError, match="double is still the stub"):
        check(stub(), case(3, expect=6))


def test_a_solution_must_have_the_name_of_its_stub():
    with pytest.raises(ValueError, match="named double like its stub, got triple"):

        @solution(of=stub())
        def triple(x):
            return 3 * x


def test_a_check_without_cases_is_refused():
    with pytest.raises(ValueError, match="at least one case"):
        check(right())


def test_stubs_are_seen_in_branches_inner_functions_and_methods():
    def half_done(x):
        if x:
            return 1
        return todo("the rest")

    def inner(x):
        return [todo("each") for _ in x]

    class Layer:
        def forward(self, x):
            return todo("forward")

    class Done:
        def forward(self, x):
            return x

    assert is_stub(half_done) and is_stub(inner) and is_stub(Layer)
    assert not is_stub(Done) and not is_stub(right()) and not is_stub(len)


def test_classes_can_be_exercises_too():
    class Layer:
        def forward(self, x):
            return todo("forward")

    def doubles(layer):
        """forward(2) gives 4"""
        assert layer().forward(2) == 4

    stub_layer = Layer

    @solution(of=stub_layer)
    class Layer:
        def forward(self, x):
            return 2 * x

    assert check(Layer, doubles).lines == ("  forward(2) gives 4",)


def test_an_assertion_function_is_reported_by_its_docstring():
    def is_even(answer):
        """the result is even for every x"""
        assert answer(1) % 2 == 0, "odd for x = 1"

    assert check(right(), is_even).lines == ("  the result is even for every x",)
    with pytest.raises(WrongAnswer, match=r"the result is even for every x\n\s+odd for x = 1"):
        check(wrong(), is_even)


def test_an_error_inside_the_answer_passes_through_with_a_note():
    def double(x):
        return x.no_such_thing

    with pytest.raises(AttributeError) as caught:
        check(double, case(3, expect=6), hint="think")
    assert "your answer" in caught.value.__notes__[0] and "think" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (0.1 + 0.2, 0.3),
        (torch.tensor(2.0, requires_grad=True), 2),
        (torch.tensor([1.0, 2.0]), [1, 2]),
        ([torch.tensor(1.0), 2.0], (1, 2)),
        (np.float32(1) / 3, 1 / 3),
        (math.nan, math.nan),
        (torch.ones(2, dtype=torch.bfloat16), np.ones(2)),
        ({"a": [1, 2]}, {"a": np.array([1, 2])}),
        ("blue", "blue"),
        (None, None),
        ([1, [2, 3]], [1, [2, 3]]),
        (True, True),
    ],
)
def test_values_that_agree(got, expected):
    assert _agree(got, expected, 1e-5)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (0.3001, 0.3),
        (None, 0),
        (0, None),
        ("1", 1),
        (torch.ones(2), torch.ones(2, 1)),
        (torch.ones(1), 1),
        ([1, 2], [1, 2, 3]),
        ([1, 2], {"a": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1, "x"], [1, "y"]),
        (math.nan, 1.0),
    ],
)
def test_values_that_do_not_agree(got, expected):
    assert not _agree(got, expected, 1e-5)


def test_reports_name_large_tensors_by_shape_only():
    def double(x):
        return 2 * x

    (line,) = check(double, case(torch.ones(3, 4), expect=2 * torch.ones(3, 4))).lines
    assert line == "  double(<Tensor (3, 4)>) -> <Tensor (3, 4)>"
    (line,) = check(double, case(torch.tensor([0.5, 10]), expect=[1.0, 20])).lines
    assert line == "  double([0.5, 10]) -> [1.0, 20]"
    assert check(double, case(1 / 3, expect=2 / 3)).lines == ("  double(0.3333) -> 0.6667",)
