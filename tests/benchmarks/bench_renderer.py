"""Images per CPU-second of the synthetic renderer, one thread, by size and supersampling.

    python tests/benchmarks/bench_renderer.py [--images 288] [--unlabelled 8000] [--profile]

Painting the surroundings (once per camera) is left out, painting of the people is not: every
identity has 16 images, as in the default data set. The last line is a whole unlabelled set on
disk, poor crops, JPEG files and tables included; its people have four images each. `--profile`
lists the dearest operations.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tempfile  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from reidlab.data.synthetic.render import render  # noqa: E402
from reidlab.data.synthetic.scene import cameras  # noqa: E402
from reidlab.data.synthetic.shots import DIFFICULTIES, sample_shot  # noqa: E402
from reidlab.data.synthetic.textures import paint  # noqa: E402
from reidlab.data.synthetic.unlabelled import make_unlabelled  # noqa: E402
from reidlab.data.synthetic.wardrobe import sample_people  # noqa: E402

TARGETS = {((128, 64), 2): 80, ((128, 64), 1): 250}  # images per CPU-second
SET_TARGET = 60  # CPU-seconds for 8,000 unlabelled images


def make_shots(count, network):
    """Ordinary shots, one in ten with somebody else in the box."""
    people, rng = sample_people(count // 16 + 2, seed=0), np.random.default_rng(0)
    setting = DIFFICULTIES["default"]
    return [
        sample_shot(
            people[i // 16],
            network[i % len(network)],
            rng=rng,
            difficulty=setting,
            bystander=people[i // 16 + 1] if rng.random() < 0.1 else None,
        )
        for i in range(count)
    ]


def measure(shots, network, size, supersample):
    """Images per CPU-second."""
    paint.cache_clear()
    start = time.process_time()
    render(shots, network, size=size, supersample=supersample)
    return len(shots) / (time.process_time() - start)


def measure_set(count):
    """CPU-seconds of an unlabelled set of world c on disk, without supersampling."""
    with tempfile.TemporaryDirectory() as folder:
        paint.cache_clear()
        start = time.process_time()
        make_unlabelled(folder, count, supersample=1)
        return time.process_time() - start


def main():
    """Prints one line per setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=288)
    parser.add_argument("--unlabelled", type=int, default=2000)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = cameras("a", 6, seed=0)
    shots = make_shots(args.images, network)
    render(shots[:24], network)
    for size, supersample in (((128, 64), 1), ((128, 64), 2), ((256, 128), 1), ((256, 128), 2)):
        rates = [measure(shots, network, size, supersample) for _ in range(3)]
        target = TARGETS.get((size, supersample))
        wanted = f"  (target {target})" if target else ""
        print(f"{size[0]}x{size[1]} ss{supersample}: {max(rates):6.0f} images/CPU-s{wanted}")
    seconds = measure_set(args.unlabelled)
    rate, target = args.unlabelled / seconds, SET_TARGET * args.unlabelled / 8000
    print(
        f"{args.unlabelled} unlabelled on disk: {seconds:.0f} CPU-s, {rate:.0f} images/CPU-s"
        f"  (target {target:.0f} CPU-s)"
    )
    if args.profile:
        with torch.profiler.profile() as profile:
            render(shots, network)
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))


if __name__ == "__main__":
    main()
