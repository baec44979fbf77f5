"""Claims in JSON files: the runs, what follows from them, and the settings they were made with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reidlab.claims.effects import Effect, Measure
from reidlab.claims.experiment import Run
from reidlab.claims.record import Claim, Statement, judge
from reidlab.claims.settings import fingerprint
from reidlab.claims.table import ClaimTable
from reidlab.paths import atomic_write

KIND = "reidlab_claims"
VERSION = 1
WORDS = {str: "a text", int: "a whole number", dict: "names with values", list: "a list"}
DIGITS = 9  # of what is computed from the runs: enough to read, the same on every machine


def write_claims(path: Path, table: ClaimTable) -> Path:
    """Write a table to a JSON file, whole or not at all; its path.

    The same table gives the same bytes: nothing depends on when or where it is written.

    Raises:
        ValueError: the file cannot be written.
    """
    arms = {
        name: {"fingerprint": fingerprint(settings), "settings": settings}
        for name, settings in table.arms.items()
    }
    content = {
        KIND: VERSION,
        "experiment": table.experiment,
        "title": table.title,
        "version": table.version,
        "data": dict(table.data),
        "arms": arms,
        "versions": table.versions,
        "claims": [_of_claim(claim) for claim in table.claims],
        "runs": [asdict(run) for run in table.runs],
    }
    atomic_write(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return path


def _of_claim(claim: Claim) -> dict[str, Any]:
    verdict = {"confidence": claim.confidence, "verdict": claim.verdict}
    effects = [_of_effect(effect) for effect in claim.effects]
    return {**asdict(claim.statement), **verdict, "effects": effects}


def _of_effect(effect: Effect) -> dict[str, Any]:
    """The effect for people who read the file; it is computed again when it is loaded."""
    low, high = effect.interval
    return {
        "measure": effect.measure.name,
        "seeds": list(effect.seeds),
        "differences": [round(value, DIGITS) for value in effect.differences],
        "mean": round(effect.mean, DIGITS),
        "low": round(low, DIGITS),
        "high": round(high, DIGITS),
        "verdict": effect.verdict,
    }


def read_claims(path: Path) -> ClaimTable:
    """The table in a file of `write_claims`; all claims follow from its runs once more.

    Raises:
        ValueError: the file is missing, damaged or changed by hand; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror or error})") from None
    except ValueError as error:  # no JSON, or no text at all
        raise ValueError(f"{path}: damaged, no JSON ({error}); {_again(path)}") from None
    if not isinstance(content, dict) or content.get(KIND) != VERSION:
        raise ValueError(f"{path}: expected a file of claims with {KIND!r}: {VERSION}")
    try:
        table = _table(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: damaged ({reason}); {_again(path)}") from None
    return table


def _again(path: Path) -> str:
    return (
        "take the file from the repository again, or delete it and measure anew: "
        f"reidlab claims {path.stem} --run"
    )


def _table(content: Mapping[str, Any]) -> ClaimTable:
    runs = tuple(_run(entry) for entry in content["runs"])
    data, versions = _typed(content, "data", dict), _typed(content, "versions", dict)
    for name in data:
        _typed(data, name, dict if name == "options" else str)
    for name in versions:
        _typed(versions, name, list)
    arms = {}
    for name, entry in _typed(content, "arms", dict).items():
        arms[name] = _typed(entry, "settings", dict)
        if fingerprint(arms[name]) != entry["fingerprint"]:
            raise ValueError(f"arm {name}: settings do not have the fingerprint beside them")
    if unknown := sorted({run.arm for run in runs} - set(arms)):
        raise ValueError(f"runs of {', '.join(unknown)}, whose settings are missing")
    if len({(run.arm, run.seed) for run in runs}) < len(runs):
        raise ValueError("a run twice, with the same arm and seed")
    claims = tuple(_claim(entry, runs) for entry in content["claims"])
    return ClaimTable(
        experiment=_typed(content, "experiment", str),
        title=_typed(content, "title", str),
        claims=claims,
        runs=runs,
        arms=arms,
        data=data,
        version=_typed(content, "version", int),
        versions=versions,
    )


def _typed(values: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of this name, of this type."""
    if type(values[name]) is not kind:
        raise ValueError(f"{name} is {str(values[name])[:60]!r}, expected {WORDS[kind]}")
    return values[name]


def _run(entry: Mapping[str, Any]) -> Run:
    measures = {str(name): _number(value) for name, value in entry["measures"].items()}
    arm, seed = _typed(entry, "arm", str), _typed(entry, "seed", int)
    return Run(arm, seed, measures, _number(entry["cpu_seconds"]))


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r} where a number was expected")
    return float(value)


def _claim(entry: Mapping[str, Any], runs: tuple[Run, ...]) -> Claim:
    """A claim computed from the runs; what the file says of it must be the same."""
    entry = {"versus": "", **entry}  # older files have none
    words = {
        name: _typed(entry, name, str)
        for name in Statement.__dataclass_fields__
        if name != "measures"
    }
    statement = Statement(**words, measures=tuple(map(_measure, entry["measures"])))
    claim = judge(statement, grouped(runs), _number(entry["confidence"]))
    expected = _of_claim(claim)
    if not all(_same(expected[name], entry[name]) for name in ("effects", "verdict")):
        raise ValueError(f"claim {claim.name} says something else than the runs")
    return claim


def _measure(entry: Mapping[str, Any]) -> Measure:
    return Measure(**{name: _typed(entry, name, str) for name in entry})


def _same(one: Any, other: Any) -> bool:
    """Equal, numbers up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and type(other) in (int, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=10.0**-DIGITS * 2)
    return one == other


def grouped(runs: tuple[Run, ...]) -> dict[str, dict[int, Mapping[str, float]]]:
    """Arm -> seed -> measures."""
    found: dict[str, dict[int, Mapping[str, float]]] = {}
    for run in runs:
        found.setdefault(run.arm, {})[run.seed] = run.measures
    return found
