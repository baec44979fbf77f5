import pytest

from reidlab.claims import check_seed, run_experiment


@pytest.fixture
def table(fake, tmp_path):
    """Arm "with" has the scores 0.80, 0.81 and 0.82."""
    return run_experiment(fake(), out=tmp_path)


@pytest.mark.parametrize(
    ("score", "tolerance", "fine"),
    [
        (0.805, 0.0, True),
        (0.79, 0.0, False),
        (0.795, 0.0101, True),
        (0.795, 0.004, False),
        (0.83, 0.0101, True),
        (0.84, 0.0101, False),
    ],
)
def test_a_seed_may_lie_among_the_stored_ones_and_a_tolerance_beside(table, score, tolerance, fine):
    check = check_seed(table, "with", 1, {"score": score}, tolerance)
    assert bool(check) is fine
    assert check.outside == (() if fine else ("score",))
    assert (check.rows[0].low, check.rows[0].high) == pytest.approx(
        (0.8 - tolerance, 0.82 + tolerance)
    )


def test_a_check_shows_the_stored_value_of_the_same_seed(table):
    measured = {"score": 0.812, "cost": 99.0}
    check = check_seed(table, "with", 1, measured, {"score": 0.01, "cost": 1})
    assert [row.stored for row in check.rows] == pytest.approx([0.81, 10.0])
    assert check.outside == ("cost",)
    text = str(check)
    assert "seed 1, here" in text and "0.8120" in text and "0.8100" in text
    assert "0.7900 to 0.8300   inside" in text and "OUTSIDE" in text
    assert "stored seeds (0, 1, 2)" in text and repr(check) == text


def test_a_seed_that_was_never_run_is_compared_with_the_others(table):
    check = check_seed(table, "with", 9, {"score": 0.81}, 0.01)
    assert check and check.rows[0].stored is None and "  -  " in str(check)


@pytest.mark.parametrize(
    ("arm", "measured", "tolerance", "complaint"),
    [
        ("nobody", {"score": 0.8}, 0.1, "no runs of arm 'nobody'"),
        ("with", {"speed": 0.8}, 0.1, "no measure 'speed'"),
        ("with", {}, 0.1, "at least one measure"),
        ("with", {"score": float("nan")}, 0.1, "expected a finite value"),
        ("with", {"score": 0.8}, -0.1, "a tolerance of 0 or more"),
        ("with", {"score": 0.8}, float("inf"), "a tolerance of 0 or more"),
        ("with", {"score": 0.8, "cost": 9.0}, {"score": 0.1}, "no tolerance for cost"),
    ],
)
def test_what_cannot_be_compared_is_refused(table, arm, measured, tolerance, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_seed(table, arm, 0, measured, tolerance)
