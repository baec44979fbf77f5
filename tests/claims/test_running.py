import functools
import json
import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from reidlab.claims import (
    Measure,
    StaleClaims,
    compare,
    read_claims,
    run_experiment,
    write_claims,
)
from reidlab.claims.settings import settings_of

PAIRS = [(arm, seed) for seed in (0, 1, 2) for arm in ("with", "without", "odd")]


def test_every_arm_is_run_with_every_seed_and_judged(fake, run_so_far, tmp_path):
    table = run_experiment(fake(), out=tmp_path / "new")
    assert run_so_far == PAIRS
    assert [run.arm for run in table.runs] == ["with"] * 3 + ["without"] * 3 + ["odd"] * 3
    assert table.values("without", "score") == pytest.approx({0: 0.7, 1: 0.7101, 2: 0.7199})
    assert [claim.verdict for claim in table] == ["holds", "holds"]
    better = table.claim("better")
    assert better.effect("score").mean == pytest.approx(0.1)
    assert better.effect("cost").differences == pytest.approx((1, 1, 1), abs=1e-3)
    assert all(run.cpu_seconds >= 0 for run in table.runs)
    assert compare(table, fake()).state == "fresh"
    assert (tmp_path / "new" / "fake.json").is_file()


def test_a_second_call_measures_nothing_and_leaves_the_same_bytes(fake, run_so_far, tmp_path):
    run_experiment(fake(), out=tmp_path)
    before = (tmp_path / "fake.json").read_bytes()
    run_so_far.clear()
    run_experiment(fake(), out=tmp_path)
    assert run_so_far == [] and (tmp_path / "fake.json").read_bytes() == before


def test_the_order_of_the_runs_does_not_show(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    run_experiment(fake(), out=tmp_path / "a")
    for arm in ("odd", "without", "with"):
        for seed in (2, 0, 1):
            run_experiment(fake(), out=tmp_path / "b", only=arm, seeds=[seed])
    one, other = ((tmp_path / folder / "fake.json").read_bytes() for folder in "ab")
    assert one == other
    assert str(tmp_path).encode() not in one


def test_what_was_measured_survives_a_kill(fake, run_so_far, break_at, tmp_path):
    break_at.add(("without", 1))
    with pytest.raises(RuntimeError, match="without was killed with seed 1"):
        run_experiment(fake(), out=tmp_path)
    kept = read_claims(tmp_path / "fake.json")
    assert {(run.arm, run.seed) for run in kept.runs} == set(PAIRS[:4])
    assert [claim.verdict for claim in kept] == ["not measured", "holds"]
    found = compare(kept, fake())
    assert found.state == "incomplete" and len(found.missing) == 5
    break_at.clear()
    run_so_far.clear()
    table = run_experiment(fake(), out=tmp_path)
    assert run_so_far == PAIRS[4:]
    assert compare(table, fake()).state == "fresh"


def test_two_processes_share_a_file(fake, tmp_path):
    """The other one writes while an arm of this one is being measured."""

    def meanwhile(seed):
        run_experiment(replace(plain, arms=arms), out=tmp_path, only="without", seeds=[seed])
        return {"score": 1.0}

    plain = fake()
    arms = {**plain.arms, "odd": meanwhile}
    table = run_experiment(replace(plain, arms=arms), out=tmp_path, only="odd")
    assert set(table.runs_of("without")) == set(table.runs_of("odd")) == {0, 1, 2}


MANY = """
import sys
from reidlab.claims import Experiment, Measure, Statement, run_experiment

folder, arm = sys.argv[1:]
words = {"sentence": "x", "source": "x", "mechanism": "x", "treatment": "a", "control": "b"}
own = Experiment(
    "many", "many", {"a": lambda seed: {"m": 1.0 + seed}, "b": lambda seed: {"m": 2.0}},
    (Statement("s", measures=(Measure("m", "m"),), **words),), seeds=tuple(range(40)),
)
print("ready", flush=True)
sys.stdin.readline()
run_experiment(own, out=folder, only=arm)
"""


def test_no_run_is_lost_when_two_processes_write_at_once(tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, tmp_path, arm],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for arm in "ab"
    ]  # fmt: skip
    for process in both:  # both have loaded all packages before one of them starts
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    table = read_claims(tmp_path / "many.json")
    assert {(run.arm, run.seed) for run in table.runs} == {(a, s) for a in "ab" for s in range(40)}


