"""Kills a training again and again at random moments, lets it finish, and says what it saw.

    python killed_training.py DATA OUT KILLS

The processes are forked from this one, which has imported everything already.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from reidlab.cli import main

EPOCHS = 40  # more than twenty kills let pass
WORDS = ["--epochs", str(EPOCHS), "--ids-per-batch", "2", "--images-per-id", "2"]
WORDS += ["--device", "cpu", "--tensorboard", "False"]


def child(argv):
    """Run the command in a process of its own; its number."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            sys.stdout = open(os.devnull, "w")
            main(argv)
            status = 0
        finally:
            os._exit(status)
    return process


def epochs_done(run):
    log = run / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.exists() else 0


def train_and_score(data, run, kills=0, epoch=0.0):
    argv = ["train", "baseline", "--data", data, "--out", str(run), *WORDS]
    moments, rng = [], random.Random(0)
    for _ in range(kills):
        process = child(argv)
        before = epochs_done(run)
        wanted = before + rng.choice((0, 0, 1))  # epochs from here
        while epochs_done(run) < wanted and os.waitpid(process, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, epoch))
        os.kill(process, signal.SIGKILL)  # fails, and so does the test, when it has ended already
        os.waitpid(process, 0)
        moments.append(epochs_done(run))
    for command in (argv, ["evaluate", str(run), "--device", "cpu"]):
        _, status = os.waitpid(child(command), 0)
        assert status == 0, command
    return moments


if __name__ == "__main__":
    data, out, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    train_and_score(data, out / "whole")
    rows = (out / "whole" / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("seconds")
    seconds = sorted(float(row.split(",")[column]) for row in rows[1:])
    moments = train_and_score(data, out / "killed", kills, epoch=seconds[len(seconds) // 2])
    print(json.dumps(moments))
