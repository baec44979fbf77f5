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
from reidlab.data.samples import Sample
from reidlab.losses.needs import check_sampler
from reidlab.models.layers import preprocess_of
from reidlab.training.board import Board, check_wanted
from reidlab.training.config import TrainConfig
from reidlab.training.feed import TrainingData
from reidlab.training.history import History
from reidlab.training.objective import Loss, Objective, Optimizers
from reidlab.training.processes import together
from reidlab.training.stopping import Patience, check_watched
from reidlab.training.unfreezing import BlockWise

MANY_TERMS = 5  # of a loss: beyond that the bar shows their sum only

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

    With `config.patience`, training stops when so many epochs brought no better value of the column
    `config.monitor`, which `on_epoch` may add, and the model gets the weights of the best epoch.

    With `config.max_steps`, it stops after so many steps in all, interrupted or not; an epoch that
    is cut short has its row and its checkpoint like any other.

    With `config.unfreeze_every`, most blocks of a transformer keep their weights at first; see
    `BlockWise`.

    Started by torchrun, the processes share every batch, which stays P x K in all, and average
    their gradients. With batch norm frozen (or absent) the losses are those of one process;
    otherwise each keeps its own batch statistics. The first process writes and calls `on_epoch`.

    Args:
        model: has `preprocess` (its eval transform) and whatever `loss` asks of it.
        samples: training images, labels as on disk.
        loss: (model, batch) -> named terms, which are summed; a module may have parameters.
        config: sampler, augmentation, optimiser, schedule, seed, folder.
        on_epoch: called as (epoch from 1, model, row) after each epoch; what it returns is added
            to the row. It may put the model into eval mode.
        progress: show a bar.

    Raises:
        ValueError: bad samples or images, a sampler that the loss cannot use, a network with fewer
            classes than people or without the blocks to unfreeze, a folder that cannot be written
            or holds another run, a column to monitor that no row has.
        FloatingPointError: the loss stopped being a finite number.
        ProcessLost: another process of this training stopped.
    """
    with together() as team:
        device = team.device(config.device)
        check_wanted(config.tensorboard)
        check_watched(config, on_epoch is not None)
        check_sampler(loss, config.sampler)
        data = TrainingData(samples, preprocess_of(model), config, team, progress=progress)
        check_classes(model, len(data.ids))
        objective = Objective(model, loss)
        objective.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimizers = Optimizers(objective, config)
        blocks = BlockWise(model, config.unfreeze_every)
        same = identity(model, data, loss, config)
        with team.leader_first():
            options = {"processes": team.size, "writes": team.leads}
            run = RunState.open(config.out, same, config.restart, **options)
        history = History(run.restore(objective.parts(), optimizers))
        patience = Patience(config, run.best)
        team.agree((same, len(history)), "other data, settings or epochs")
        board = Board.open(config.out if team.leads else None, config.tensorboard, len(history) + 1)
        step = team.wrap(objective, device)
        devices = [device] if device.type == "cuda" else []
        bar = tqdm(disable=not (progress and team.leads), unit="img")
        with torch.random.fork_rng(devices), fast_products(), bar, blocks:
            for epoch in range(len(history), config.epochs):
                if patience.is_over(history.rows) or data.room(epoch) == 0:
                    break
                bar.set_description(f"epoch {epoch + 1}/{config.epochs}")
                blocks.open(epoch)
                row = train_epoch(objective, step, data, optimizers, config, epoch, bar)
                found = (on_epoch(epoch + 1, model, row) if on_epoch and team.leads else None) or {}
                row |= team.tell({name: float(value) for name, value in found.items()})
                history.rows.append(row)
                patience.note(model, history.rows)
                log = history.rows, history.to_csv()
                run.save(objective.parts(), optimizers, *log, patience.weights)
                board.add(row)
        board.close()
        patience.restore(model)
        team.copy_buffers(model)
    model.eval()
    return history


def train_epoch(
    objective: Objective,
    step: nn.Module,
    data: TrainingData,
    optimizers: Optimizers,
    config: TrainConfig,
    epoch: int,
    bar: tqdm,
) -> dict[str, float]:
    """One pass over the sampler: forward, backward, clip, step. The row of the log.

    `step` is the objective, or what synchronises it with other processes.
    """
    start, model = time.perf_counter(), objective.model
    device, team = next(model.parameters()).device, data.team
    amp = wants_bfloat16(device) if config.amp is None else config.amp
    torch.manual_seed(epoch_seed(config.seed, epoch) + team.rank)  # for dropout and its kind
    room, indices = data.room(epoch), data.epoch(epoch)
    planned, indices = len(indices), indices[:room]
    images = team.size * sum(map(len, indices))
    bar.reset(total=images)
    sums: dict[str, Tensor] = {}
    objective.prepare(config.freeze_norm)
    for number, batch in enumerate(data.batches(indices, epoch, device), start=1):
        optimizers.schedule(epoch, number / planned)
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            terms = step(batch)
        total = torch.stack(list(terms.values())).sum()
        optimizers.zero_grad()
        total.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizers.step()
        for name, term in {"loss": total, **terms}.items():
            sums[name] = sums.get(name, torch.zeros_like(term)) + term.detach()
        bar.update(len(batch) * team.size)
    means = {name: float(team.mean(term)) / len(indices) for name, term in sums.items()}
    if not math.isfinite(means["loss"]):
        raise FloatingPointError(
            f"the loss is no longer finite in epoch {epoch + 1} ({means}); lower lr, lengthen the "
            "warm-up or set clip_norm. The checkpoint of the epoch before is untouched"
        )
    shown = means if len(means) <= MANY_TERMS else {"loss": means["loss"]}
    bar.set_postfix({name: f"{mean:.3f}" for name, mean in shown.items()})
    seconds = time.perf_counter() - start
    row = {"epoch": epoch + 1, "lr": optimizers.rate, **means}
    return row | {"seconds": seconds, "images_per_second": images / seconds}


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
    if isinstance(loss, nn.Module):
        return {"loss": type(loss).__qualname__, "loss settings": repr(loss)}
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