def test_a_folder_that_cannot_be_locked_is_named(fake, tmp_path):
    (tmp_path / ".fake.json.lock").mkdir()
    with pytest.raises(ValueError, match=r"cannot write .*\.fake\.json\.lock"):
        run_experiment(fake(), out=tmp_path)


def test_settings_of_the_arms_are_taken_once(fake, tmp_path, monkeypatch):
    taken = []

    def watched(arm):
        taken.append(arm.keywords["name"])
        return settings_of(arm)

    monkeypatch.setattr("reidlab.claims.experiment.settings_of", watched)
    run_experiment(fake(), out=tmp_path)
    assert taken == ["with", "without", "odd"]


def test_other_seeds_are_added(fake, tmp_path):
    run_experiment(fake(), out=tmp_path)
    table = run_experiment(fake(), out=tmp_path, seeds=(3, 4), only=("with", "without"))
    assert table.claim("better").seeds == (0, 1, 2, 3, 4)
    assert set(table.runs_of("odd")) == {0, 1, 2}
    found = compare(table, fake())
    assert found.beyond == (3, 4) and found.state == "fresh"
    assert compare(table, fake(seeds=(0, 1, 2, 3, 4))).beyond == ()


@pytest.mark.parametrize("narrower", [{"only": "with"}, {"seeds": [0]}])
def test_results_that_would_not_be_measured_again_are_not_deleted(
    fake, made_arm, run_so_far, narrower, tmp_path
):
    run_experiment(fake(), out=tmp_path)
    before = (tmp_path / "fake.json").read_bytes()
    other = fake(arms={**fake().arms, "without": made_arm("without", 0.9)})
    run_so_far.clear()
    with pytest.raises(ValueError, match=r"be lost .*without, seeds .*1, 2 .*arguments.score"):
        run_experiment(other, out=tmp_path, **narrower)
    assert run_so_far == [] and (tmp_path / "fake.json").read_bytes() == before
    table = run_experiment(other, out=tmp_path, only="without")  # all of them are wanted
    assert table.values("without", "score")[0] == 0.9 and len(table.runs) == 9


def test_runs_on_other_data_are_not_deleted_for_one_arm(
    with_recipes, made_people, run_so_far, tmp_path
):
    run_experiment(with_recipes(), out=tmp_path)
    run_so_far.clear()
    with pytest.raises(ValueError, match=r"without, seeds 0, 1, 2 .fingerprint of the data"):
        run_experiment(with_recipes(), out=tmp_path, only="with", splits=made_people(shift=9))
    assert run_so_far == [] and len(read_claims(tmp_path / "fake.json").runs) == 6


def test_only_the_arm_that_changed_is_measured_again(fake, made_arm, run_so_far, tmp_path, caplog):
    run_experiment(fake(), out=tmp_path)
    run_so_far.clear()
    arms = {**fake().arms, "without": made_arm("without", 0.9)}
    other = fake(arms=arms)
    stored = read_claims(tmp_path / "fake.json")
    with pytest.raises(StaleClaims, match=r"without: arguments.score: 0.7 then, 0.9 now"):
        compare(stored, other).complain("fake")
    run_so_far.clear()
    with caplog.at_level(logging.WARNING):
        table = run_experiment(other, out=tmp_path)
    assert run_so_far == [("without", seed) for seed in (0, 1, 2)]
    assert "3 of 9 runs no longer count (arm without: arguments.score" in caplog.text
    assert table.claim("better").effect("score").verdict == "contradicted"


def test_an_arm_that_is_gone_leaves_the_file(fake, tmp_path):
    run_experiment(fake(), out=tmp_path)
    fewer = fake(arms={name: fake().arms[name] for name in ("with", "without")})
    assert (
        "arm odd: no longer part" in compare(read_claims(tmp_path / "fake.json"), fewer).reasons[0]
    )
    table = run_experiment(fewer, out=tmp_path)
    assert "odd" not in table.arms and len(table.runs) == 6


