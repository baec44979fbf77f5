"""Images per CPU-second of desk training, and what the loop costs beyond the bare network.

One thread, float32. The bare network is forward, loss and backward on one fixed batch: no data, no
augmentation, no optimiser. The ratio of the two says how much the loop adds.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image

from reidlab.data.samples import Batch, Sample
from reidlab.embedding import embed
from reidlab.losses import reid_loss
from reidlab.models.baseline import baseline_small
from reidlab.recipes import recipe
from reidlab.training import fit


def write_images(folder: Path, people: int, images: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    samples = []
    for pid in range(1, people + 1):
        for i in range(images):
            path = folder / f"{pid:04d}_c1s1_{i:06d}_00.jpg"
            Image.fromarray(rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)).save(path)
            samples.append(Sample(path, pid, 1))
    return samples


def bare(model: torch.nn.Module, steps: int) -> float:
    """Images per CPU-second of forward, loss and backward alone."""
    pids = torch.arange(8).repeat_interleave(4)
    images = torch.randn(32, 3, 128, 64).contiguous(memory_format=torch.channels_last)
    batch = Batch(images, pids, pids, pids)
    model.to(memory_format=torch.channels_last).train()
    for step in range(steps + 3):
        if step == 3:
            start = time.process_time()
        torch.stack(list(reid_loss(model, batch).values())).sum().backward()
    return 32 * steps / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--images", type=int, default=16, help="per person")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = recipe("baseline", "desk").train
    with tempfile.TemporaryDirectory() as folder:
        samples = write_images(Path(folder), options.people, options.images)
        model = baseline_small(options.people)
        speeds = []

        def stamp(epoch, model, row):
            speeds.append(time.process_time())

        config = replace(config, epochs=4, device="cpu")
        history = fit(model, samples, reid_loss, config, on_epoch=stamp)
        count = history.rows[0]["seconds"] * history.rows[0]["images_per_second"]
        whole = 3 * count / (speeds[-1] - speeds[0])  # the first epoch warms up
        floor = bare(baseline_small(options.people), 40)
        start = time.process_time()
        embed(model, samples, device="cpu")
        reading = len(samples) / (time.process_time() - start)
    print(f"desk training, whole loop     {whole:7.0f} images per CPU-second")
    print(f"bare forward and backward     {floor:7.0f} images per CPU-second")
    print(f"ratio of the two              {whole / floor:7.2f}")
    print(f"embedding, JPEG files         {reading:7.0f} images per CPU-second")


if __name__ == "__main__":
    main()
