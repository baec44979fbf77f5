"""CPU-seconds and memory of `reidlab.evaluation` at the size of Market-1501.

    python tests/benchmarks/bench_evaluate.py [--queries 3368 --gallery 15913 --people 750]

One thread. Made-up labels and distances of three kinds: random, trained-like (the matches mostly
nearest) and tied (rounded to 16 levels). Measured are each protocol alone, all of them in one pass
(CMC, both forms of AP and INP each) and the pooled ROC, all from given distances; then the last two
from random 512-d features, and what the product of these features alone costs.
The reference sorts every row fully, runs on the first queries only and is scaled up linearly; the
last column says how many times as long it takes for one protocol, "market".
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import resource  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from reidlab.embedding import Embeddings  # noqa: E402
from reidlab.evaluation import compare_protocols, evaluate, roc  # noqa: E402
from reidlab.evaluation.protocols import Rule, measure  # noqa: E402
from reidlab.ranking import distance_blocks  # noqa: E402

RULES = (
    Rule("market"),
    Rule("no-camera-filter"),
    Rule("top-k", 10),
    Rule("top-k", 80, "all"),
    Rule("single-gallery-shot"),
)


def make_labels(args, generator):
    """Query and gallery without features; person 0 is the distractors, as in Market-1501."""
    people = np.concatenate(
        [
            np.zeros(args.distractors, np.int64),
            generator.integers(1, args.people + 1, args.gallery - args.distractors),
            np.full(args.junk, -1),
        ]
    )
    people = generator.permutation(people)
    gallery = people, generator.integers(0, 6, len(people))
    query = 1 + np.arange(args.queries) % args.people, generator.integers(0, 6, args.queries)
    return [Embeddings(np.empty((len(p), 0), np.float32), p, c) for p, c in (query, gallery)]


def make_distance(kind, query, gallery, generator):
    """(Q, G) float32 distances of one kind."""
    distance = generator.random((len(query), len(gallery)), dtype=np.float32)
    if kind == "trained-like":
        for row, pid in zip(distance, query.pids.numpy(), strict=True):
            same = gallery.pids.numpy() == pid
            row[same] = generator.exponential(0.01, same.sum())
    if kind == "tied":
        np.floor(distance * 16, out=distance)
    return distance


def full_sort_ap(distance, query, gallery):
    """Mean plain AP of the obvious way: argsort every row, drop what is removed, walk the hits."""
    q_pids, q_camids = query.pids.numpy(), query.camids.numpy()
    g_pids, g_camids = gallery.pids.numpy(), gallery.camids.numpy()
    scores = []
    for q, row in enumerate(distance):
        order = np.argsort(row, kind="stable")
        removed = (g_pids[order] == q_pids[q]) & (g_camids[order] == q_camids[q])
        hits = (g_pids[order] == q_pids[q])[~removed & (g_pids[order] != -1)]
        if hits.any():
            precision = hits.cumsum() / np.arange(1, len(hits) + 1)
            scores.append(precision[hits].mean())
    return float(np.mean(scores))


def cpu_seconds(function, *arguments, repeat=1):
    """Least process time of a few calls, and the last result."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        result = function(*arguments)
        times.append(time.process_time() - start)
    return min(times), result


def peak_megabytes(function, *arguments):
    """What one call allocates at its peak: numpy and Python by tracemalloc, the process by RSS.

    The second is the growth of the largest resident size so far, 0 if an earlier peak was higher.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    function(*arguments)
    traced = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return traced, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def line(kind, name, sorting, repeat, function, *arguments):
    """Print what one call costs, beside the reference."""
    traced, resident = peak_megabytes(function, *arguments)
    seconds, _ = cpu_seconds(function, *arguments, repeat=repeat)
    ratio = f"{sorting / seconds:13.1f}x" if sorting else ""
    print(f"{kind:<14}{name:<24}{seconds:8.3f}{traced:11.1f}{resident:10.1f}{ratio}")


def report(kind, query, gallery, args, generator):
    """Print the lines of one kind of distances."""
    distance = make_distance(kind, query, gallery, generator)
    part = min(args.reference_queries, len(query))
    sorting, expected = cpu_seconds(full_sort_ap, distance[:part], query[:part], gallery)
    found = evaluate(query[:part], gallery, distance=distance[:part]).mean_ap
    assert abs(found - expected) < 1e-9, (found, expected)
    sorting *= len(query) / part
    for rule in RULES:
        name = rule.protocol if rule.k is None else f"top-{rule.k} of {rule.relevant}"
        line(kind, name, sorting, args.repeat, measure, query, gallery, distance, [rule])
    line(kind, "all in one pass", sorting, args.repeat, measure, query, gallery, distance, RULES)
    line(kind, "roc", 0, args.repeat, lambda: roc(query, gallery, distance=distance))


def report_features(query, gallery, args, generator):
    """Print the lines of random features."""
    query, gallery = (
        Embeddings(
            generator.standard_normal((len(side), args.width), dtype=np.float32),
            side.pids,
            side.camids,
        )
        for side in (query, gallery)
    )
    for name, function in (
        ("distances alone", lambda: [None for _ in distance_blocks(query, gallery)]),
        ("compare_protocols", lambda: compare_protocols(query, gallery)),
        ("... and multi-query", lambda: compare_protocols(query, gallery, extra=query)),
        ("roc", lambda: roc(query, gallery)),
    ):
        line("features", name, 0, args.repeat, function)


def main():
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default, text in (
        ("queries", 3368, "number of queries"),
        ("gallery", 15913, "gallery images, distractors included, junk not"),
        ("people", 750, "people among the queries"),
        ("distractors", 2798, "gallery images of person 0"),
        ("junk", 3819, "further gallery images of person -1"),
        ("width", 512, "width of the features"),
        ("repeat", 3, "timed calls, the fastest counts"),
        ("reference-queries", 100, "queries the reference sorts"),
        ("seed", 0, "seed of labels and distances"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{args.queries:,} queries x {args.gallery + args.junk:,} gallery images, one thread")
    print(f"reference: full argsort of {args.reference_queries} rows, scaled to all queries")
    print(f"{'distances':<14}{'':<24}{'CPU s':>8}{'peak MiB':>11}{'RSS MiB':>10}{'reference':>14}")
    generator = np.random.default_rng(args.seed)
    query, gallery = make_labels(args, generator)
    for kind in ("random", "trained-like", "tied"):
        report(kind, query, gallery, args, generator)
    report_features(query, gallery, args, generator)


if __name__ == "__main__":
    main()
