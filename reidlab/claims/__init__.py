"""Effects of a method, measured over seeds with a control, and what follows for what is claimed.

| file | holds |
|---|---|
| `effects` | `Measure`, `Effect`: one number in both arms, seed by seed, with an interval |
| `record` | `Statement`, `Claim`: what is claimed, and the verdict |
| `experiment` | `Experiment`: arms, statements, dataset, seeds; `Run`: what one arm measured |
| `settings` | what decides a run, as plain values that can be compared |
| `table` | `ClaimTable`: all claims of an experiment, with their runs |
| `files` | the same as JSON |
| `staleness` | `StaleClaims`: results of other settings, data or statements |
| `locking` | `turn`: processes that change one file take turns |
| `running` | `run_experiment`: measures what is missing, continues after an interruption |
| `seeds` | `check_seed`: one run made here beside the stored ones |
| `catalog` | `EXPERIMENTS`, `load_claims`: those of the course |
| `attributes` | the experiment on attribute heads |
"""

from reidlab.claims.catalog import EXPERIMENTS, claims_file, find_experiment, load_claims
from reidlab.claims.effects import Effect, Measure, Verdict, paired_interval
from reidlab.claims.experiment import Experiment, Run
from reidlab.claims.files import read_claims, write_claims
from reidlab.claims.record import Claim, Statement, judge
from reidlab.claims.running import run_experiment
from reidlab.claims.seeds import SeedCheck, check_seed
from reidlab.claims.staleness import StaleClaims, Staleness, compare
from reidlab.claims.table import ClaimTable

__all__ = [
    "EXPERIMENTS",
    "Claim",
    "ClaimTable",
    "Effect",
    "Experiment",
    "Measure",
    "Run",
    "SeedCheck",
    "StaleClaims",
    "Staleness",
    "Statement",
    "Verdict",
    "check_seed",
    "claims_file",
    "compare",
    "find_experiment",
    "judge",
    "load_claims",
    "paired_interval",
    "read_claims",
    "run_experiment",
    "write_claims",
]
