"""CPU-seconds and memory of k-reciprocal re-ranking, beside the bare product of all features.

    python tests/benchmarks/bench_reranking.py [--width 512 --noise 1 3] [--large 100000]

One thread. Made-up features at the size of Market-1501: 750 people scattered around centres, with
distractors; more noise makes neighbours agree less. The reference is the bare matrix product of all
N x N similarities in blocks of the same size. `--large G` re-ranks 500 queries in G images of width
128 and keeps the 50 nearest.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import threading  # noqa: E402
import time  # noqa: E402

import psutil  # noqa: E402
import torch  # noqa: E402

from reidlab.embedding import Embeddings  # noqa: E402
from reidlab.paths import readable  # noqa: E402
from reidlab.ranking import expand_query, k_reciprocal, reciprocal_memory  # noqa: E402
from reidlab.ranking.blocks import BLOCK_ENTRIES  # noqa: E402


def make_people(queries, gallery, distractors, people, width, noise):
    """Features of people around centres, then of distractors around none."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(people, width, generator=generator)
    pids = torch.randint(0, people, (queries + gallery - distractors,), generator=generator)
    scatter = torch.randn(len(pids), width, generator=generator)
    strangers = torch.randn(distractors, width, generator=generator) * (1 + noise**2) ** 0.5
    features = torch.cat([centres[pids] + noise * scatter, strangers])
    labels = torch.zeros(len(features), dtype=torch.int64)
    both = Embeddings(features, labels, labels)
    return both[:queries], both[queries:]


def bare_product(query, gallery):
    """All similarities, block by block, thrown away."""
    features = torch.cat([query.features, gallery.features])
    step = max(64, BLOCK_ENTRIES // len(features))
    for start in range(0, len(features), step):
        features[start : start + step] @ features.T


class Peak:
    """Largest growth of this process's memory inside a `with` block, in bytes."""

    def __enter__(self):
        self.process, self.stop = psutil.Process(), threading.Event()
        self.start = self.most = self.process.memory_info().rss
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.stop.wait(0.005):
            self.most = max(self.most, self.process.memory_info().rss)

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    @property
    def grown(self):
        return self.most - self.start


def measured(function, *arguments, **options):
    """CPU-seconds, bytes and result of a call."""
    with Peak() as peak:
        start = time.thread_time()
        result = function(*arguments, **options)
        seconds = time.thread_time() - start
    return seconds, peak.grown, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--noise", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--large", type=int, default=0, metavar="G")
    args = parser.parse_args()
    bare_product(*make_people(100, 1000, 100, 50, 64, 1.0))  # threads and libraries wake up
    for noise in [] if args.large else args.noise:
        sides = make_people(3368, 15913, 2798, 750, args.width, noise)
        bare, _, _ = measured(bare_product, *sides)
        print(f"width {args.width}, noise {noise:g}: bare product {bare:.1f} CPU-s")
        print(f"  stated: {reciprocal_memory(3368, 15913, args.width)}")
        for variant in ("zhong", "fastreid"):
            seconds, grown, result = measured(k_reciprocal, *sides, variant=variant)
            own = grown - result.numel() * 4
            more = seconds - bare
            print(f"  {variant}: {seconds:.1f} CPU-s, {more:+.1f} beyond the product (wanted 5),")
            print(f"    {readable(max(own, 0))} beyond features and result (wanted 500 MB)")
        seconds, _, _ = measured(expand_query, *sides)
        print(f"  query expansion: {seconds:.1f} CPU-s, {seconds / bare:.2f} of the product")
    if args.large:
        sides = make_people(500, args.large, args.large // 6, args.large // 26, 128, 1.0)
        bare, _, _ = measured(bare_product, *sides)
        seconds, grown, _ = measured(k_reciprocal, *sides, k=50)
        print(f"{args.large:,} images: product {bare:.1f} CPU-s, re-ranking {seconds:.1f} CPU-s")
        print(f"  memory {readable(grown)}; stated {reciprocal_memory(500, args.large, 128, k=50)}")


if __name__ == "__main__":
    main()
