import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reidlab.claims import Claim, Effect, Measure, Statement, judge, paired_interval

SCORE = Measure("score", "mean score")
numbers = st.floats(-1, 1, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8), st.sampled_from([0.9, 0.99]))
def test_the_interval_is_that_of_the_paired_t_test(pairs, confidence):
    treated, controls = zip(*pairs, strict=True)
    differences = np.subtract(treated, controls)
    if differences.std() < 1e-6:
        return
    effect = Effect(SCORE, tuple(range(len(pairs))), treated, controls, confidence)
    expected = stats.ttest_rel(treated, controls).confidence_interval(confidence)
    assert effect.interval == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-7)
    assert effect.mean == pytest.approx(differences.mean(), abs=1e-9)
    significant = stats.ttest_rel(treated, controls).pvalue < 1 - confidence
    assert (effect.verdict != "not visible") == significant


def test_three_seeds_leave_two_degrees_of_freedom():
    low, high = paired_interval([1.0, 2.0, 3.0], 0.95)
    half = 4.302652729911275 / math.sqrt(3)  # from a table of Student's t
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    with pytest.raises(ValueError, match="at least two paired differences, got 1"):
        paired_interval([1.0], 0.95)


def effect(treated, controls, **options):
    measure = Measure("x", "x", **options)
    return Effect(measure, tuple(range(len(treated))), tuple(treated), tuple(controls))


@pytest.mark.parametrize(
    ("treated", "verdict"),
    [
        ((0.80, 0.81, 0.83), "holds"),
        ((0.60, 0.61, 0.63), "contradicted"),
        ((0.50, 0.90, 0.72), "not visible"),
        ((0.70, 0.71, 0.72), "all seeds alike"),
        ((0.80, 0.81, 0.82), "all seeds alike"),  # up to rounding
    ],
)
def test_the_verdict_says_on_which_side_of_zero_the_interval_lies(treated, verdict):
    controls = (0.70, 0.71, 0.72)
    assert effect(treated, controls).verdict == verdict
    opposite = {"holds": "contradicted", "contradicted": "holds"}.get(verdict, verdict)
    assert effect(treated, controls, better="lower").verdict == opposite


def test_rounding_is_no_difference():
    found = effect((0.1 + 0.2, 0.1 + 0.2), (0.3, 0.3))
    assert found.differences == (0, 0) and found.interval == (0, 0)
    assert found.verdict == "all seeds alike"
    kept = effect((0.3 + 2e-9, 0.3 + 5e-9), (0.3, 0.3))
    assert kept.differences == pytest.approx((2e-9, 5e-9)) and kept.verdict == "not visible"


def test_less_is_better_where_the_measure_says_so():
    found = effect((9.0, 8.0, 7.5), (10.0, 10.0, 10.0), unit="epochs", better="lower")
    assert found.differences == (1.0, 2.0, 2.5)
    assert found.verdict == "not visible" and found.mean == pytest.approx(5.5 / 3)


def test_values_are_printed_in_their_unit():
    assert SCORE.text(0.8123) == "81.2 %" and SCORE.points == "points"
    assert SCORE.text(-1e-5) == "0.0 %"
    epochs = Measure("epochs", "epochs run", unit="epochs")
    assert epochs.text(13) == "13 epochs" and epochs.points == "epochs"
    assert (SCORE.scaled(0.5), epochs.scaled(0.5)) == (50, 0.5)


@pytest.mark.parametrize(
    ("seeds", "treated", "controls", "complaint"),
    [
        ((0,), (1.0,), (1.0,), "two seeds or more, got 1 seeds"),
        ((0, 1), (1.0,), (1.0, 2.0), "got 2 seeds, 1 and 2 values"),
        ((0, 1), (1.0, math.nan), (1.0, 2.0), "expected finite values"),
    ],
)
def test_an_effect_of_nothing_is_refused(seeds, treated, controls, complaint):
    with pytest.raises(ValueError, match=complaint):
        Effect(SCORE, seeds, treated, controls)


def test_bad_directions_and_confidences_are_refused():
    with pytest.raises(ValueError, match="score: better must be higher or lower, got 'up'"):
        Measure("score", "score", better="up")
    with pytest.raises(ValueError, match="confidence between 0 and 1"):
        Effect(SCORE, (0, 1), (1.0, 2.0), (1.0, 1.0), 95)


# --- claims -----------------------------------------------------------------------------------


def stated(*measures, control="b"):
    return Statement("s", "It helps", "a report", "because", "a", control, measures)


