"""The training loop, on one screen."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlab.checkpoints import RunState
from reidlab.data.samplers import epoch_seed
from reidlab.data.samples import Batch, Sample
from reidlab.models.layers import preprocess_of
from reidlab.paths import pick_device
from reidlab.training.config import TrainConfig
from reidlab.training.feed import TrainingData
from reidlab.training.history import History
from reidlab.training.schedules import learning_rate, make_optimizer

Loss = Callable[[nn.Module, Batch], dict[str, Tensor]]
OnEpoch = Callable[[int, nn.Module, dict[str, float]], "dict[str, float] | None"]


def fit(
    model: nn.Module,
    samples: Sequence[Sample],
    loss: Loss,
    config: TrainConfig,
    *,
    on_epoch: OnEpoch | None = None,
    progress: bool = False,
) -> History:
    """Train `model` in place; the log, one row per epoch.

    With `config.out`, a checkpoint and `log.csv` are written there after every epoch, atomically;
    called again, an interrupted run continues and ends with the same weights, bit for bit on a CPU.

    Args:
        model: has `preprocess` (its eval transform) and whatever `loss` asks of it.
        samples: training images, labels as on disk.
        loss: (model, batch) -> named terms, which are summed.
        config: sampler, augmentation, optimiser, schedule, seed, folder.
        on_epoch: called as (epoch from 1, model, row) after each epoch; what it returns is added
            to the row. It may put the model into eval mode.
        progress: show a bar.

    Raises:
        ValueError: bad samples or images, a network with fewer classes than people, a folder that
            cannot be written or holds another run.
        FloatingPointError: the loss stopped being a finite number.
    """
    device = pick_device(config.device)
    data = TrainingData(samples, preprocess_of(model), config, progress=progress)
    check_classes(model, len(data.ids))
    model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = make_optimizer(model, config)
    run = RunState.open(config.out, identity(model, data, loss, config), config.restart)
    history = History(run.restore(model, optimizer))
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        fast_products(),
        tqdm(disable=not progress, unit="img") as bar,
    ):
        for epoch in range(len(history), config.epochs):
            bar.set_description(f"epoch {epoch + 1}/{config.epochs}")
            row = train_epoch(model, data, loss, optimizer, config, epoch, bar)
            found = (on_epoch(epoch + 1, model, row) if on_epoch else None) or {}
            row |= {name: float(value) for name, value in found.items()}  # numpy's, too
            history.rows.append(row)
            run.save(model, optimizer, history.rows, history.to_csv())
    model.eval()
    return history


def train_epoch(
    model: nn.Module,
    data: TrainingData,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    epoch: int,
    bar: tqdm,
) -> dict[str, float]:
    """One pass over the sampler: forward, backward, clip, step. The row of the log."""
    start, device = time.perf_counter(), next(model.parameters()).device
    amp = wants_bfloat16(device) if config.amp is None else config.amp
    torch.manual_seed(epoch_seed(config.seed, epoch))  # for dropout and its kind
    indices = data.epoch(epoch)
    bar.reset(total=sum(map(len, indices)))
    sums: dict[str, Tensor] = {}
    model.train()
    for step, batch in enumerate(data.batches(indices, epoch, device), start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, epoch, step / len(indices), group["base"])
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            terms = loss(model, batch)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        for name, term in {"loss": total, **terms}.items():
            sums[name] = sums.get(name, torch.zeros_like(term)) + term.detach()
        bar.update(len(batch))
    means = {name: float(term) / len(indices) for name, term in sums.items()}
    if not math.isfinite(means["loss"]):
        raise FloatingPointError(
            f"the loss is no longer finite in epoch {epoch + 1} ({means}); lower lr, lengthen the "
            "warm-up or set clip_norm. The checkpoint of the epoch before is untouched"
        )
    bar.set_postfix({name: f"{mean:.3f}" for name, mean in means.items()})
    seconds = time.perf_counter() - start
    rate = bar.total / seconds
    row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], **means}
    return row | {"seconds": seconds, "images_per_second": rate}


def check_classes(model: nn.Module, people: int) -> None:
    """Raise when the classifier is too small for the people in the samples."""
    classes = getattr(model, "num_ids", None)
    if classes is not None and classes < people:
        raise ValueError(
            f"the network has {classes} classes, the samples {people} people; construct it with "
            f"num_ids={people}"
        )


def identity(
    model: nn.Module, data: TrainingData, loss: Loss, config: TrainConfig
) -> dict[str, Any]:
    """All that decides the outcome of a run, as plain values."""
    origin = getattr(model, "origin", {})
    return config.identity() | {
        **describe_loss(loss),
        "network": origin or type(model).__qualname__,
        "data": data.digest(),
    }


def describe_loss(loss: Loss) -> dict[str, Any]:
    """Name and settings of a loss; a function without a name of its own is known by its code."""
    inner = getattr(loss, "func", loss)  # functools.partial: the function and its settings
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    settings = {str(i): repr(value) for i, value in enumerate(getattr(loss, "args", ()))}
    settings |= {key: repr(value) for key, value in getattr(loss, "keywords", {}).items()}
    if "<" in name:  # a lambda, or a function inside a function
        code = inner.__code__
        plain = [c for c in code.co_consts if isinstance(c, int | float | str | None)]
        cells = [repr(cell.cell_contents) for cell in inner.__closure__ or ()]
        text = f"{code.co_code!r} {code.co_names} {plain} {cells} {inner.__defaults__}"
        name = f"{name} {zlib.crc32(text.encode()):08x}"
    return {"loss": name, "loss settings": settings}


def wants_bfloat16(device: torch.device) -> bool:
    """Whether autocast pays: on CUDA cards that compute in bfloat16, not merely emulate it."""
    if device.type != "cuda":
        return False
    return torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def fast_products() -> Iterator[None]:
    """Allow TF32 in CUDA matrix products while training; elsewhere nothing changes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