def test_a_higher_version_measures_all_again(fake, run_so_far, tmp_path):
    run_experiment(fake(), out=tmp_path)
    run_so_far.clear()
    run_experiment(fake(version=2), out=tmp_path)
    assert run_so_far == PAIRS


def test_other_words_are_stale_but_cost_no_run(fake, run_so_far, tmp_path):
    table = run_experiment(fake(), out=tmp_path)
    first, second = fake().statements
    worded = fake(statements=(replace(first, sentence="It helps a lot"), second))
    assert compare(table, worded).reasons == ["claim better reads differently"]
    run_so_far.clear()
    again = run_experiment(worded, out=tmp_path)
    assert run_so_far == [] and again.claim("better").sentence == "It helps a lot"


# --- recipes and data -------------------------------------------------------------------------


def test_recipes_are_measured_on_the_dataset(with_recipes, made_people, tmp_path):
    table = run_experiment(with_recipes(), out=tmp_path)
    assert table.data["fingerprint"] == made_people().fingerprint
    assert json.loads((tmp_path / "fake.json").read_text())["data"]["options"]["size"] == [8, 4]
    assert table.claim("better").effect("score").mean == pytest.approx(0.1)
    assert compare(read_claims(tmp_path / "fake.json"), with_recipes()).state == "fresh"


def test_other_data_make_all_runs_stale(with_recipes, made_people, run_so_far, tmp_path):
    run_experiment(with_recipes(), out=tmp_path)
    table, other = read_claims(tmp_path / "fake.json"), made_people(shift=9)
    assert compare(table, with_recipes(), made_people().fingerprint).state == "fresh"
    found = compare(table, with_recipes(), other.fingerprint)
    assert found.state == "stale" and not found.reuses("with")
    assert "fingerprint of the data" in found.reasons[0]
    run_so_far.clear()
    again = run_experiment(with_recipes(), out=tmp_path, splits=other)
    assert len(run_so_far) == 6 and again.data["fingerprint"] == other.fingerprint


def test_other_options_of_the_dataset_are_stale_without_reading_it(with_recipes, tmp_path):
    table = run_experiment(with_recipes(), out=tmp_path)
    other = with_recipes(options={"ids": 3, "size": (8, 4)})
    assert compare(table, other).reasons == ["data.ids: 2 then, 3 now"]
    assert compare(table, with_recipes(dataset="msmt17")).reasons == [
        "data: 'made up' then, 'msmt17' now"
    ]


def test_nothing_is_read_when_nothing_is_missing(with_recipes, tmp_path, monkeypatch):
    run_experiment(with_recipes(), out=tmp_path)
    monkeypatch.setattr("reidlab.claims.experiment.read_dataset", None)
    table = run_experiment(with_recipes(), out=tmp_path)
    assert table.data["fingerprint"]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [(), (0, 0), (-1,), (0.5,), (True,), (2**32,)])
def test_bad_seeds_are_refused_before_any_run(fake, run_so_far, seeds, tmp_path):
    with pytest.raises(ValueError, match="expected different seeds"):
        run_experiment(fake(), out=tmp_path, seeds=seeds)
    assert run_so_far == [] and not list(tmp_path.iterdir())


def test_unknown_arms_are_refused(fake, tmp_path):
    with pytest.raises(ValueError, match="fake has no arm oddd; its arms: with, without, odd"):
        run_experiment(fake(), out=tmp_path, only=["oddd"])
    statement = replace(fake().statements[0], control="nobody")
    with pytest.raises(ValueError, match="fake has no arm nobody"):
        fake(statements=(statement,))
    with pytest.raises(ValueError, match="expected different statements"):
        fake(statements=fake().statements[:1] * 2)
    with pytest.raises(ValueError, match="recipes need `measure` and `dataset`"):
        fake(arms={"with": with_recipe(), "without": with_recipe()})


def with_recipe():
    from reidlab.recipes import recipe

    return recipe("baseline")


def test_a_measure_that_is_not_finite_is_refused_and_not_written(fake, tmp_path):
    arms = {**fake().arms, "with": lambda seed: {"score": float("nan")}}
    with pytest.raises(ValueError, match="arm with, seed 0: score not finite"):
        run_experiment(fake(arms=arms), out=tmp_path, only="with")
    assert not (tmp_path / "fake.json").exists()


