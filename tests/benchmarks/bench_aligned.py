"""The aligned distance of 1,000 x 1,000 images, all pairs at once and one pair after the other.

    python tests/benchmarks/bench_aligned.py [--images 1000] [--width 128 2048] [--sample 300]

One thread. The loop over pairs computes one pair's distance in plain torch, or in numpy with
Python's own numbers for the cells, for a sample of pairs; its time is extrapolated to all of them.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import threading  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from reidlab.losses import aligned_distance  # noqa: E402
from reidlab.paths import readable  # noqa: E402


def pair_in_torch(x, y):
    """Aligned distance of two images (H, D), cell by cell."""
    grid = ((x[:, None] - y[None]).norm(dim=2) / 2).tanh()
    rows, columns = grid.shape
    sums = torch.zeros_like(grid)
    for i in range(rows):
        for j in range(columns):
            if i and j:
                sums[i, j] = grid[i, j] + torch.minimum(sums[i - 1, j], sums[i, j - 1])
            elif i or j:
                sums[i, j] = grid[i, j] + (sums[i - 1, j] if i else sums[i, j - 1])
            else:
                sums[i, j] = grid[i, j]
    return float(sums[-1, -1])


def pair_in_numpy(x, y):
    """The same in numpy, its cells in Python numbers."""
    grid = np.tanh(np.linalg.norm(x[:, None] - y[None], axis=2) / 2).tolist()
    row = np.cumsum(grid[0]).tolist()
    for cells in grid[1:]:
        row[0] += cells[0]
        for j in range(1, len(cells)):
            row[j] = cells[j] + min(row[j], row[j - 1])
    return row[-1]


class Peak:
    """Largest growth of this process's memory inside a `with` block, in bytes."""

    def __enter__(self):
        self.process, self.stop = psutil.Process(), threading.Event()
        self.start = self.most = self.process.memory_info().rss
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stop.wait(0.002):
            self.most = max(self.most, self.process.memory_info().rss)

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.grown = self.most - self.start


def seconds(function, *arguments):
    """CPU-seconds of this thread, and the result."""
    start = time.thread_time()
    result = function(*arguments)
    return time.thread_time() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--width", type=int, nargs="+", default=[128, 2048])
    parser.add_argument("--stripes", type=int, default=8)
    parser.add_argument("--sample", type=int, default=300)
    args = parser.parse_args()
    count, generator = args.images, torch.Generator().manual_seed(0)
    for width in args.width:
        x, y = (
            F.normalize(torch.randn(count, args.stripes, width, generator=generator), dim=2)
            for _ in range(2)
        )
        aligned_distance(x[:64], y[:64])  # threads and libraries wake up
        with Peak() as peak:
            fast, found = seconds(aligned_distance, x, y)
        print(f"{count:,} x {count:,} images, {args.stripes} stripes, width {width}: {fast:.2f} s")
        print(f"  memory {readable(peak.grown)}, {readable(found.nbytes)} of it the result")
        pairs = torch.randint(0, count, (args.sample, 2), generator=generator).tolist()
        sides = {"torch": (pair_in_torch, x, y), "numpy": (pair_in_numpy, x.numpy(), y.numpy())}
        for name, (single, left, right) in sides.items():
            spent, values = seconds(lambda: [single(left[i], right[j]) for i, j in pairs])  # noqa: B023
            off = max(abs(v - float(found[i, j])) for v, (i, j) in zip(values, pairs, strict=True))
            whole = spent / len(pairs) * count * count
            print(
                f"  loop over pairs in {name}: {1e6 * spent / len(pairs):.0f} microseconds a pair, "
                f"{whole:,.0f} s in all, {whole / fast:,.0f} times slower; apart by {off:.0e}"
            )


if __name__ == "__main__":
    main()
