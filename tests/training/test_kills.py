"""Twenty kills at random moments end in the same model and the same scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "killed_training.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which this system lacks")
def test_twenty_kills_at_random_moments_change_nothing(market_folder, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(market_folder), str(tmp_path), "20"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    moments = json.loads(done.stdout.splitlines()[-1])
    assert len(moments) == 20
    assert len(set(moments)) > 5 and moments == sorted(moments)  # it moved on between kills
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert (whole / "scores.json").read_text() == (killed / "scores.json").read_text()
    name = "model.safetensors"
    assert (whole / name).read_bytes() == (killed / name).read_bytes()
    assert not list(killed.glob(".*.part"))