def test_a_recipe_without_data_is_refused(with_recipes):
    with pytest.raises(ValueError, match="arm with: expected the splits of made up"):
        with_recipes().run("with", 0)


# --- files ------------------------------------------------------------------------------------


@pytest.fixture
def stored(fake, tmp_path):
    run_experiment(fake(), out=tmp_path)
    return tmp_path / "fake.json"


def test_a_table_comes_back_from_its_file(fake, stored):
    table = read_claims(stored)
    assert table.runs == run_experiment(fake(), out=stored.parent).runs
    assert [claim.statement for claim in table] == list(fake().statements)
    before = stored.read_bytes()
    assert write_claims(stored, table).read_bytes() == before
    assert "date" not in before.decode() and set(table.versions) >= {"python", "torch"}


def changed(stored, change):
    content = json.loads(stored.read_text())
    change(content)
    stored.write_text(json.dumps(content))


def set_value(content):
    content["runs"][0]["measures"]["score"] = 0.99


def set_verdict(content):
    content["claims"][0]["verdict"] = "contradicted"


def set_mean(content):
    content["claims"][0]["effects"][0]["mean"] += 0.001


def set_settings(content):
    content["arms"]["with"]["settings"]["arguments.score"] = 0.9


def set_options(content):
    content["data"]["options"] = 3


def set_data(content):
    content["data"] = []


def set_arm(content):
    content["arms"]["with"]["settings"] = 3


def set_version(content):
    content["version"] = "1"


def set_versions(content):
    content["versions"]["torch"] = 2


def set_confidence(content):
    content["claims"][0]["confidence"] = "0.95"


def set_title(content):
    content["claims"][0]["measures"][0]["title"] = 7


def set_sentence(content):
    content["claims"][0]["sentence"] = None


def drop_runs(content):
    del content["runs"]


def twice(content):
    content["runs"].append(content["runs"][0])


def no_number(content):
    content["runs"][0]["measures"]["score"] = "0.8"


def no_seed(content):
    content["runs"][0]["seed"] = "0"


def no_arm(content):
    del content["arms"]["odd"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_value, "claim better says something else than the runs"),
        (set_verdict, "claim better says something else than the runs"),
        (set_mean, "claim better says something else than the runs"),
        (set_settings, "arm with: settings do not have the fingerprint"),
        (set_options, "options is '3', expected names with values"),
        (set_data, "data is .*, expected names with values"),
        (set_arm, "settings is '3', expected names with values"),
        (set_version, "version is '1', expected a whole number"),
        (set_versions, "torch is '2', expected a list"),
        (set_confidence, "'0.95' where a number was expected"),
        (set_title, "title is '7', expected a text"),
        (set_sentence, "sentence is 'None', expected a text"),
        (drop_runs, "no 'runs'"),
        (twice, "a run twice"),
        (no_number, "'0.8' where a number was expected"),
        (no_seed, "seed is '0', expected a whole number"),
        (no_arm, "runs of odd, whose settings are missing"),
    ],
)
def test_a_file_changed_by_hand_is_refused(stored, change, complaint):
    changed(stored, change)
    with pytest.raises(ValueError, match=rf"fake.json: damaged \({complaint}") as found:
        read_claims(stored)
    assert "reidlab claims fake --run" in str(found.value)


def test_a_file_from_before_controls_had_names_is_read(stored):
    def older(content):
        for claim in content["claims"]:
            del claim["versus"]

    before = [claim.statement for claim in read_claims(stored)]
    changed(stored, older)
    assert [claim.statement for claim in read_claims(stored)] == before


def test_a_file_cut_short_is_refused_by_name(fake, stored):
    stored.write_bytes(stored.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"fake.json: damaged, no JSON"):
        read_claims(stored)
    with pytest.raises(ValueError, match=r"fake.json: damaged, no JSON"):
        run_experiment(fake(), out=stored.parent)
    stored.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"damaged, no JSON"):
        read_claims(stored)
    stored.write_text("[]")
    with pytest.raises(ValueError, match="expected a file of claims"):
        read_claims(stored)
    with pytest.raises(ValueError, match="cannot read .*nowhere.json"):
        read_claims(stored.with_name("nowhere.json"))


