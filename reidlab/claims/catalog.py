"""The experiments of the course by name, and their results as they travel with the package."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable
from pathlib import Path

from reidlab.claims.alignment import alignment_experiment
from reidlab.claims.attributes import attributes_experiment
from reidlab.claims.classics import classics_experiment
from reidlab.claims.experiment import Experiment
from reidlab.claims.files import read_claims
from reidlab.claims.la_transformer import la_experiment
from reidlab.claims.multibranch import multibranch_experiment
from reidlab.claims.pairwise import pairwise_experiment
from reidlab.claims.sides import sides_experiment
from reidlab.claims.staleness import compare
from reidlab.claims.table import ClaimTable
from reidlab.claims.transreid import few_experiment, transreid_experiment
from reidlab.claims.unseen import unseen_experiment
from reidlab.data.samples import Splits
from reidlab.paths import shipped

EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "attributes": attributes_experiment,
    "multibranch": multibranch_experiment,
    "pairwise": pairwise_experiment,
    "alignment": alignment_experiment,
    "classics": classics_experiment,
    "la-transformer": la_experiment,
    "transreid": transreid_experiment,
    "jpm-few": few_experiment,
    "unseen-camera": unseen_experiment,
    "sides-mild": functools.partial(sides_experiment, "mild"),
    "sides-vivid": functools.partial(sides_experiment, "vivid"),
}
FOLDER = "claims"


def find_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"unknown experiment {name!r}{hint}; experiments: {', '.join(EXPERIMENTS)}"
        )
    return EXPERIMENTS[name]()


def claims_file(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Where the results of an experiment lie, None when they were never measured.

    Args:
        name: of the experiment.
        folder: to look in; by default where shipped files lie.
    """
    if folder is None:
        return shipped(f"{FOLDER}/{name}.json")
    path = Path(folder).expanduser() / f"{name}.json"
    return path if path.exists() else None


def load_claims(
    name: str,
    *,
    check: bool = True,
    splits: Splits | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> ClaimTable:
    """The stored claims of an experiment; `print(claims)` shows the table.

    Args:
        name: of the experiment, such as "attributes".
        check: compare settings and statements with those of the code; nothing is rendered.
        splits: also compare the fingerprint of this dataset.
        folder: that holds NAME.json; by default what travels with the package.

    Raises:
        StaleClaims: settings, statements or data differ; the message says which.
        ValueError: an unknown name, no results, or a damaged file.
    """
    experiment = find_experiment(name)
    path = claims_file(name, folder)
    if path is None:
        raise ValueError(
            f"no claims on {name} are stored{'' if folder is None else f' in {folder}'}; measure "
            f"them: reidlab claims {name} --run"
        )
    table = read_claims(path)
    if check or splits is not None:
        fingerprint = None if splits is None else splits.fingerprint
        compare(table, experiment, fingerprint).complain(name)
    return table