def runs(**arms):
    """Arm -> measures, each a list over seeds."""
    return {
        arm: {seed: {name: row[seed] for name, row in own.items()} for seed in range(3)}
        for arm, own in arms.items()
    }


UP, FLAT, DOWN = [0.81, 0.82, 0.83], [0.5, 0.9, 0.7], [0.6, 0.61, 0.62]
BASE = [0.7, 0.71, 0.721]


def verdict_of(*columns):
    names = [f"m{i}" for i in range(len(columns))]
    both = runs(a=dict(zip(names, columns, strict=True)), b=dict.fromkeys(names, BASE))
    return judge(stated(*(Measure(name, name) for name in names)), both)


def test_a_claim_about_several_measures_needs_all_of_them():
    assert verdict_of(UP, UP).verdict == "holds"
    assert verdict_of(UP, FLAT).verdict == "not visible"
    assert verdict_of(UP, DOWN).verdict == "contradicted"
    assert verdict_of(FLAT, DOWN, UP).verdict == "contradicted"
    assert verdict_of(UP, UP, FLAT).summary == "not visible (2 hold, 1 not visible)"
    assert verdict_of(UP, UP).summary == "holds"


def test_several_measures_share_the_error_by_bonferroni():
    alone, two = verdict_of(UP), verdict_of(UP, UP)
    assert alone.effects[0].confidence == 0.95
    assert two.effects[0].confidence == pytest.approx(0.975)
    expected = stats.ttest_rel(UP, BASE).confidence_interval(0.975)
    assert two.effects[0].interval == pytest.approx((expected.low, expected.high))


def test_seeds_are_paired_with_the_same_seed_of_the_control():
    both = runs(a={"m": UP}, b={"m": BASE})
    del both["a"][0]
    both["b"][7] = {"m": 99.0}
    claim = judge(stated(Measure("m", "m")), both)
    assert claim.seeds == (1, 2)
    assert claim.effects[0].treated == tuple(UP[1:])
    assert claim.effects[0].controls == tuple(BASE[1:])


def test_the_control_may_be_another_measure_of_the_same_run():
    measure = Measure("m", "m", against="guess")
    claim = judge(stated(measure, control="a"), runs(a={"m": UP, "guess": BASE}))
    assert claim.effects[0].controls == tuple(BASE) and claim.verdict == "holds"
    with pytest.raises(ValueError, match="m is compared with itself"):
        stated(Measure("m", "m"), control="a")
    with pytest.raises(ValueError, match="expected different measures"):
        stated()


def test_what_the_treatment_is_compared_with_has_a_name():
    both = runs(a={"m": UP, "guess": BASE})
    own = stated(Measure("m", "m", against="guess"), control="a")
    assert "a against guess" in str(judge(own, both))
    assert "a against guessing" in str(judge(replace(own, versus="guessing"), both))


def test_seeds_that_are_all_alike_decide_nothing():
    same = [0.8, 0.81, 0.821]  # 0.1 above BASE with every seed
    assert verdict_of(same).verdict == verdict_of(same, same).verdict == "all seeds alike"
    assert verdict_of(same, UP).summary == "not visible (1 holds, 1 all seeds alike)"
    assert verdict_of(same, DOWN).verdict == "contradicted"


def test_a_claim_without_two_common_seeds_is_not_measured():
    both = runs(a={"m": UP}, b={"m": BASE})
    both["b"] = {2: {"m": 0.5}}
    claim = judge(stated(Measure("m", "m")), both)
    assert (claim.effects, claim.verdict, claim.seeds) == ((), "not measured", ())
    assert "not measured yet" in str(claim)
    with pytest.raises(ValueError, match="measured: nothing yet"):
        claim.effect("m")


def test_a_run_that_lacks_a_measure_is_named():
    both = runs(a={"m": UP}, b={"n": BASE})
    with pytest.raises(ValueError, match="arm b, seed 0: no measure 'm'; it has n"):
        judge(stated(Measure("m", "m")), both)


def test_a_claim_explains_itself():
    claim = verdict_of(UP, FLAT)
    text = " ".join(str(claim).split())
    assert "s: not visible (1 holds, 1 not visible)" in text
    assert "It helps (a report)" in text and "mechanism because" in text
    assert "a against b" in text
    assert "95% for 2 measures simultaneously (Bonferroni; stricter than a claim that all" in text
    assert "same test people in all runs: the interval is about seeds, not about other" in text
    assert "simultaneously" not in str(verdict_of(UP))
    assert "over 3 seeds, Student's t with 2 degrees of freedom" in text
    assert "m0: 82.0 % against 71.0 %, +11 points" in text
    assert isinstance(claim, Claim) and claim.effect("m1").verdict == "not visible"