# --- the table --------------------------------------------------------------------------------


def test_the_table_shows_a_row_per_claim_and_measure(stored):
    text = str(read_claims(stored))
    lines = text.splitlines()
    assert lines[1].startswith("better (with : without)") and lines[1].endswith("  holds")
    row = "mean score 81.0 % 71.0 % +10.00 points +9.96 to +10.04 holds"
    assert lines[2].startswith("  mean") and lines[2].split() == row.split()
    assert lines[3].split()[:5] == ["cost", "10.67", "epochs", "11.67", "epochs"]
    assert lines[4].startswith("above (with : guess)") and max(map(len, lines)) <= 110
    assert "does it work; seeds 0, 1, 2; data none, fingerprint none; 9 runs" in text
    assert lines[-1] == (
        "same test people in all runs: the interval is about seeds, not about other people"
    )
    html = read_claims(stored)._repr_html_()
    assert html.count("<tr>") == 6 and "<td>&emsp;mean score</td>" in html


def test_zero_has_no_sign_in_the_table(fake, made_arm, tmp_path):
    arms = {**fake().arms, "without": made_arm("without", 0.80001, 9.0)}
    text = str(run_experiment(fake(arms=arms), out=tmp_path))
    assert "+0.00 points" in text and "-0.00" not in text


def test_claims_not_measured_yet_are_shown_with_dashes(fake, tmp_path):
    table = run_experiment(fake(), out=tmp_path, seeds=[0])
    assert str(table).splitlines()[1].endswith("not measured")
    assert len(table.frame()) == 0


def test_the_table_as_a_frame_has_plain_numbers(stored):
    frame = read_claims(stored).frame()
    assert list(frame["claim"]) == ["better", "better", "above"]
    assert frame.loc[0, "difference"] == pytest.approx(0.1)
    assert frame.loc[1, "low"] == pytest.approx(1, abs=1e-3) and frame.loc[1, "seeds"] == 3


def test_what_the_table_does_not_have_is_named(stored):
    table = read_claims(stored)
    with pytest.raises(ValueError, match="no claim 'worse'; its claims: better, above"):
        table.claim("worse")
    with pytest.raises(ValueError, match="no runs of arm 'x'; arms with runs: with, without, odd"):
        table.runs_of("x")
    with pytest.raises(ValueError, match="with has no measure 'time'; it has cost, guess, score"):
        table.values("with", "time")
    assert len(table) == 2 and table[0].name == "better" and len(table[:1]) == 1
    assert [m.name for m in table[0].statement.measures] == ["score", "cost"]


def asks_for_more(fake, arms):
    """The same experiment with one more statement, about a measure that no run had."""
    better, above = fake().statements
    more = replace(better, name="fast", measures=(Measure("speed", "speed"),))
    return fake(statements=(better, above, more), arms=arms)


def test_a_run_without_a_measure_that_is_claimed_is_refused_at_once(fake, run_so_far, tmp_path):
    with pytest.raises(ValueError, match="fake, arm with, seed 0: no speed, which its claims are"):
        run_experiment(asks_for_more(fake, fake().arms), out=tmp_path)
    assert len(run_so_far) == 1


def test_runs_without_a_measure_that_is_claimed_by_now_are_made_again(
    fake, run_so_far, tmp_path, monkeypatch
):
    same = property(lambda self: {name: {} for name in self.arms})
    monkeypatch.setattr("reidlab.claims.experiment.Experiment.settings", same)
    arms = fake().arms
    run_experiment(fake(), out=tmp_path)
    run_so_far.clear()

    def now(seed, **settings):
        return {**arms["with"].func(seed, **settings), "speed": 1.0}

    faster = {name: functools.partial(now, **arm.keywords) for name, arm in arms.items()}
    table = run_experiment(asks_for_more(fake, faster), out=tmp_path)
    assert table.claim("fast").verdict == "all seeds alike" and len(table.runs) == 9
    assert run_so_far == [pair for pair in PAIRS if pair[0] != "odd"]  # no claim asks that arm
