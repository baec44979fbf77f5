"""`reidlab claims`: list, print, check, measure."""

import contextlib
import io

import pytest

from reidlab.claims import Experiment, Measure, Statement, read_claims, run_experiment
from reidlab.claims.catalog import EXPERIMENTS
from reidlab.cli import main


def helped(seed):
    return {"score": 0.8 + 0.01 * seed}


def alone(seed):
    return {"score": 0.7 + 0.012 * seed}


STATEMENT = Statement(
    "better", "It helps", "a report", "because", "with", "without", (Measure("score", "score"),)
)


def made(version=1):
    arms = {"with": helped, "without": alone}
    return Experiment("fake", "does it work", arms, (STATEMENT,), version=version)


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    """Only the made-up experiment."""
    for name in list(EXPERIMENTS):
        monkeypatch.delitem(EXPERIMENTS, name)
    monkeypatch.setitem(EXPERIMENTS, "fake", made)


def run(*words):
    """Exit status, standard output and standard error of `reidlab claims WORDS`."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["claims", *map(str, words)])
        except SystemExit as left:
            status = int(left.code or 0)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def measured(tmp_path):
    run_experiment(made(), out=tmp_path)
    return tmp_path


def test_fresh_claims_are_listed_with_their_table(measured):
    status, out, err = run("--out", measured)
    assert (status, err) == (0, "")
    assert out.startswith(f"fake: fresh, {measured / 'fake.json'}\n")
    assert "better (with : without)" in out and "holds" in out
    assert "mechanism  because" in out and "does it work; seeds 0, 1, 2" in out


def test_check_prints_states_and_passes_only_when_all_are_fresh(measured, monkeypatch):
    assert run("--check", "--out", measured) == (0, f"fake: fresh, {measured / 'fake.json'}\n", "")
    monkeypatch.setitem(EXPERIMENTS, "fake", lambda: made(version=2))
    status, out, _ = run("fake", "--check", "--out", measured)
    assert status == 1 and out.startswith("fake: stale")
    assert "  version: 1 then, 2 now\n" in out
    assert f"`reidlab claims fake --run --out {measured}`" in out
    status, _, error = run("fake", "--check", "--run", "--out", measured)
    assert status == 1 and "--check prints states and measures nothing" in error
    assert "mechanism" not in out
    assert run("--out", measured)[0] == 0  # listing is no check


def test_data_that_lie_ready_are_compared(measured, monkeypatch):
    monkeypatch.setattr("reidlab.cli.claims.Experiment.cached_fingerprint", lambda self: "other")
    status, out, _ = run("--check", "--out", measured)
    assert status == 1 and "fingerprint of the data: none then, other now" in out


def test_an_experiment_named_twice_is_shown_once(measured):
    assert run("fake", "fake", "--check", "--out", measured)[1].count("fake: fresh") == 1


def test_seeds_beyond_those_of_the_experiment_are_told(measured):
    run_experiment(made(), out=measured, seeds=(7, 9), only="with")
    status, out, _ = run("--check", "--out", measured)
    assert status == 0 and "  with seeds beyond those of the experiment: 7, 9\n" in out


def test_missing_and_incomplete_results_say_what_to_do(tmp_path):
    status, out, _ = run("--check", "--out", tmp_path)
    assert status == 1
    assert out == "fake: missing; `reidlab claims fake --run` measures it\n"
    run_experiment(made(), out=tmp_path, seeds=(0, 2))
    status, out, _ = run("--check", "--out", tmp_path)
    assert status == 1 and "fake: incomplete" in out and "2 of 6 runs are missing" in out


def test_run_measures_seeds_and_arms_that_are_asked_for(tmp_path):
    status, out, _ = run(
        "fake", "--run", "--seeds", "0, 4,1", "--only", "with", "--out", tmp_path / "x"
    )
    table = read_claims(tmp_path / "x" / "fake.json")
    assert status == 0 and {(r.arm, r.seed) for r in table.runs} == {("with", s) for s in (0, 1, 4)}
    assert "not measured" in out
    assert run("--run", "--out", tmp_path / "x")[0] == 0
    table = read_claims(tmp_path / "x" / "fake.json")
    assert len(table.runs) == 7 and table.claim("better").seeds == (0, 1, 2)


def test_run_writes_into_the_checkout_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("reidlab.cli.claims.CHECKOUT", tmp_path)
    monkeypatch.setattr("reidlab.claims.catalog.shipped", lambda name: tmp_path / "data" / name)
    monkeypatch.setattr("reidlab.cli.claims.in_checkout", lambda: True)
    assert run("--run")[0] == 0
    assert (tmp_path / "data" / "claims" / "fake.json").is_file()
    monkeypatch.setattr("reidlab.cli.claims.in_checkout", lambda: False)
    status, _, err = run("--run")
    assert status == 1 and "say where to write with --out FOLDER" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fakes"], "unknown experiment 'fakes', did you mean 'fake'?; experiments: fake"),
        (["--seeds", "1"], "--seeds say what to measure; add --run"),
        (["--seeds", "1", "--only", "with"], "--seeds and --only say what to measure; add --run"),
        (["--run", "--seeds", "1;2"], "--seeds 1;2: expected whole numbers and commas"),
        (["--run", "--seeds", "1,1"], "expected different seeds"),
        (["--run", "--only", "wiht"], "fake has no arm wiht; its arms: with, without"),
        (["--run", "--only", ","], "--only ,: expected arms and commas, such as one,other"),
        (["--out", "nowhere"], "--out nowhere: no such folder"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(words, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extra = ["--out", "here"] if "--run" in words else []
    status, _, err = run(*words, *extra)
    assert status == 1 and err.startswith("reidlab: ") and complaint in err
    assert not (tmp_path / "here" / "fake.json").exists()


def test_a_damaged_file_is_named(measured):
    (measured / "fake.json").write_text("{")
    status, _, err = run("--out", measured)
    assert status == 1 and "fake.json: damaged" in err and "Traceback" not in err


def test_a_file_changed_by_hand_is_named(measured):
    text = (measured / "fake.json").read_text()
    (measured / "fake.json").write_text(text.replace('"options": {}', '"options": 3'))
    status, _, err = run("--check", "--out", measured)
    assert status == 1 and "options is '3', expected names with values" in err


def test_results_that_would_be_lost_are_kept_with_what_to_do(measured, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "fake", lambda: made(version=2))
    status, _, err = run("--run", "--only", "with", "--seeds", "0", "--out", measured)
    assert status == 1 and "measure without --only and --seeds" in err
    assert len(read_claims(measured / "fake.json").runs) == 6


def test_the_help_has_examples():
    status, out, _ = run("--help")
    assert status == 0 and "reidlab claims attributes --run" in out and "--only" in out
