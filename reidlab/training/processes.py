"""Several processes that train one network: who is who, who goes first, what happens when one dies.

`torchrun --nproc-per-node=N` starts the processes and tells each its number through the
environment; torch.distributed does the talking. Without torchrun there is one process, and nothing
here does anything.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
from torch import Tensor, distributed, nn

from reidlab.paths import pick_device

NETWORK = ("/gloo/", "[gloo]", "closed by peer", "reset by peer", "connection closed")
CONTINUES = "what finished epochs have written is safe, and the same command continues there"
PATIENCE = timedelta(minutes=30)  # how long a process waits for the others, for instance validating


class ProcessLost(RuntimeError):
    """Another process of the same training stopped, so this one cannot go on."""


class _Stopped(BaseException):
    """SIGTERM arrived. No `except Exception` or `except OSError` on the way may swallow it."""


@dataclass(frozen=True)
class Team:
    """One process among those that train together.

    Args:
        rank: number of this process, from 0; 0 writes files and speaks.
        size: how many there are.
        local_rank: number among those on this machine, which is the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks for all."""
        return self.rank == 0

    def device(self, wanted: str | None) -> torch.device:
        """The device to train on: with several processes and no wish, a GPU for each."""
        if self.size > 1 and (wanted or "").startswith("cuda:"):
            raise ValueError(
                f"{self.size} processes cannot share {wanted}; leave out device (--device), then "
                "each takes a GPU of its own"
            )
        if self.size > 1 and wanted in (None, "cuda") and torch.cuda.is_available():
            count = torch.cuda.device_count()
            if self.local_rank >= count:
                raise ValueError(
                    f"process {self.local_rank + 1} on this machine has no GPU of its own, there "
                    f"are {count}; start {count} with --nproc-per-node={count}"
                )
            torch.cuda.set_device(self.local_rank)
            return torch.device("cuda", self.local_rank)
        return pick_device(wanted)

    def wrap(self, objective: nn.Module, device: torch.device) -> nn.Module:
        """`objective` with gradients averaged over the processes; alone, as it is."""
        if self.size == 1:
            return objective
        ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            objective, device_ids=ids, find_unused_parameters=True
        )

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value / self.size

    def tell(self, value: Any) -> Any:
        """What the leading process passes in, for all of them; waits for it."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def agree(self, what: Any, found: str) -> None:
        """Raise unless all processes pass the same `what`: else they would wait for each other.

        Raises:
            ValueError: this process has something else than the leading one.
        """
        if self.tell(what) != what:
            raise ValueError(
                f"process {self.rank + 1} found {found} than the first one; all of them must see "
                "the same files (--data, --out) and start with the same flags"
            )

    def copy_buffers(self, model: nn.Module) -> None:
        """Give all processes the leading one's running statistics."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leading process runs the block alone; then the others do, and find what it made."""
        if self.size > 1 and not self.leads:
            distributed.barrier()
        yield
        if self.size > 1 and self.leads:
            distributed.barrier()


@contextmanager
def together() -> Iterator[Team]:
    """The team that this process belongs to, while the block runs.

    Started by torchrun it joins the others (NCCL between GPUs, gloo between CPUs) and leaves them
    afterwards; inside another such block, or in a group that the caller has set up, it uses that.

    Raises:
        ProcessLost: another process stopped; nothing that was written is damaged.
    """
    joins = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _joined()
    if joins:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    if not _joined():
        yield Team()
        return
    team = Team(
        distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0"))
    )
    try:
        with _told_to_stop():
            yield team
    except _Stopped:
        raise ProcessLost(
            f"process {team.rank + 1} of {team.size} was told to stop, probably because another "
            f"one ended; {CONTINUES}"
        ) from None
    except RuntimeError as error:
        if not _is_about_others(error):
            raise
        raise ProcessLost(
            f"another of the {team.size} processes stopped, see its message; so process "
            f"{team.rank + 1} stops, too; {CONTINUES}"
        ) from error
    finally:
        if joins:
            distributed.destroy_process_group()


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _is_about_others(error: RuntimeError) -> bool:
    """Whether the network between processes failed, not this process."""
    if isinstance(error, distributed.DistError):
        return True
    return any(word in str(error).lower() for word in NETWORK)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """After a failure torchrun ends the survivors by SIGTERM: leave with a message."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
