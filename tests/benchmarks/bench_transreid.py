"""The four local branches of TransReID in one batched pass, against four passes one by one.

One thread, float32, desk network. The ratio should be 1 or more; the desk's whole forward and
backward is shown beside it.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from reidlab.models.transreid import TransReID, transreid_small


def batched(model: TransReID, tokens: Tensor) -> list[Tensor]:
    return list(model._local(tokens))


def one_by_one(model: TransReID, tokens: Tensor) -> list[Tensor]:
    return [
        model.local_end(torch.cat([tokens[:, :1], tokens[:, [1 + p for p in own]]], dim=1))[:, 0]
        for own in model.patches
    ]


def speed(step, images: int, repeats: int) -> float:
    """Images per CPU-second; the first fifth warms up."""
    warm = max(1, repeats // 5)
    for i in range(warm + repeats):
        if i == warm:
            start = time.process_time()
        step()
    return images * repeats / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, images = transreid_small(100).train(), torch.randn(32, 3, 128, 64)
    tokens = torch.randn(32, 33, 128, requires_grad=True)

    def branches(way):
        return lambda: torch.stack(way(model, tokens)).sum().backward()

    def whole():
        torch.stack(model(images).logits).sum().backward()

    found = {way: speed(branches(way), 32, options.repeats) for way in (batched, one_by_one)}
    print(f"local branches, batched        {found[batched]:7.0f} images per CPU-second")
    print(f"local branches, one by one     {found[one_by_one]:7.0f} images per CPU-second")
    print(f"ratio of the two               {found[batched] / found[one_by_one]:7.2f}")
    forward = speed(whole, 32, options.repeats)
    print(f"forward and backward of all    {forward:7.0f} images per CPU-second")


if __name__ == "__main__":
    main()
