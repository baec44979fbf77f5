"""Seconds that `import reidlab`, and its heavier parts, take beyond `import torch`."""

import argparse
import statistics
import subprocess
import sys

STATEMENTS = {
    "import reidlab": "import reidlab",
    "import torch": "import torch",
    "torch, reidlab": "import torch, reidlab",
    "reidlab.fit": "from reidlab import fit",
    "reidlab.plots": "import reidlab.plots",
}


def seconds(statement: str, repeats: int) -> float:
    """Median CPU time of a fresh interpreter that runs `statement`."""
    code = f"import time; s = time.process_time(); {statement}; print(time.process_time() - s)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(repeats)]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    found = {name: seconds(statement, repeats) for name, statement in STATEMENTS.items()}
    for name, value in found.items():
        print(f"{name:16s} {value:6.2f} CPU-seconds")
    print(f"reidlab beyond torch: {found['torch, reidlab'] - found['import torch']:+.3f}")


if __name__ == "__main__":
    main()
