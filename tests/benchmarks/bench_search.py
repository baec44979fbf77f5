"""CPU-seconds of `Index.search` against the bare matrix product that it cannot do without.

    python tests/benchmarks/bench_search.py [--full] [--gallery 100000 --queries 1000 --k 50]

The reference multiplies the same unit rows in blocks, writes the cosines into one buffer and looks
at none of them; the fastest of three shapes of blocks counts, and product and search take turns.
`--full` is 3,368 queries (Market-1501's) in a million images. Also printed: how long a saved index
takes to open, the filters, and FAISS where it is installed. One thread, unless `--threads` says
otherwise.
"""

import argparse
import os
import sys

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = THREADS

import importlib.util  # noqa: E402
import resource  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

import torch  # noqa: E402

from reidlab.embedding import Embeddings  # noqa: E402
from reidlab.ranking import rank  # noqa: E402
from reidlab.ranking.index import Index  # noqa: E402

SHAPES = ((512, 4096), (1024, 1024), (1024, 4096))  # queries x gallery rows


def make(count, width, seed, people):
    """Rows around the centres of `people`, so that queries have near neighbours."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(people, width, generator=torch.Generator().manual_seed(99))
    pids = torch.randint(0, people, (count,), generator=generator)
    features = torch.randn(count, width, generator=generator)
    for start in range(0, count, 65_536):
        features[start : start + 65_536] += 0.6 * centres[pids[start : start + 65_536]]
    return Embeddings(features, pids, torch.randint(1, 7, (count,), generator=generator))


def product(query, gallery, shape):
    """All cosines, a block at a time, into the same buffer."""
    height, tile = shape
    room = torch.empty(height * tile)
    for start in range(0, len(gallery), tile):
        columns = gallery[start : start + tile]
        for rows in query.split(height):
            out = room[: len(rows) * len(columns)].view(len(rows), len(columns))
            torch.mm(rows, columns.T, out=out)


def seconds(function, *arguments, **options):
    """CPU time of one call, of all threads, and its result; others on the machine matter less."""
    start = time.process_time()
    result = function(*arguments, **options)
    return time.process_time() - start, result


def line(name, value, reference=None):
    """One row of the table."""
    ratio = "" if reference is None else f"{value / reference:8.2f} x the product"
    print(f"{name:<36}{value:9.3f} s{ratio}", flush=True)


def compare(index, query, unit, args):
    """Product and search in turns; the least time of each."""
    products, searches = [], []
    for turn in range(args.repeat):
        shapes = SHAPES if turn == 0 else [min(products)[1]]
        products += [(seconds(product, unit, index.gallery.features, s)[0], s) for s in shapes]
        searches.append(seconds(index.search, query, args.k)[0])
    best = min(products)[0]
    line(f"product, blocks of {'x'.join(map(str, min(products)[1]))}", best)
    line(f"search, k={args.k}", min(searches), best)
    return best


def check(index, query, args):
    """A few queries against `rank`."""
    few = query[:8]
    found, expected = index.search(few, args.k), rank(few, index.gallery, args.k)
    torch.testing.assert_close(found.distance, expected.distance, atol=1e-5, rtol=0)


def main():
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="3,368 queries, 1,000,000 images")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3, help="turns; the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--faiss", action="store_true", help="also time FAISS")
    args = parser.parse_args()
    if args.full:
        args.queries, args.gallery = 3368, 1_000_000
    torch.set_num_threads(args.threads)
    print(
        f"{args.queries:,} queries x {args.gallery:,} images x {args.width}, {args.threads} threads"
    )
    people = max(10, args.gallery // 20)
    query = make(args.queries, args.width, 1, people)
    with tempfile.TemporaryDirectory() as folder:
        made, index = seconds(Index, make(args.gallery, args.width, 0, people))
        line("normalise", made)
        line("save", seconds(index.save, f"{folder}/index")[0])
        del index
        opened, index = seconds(Index.load, f"{folder}/index")
        line("open the saved index", opened)
        line("first search of one query", seconds(index.search, query[:1], args.k)[0])
        line("search of one query", seconds(index.search, query[:1], args.k)[0])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        unit = query.normalized().features
        best = compare(index, query, unit, args)
        line(
            "search, 3 of 6 cameras",
            seconds(index.search, query, args.k, cameras=[1, 2, 3])[0],
            best,
        )
        line(
            "search, other cameras",
            seconds(index.search, query, args.k, other_cameras=True)[0],
            best,
        )
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
        print(f"memory beyond one search of one query: at most {growth:,.0f} MiB")
        check(index, query, args)
        if args.faiss and importlib.util.find_spec("faiss"):
            other = Index.load(f"{folder}/index", backend="faiss")
            other.search(query[:1], args.k)  # copies the gallery
            line("FAISS", seconds(other.search, query, args.k)[0], best)


if __name__ == "__main__":
    main()
