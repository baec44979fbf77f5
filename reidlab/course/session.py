"""The first call of every lesson."""

from __future__ import annotations

import os


def start(*, threads: int | None = None) -> None:
    """Make this session ready for a lesson: the course's plot style and a sensible thread count.

    Says nothing, and sets no seed: randomness is an argument wherever it matters.

    Args:
        threads: for torch on the CPU. By default torch decides, but takes no more than four: the
            small networks of the course only get slower with more. `OMP_NUM_THREADS` is respected.

    Raises:
        ValueError: fewer than one thread.
    """
    import matplotlib
    import torch

    from reidlab.plots.page import STYLE

    if threads is not None and threads < 1:
        raise ValueError(f"expected at least one thread, got {threads}")
    matplotlib.rcParams.update(STYLE)
    if threads is not None:
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(4, torch.get_num_threads()))
