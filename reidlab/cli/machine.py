"""What `reidlab doctor` finds out about the machine: processors, memory, folders, speed."""

from __future__ import annotations

import io
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reidlab.cli.health import Finding
from reidlab.paths import (
    control_groups,
    data_root,
    memory_limit,
    pick_device,
    read_setting,
    readable,
)

LOW = 2e9  # bytes; below this something fails sooner or later
ELSEWHERE = "set $REIDLAB_DATA to a folder that you may write"


# --- processors ---


def devices() -> list[Finding]:
    """Processor, threads and accelerators."""
    import torch

    usable = usable_cores()
    found = [
        Finding("processor", "ok", f"{processor()}, {usable} of {os.cpu_count()} cores usable"),
        check_threads(torch.get_num_threads(), usable, os.environ.get("OMP_NUM_THREADS")),
    ]
    if torch.cuda.is_available():
        found += [_gpu(index) for index in range(torch.cuda.device_count())]
    elif torch.backends.mps.is_available():
        found.append(Finding("gpu", "ok", "Apple GPU, used through MPS"))
    else:
        found.append(_no_gpu(torch.version.cuda, shutil.which("nvidia-smi")))
    return [*found, Finding("computes on", "ok", str(pick_device()))]


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def usable_cores(folders: Sequence[Path] | None = None) -> int:
    """Cores that this process may use: the machine's, less affinity and the container's quota."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    quota = cpu_quota(control_groups() if folders is None else folders)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(folders: Sequence[Path]) -> float | None:
    """Cores that the smallest limit in `folders` allows, `None` without one (cgroup 2, then 1)."""
    pairs = [read_setting(folder / "cpu.max").split() for folder in folders]
    root = folders[-1] / "cpu"
    pairs.append([read_setting(root / f"cpu.cfs_{name}_us") for name in ("quota", "period")])
    limits = [
        int(pair[0]) / int(pair[1])
        for pair in pairs
        if len(pair) == 2 and all(word.isdigit() for word in pair)  # not "max", not -1
    ]
    return min(limits, default=None)


def check_threads(threads: int, usable: int, variable: str | None) -> Finding:
    """More threads than cores wait for each other."""
    value = f"{threads} (OMP_NUM_THREADS {'is not set' if variable is None else '= ' + variable})"
    if threads > usable:
        value += f", more than the {usable} usable cores"
        return Finding("threads", "note", value, f"set OMP_NUM_THREADS={usable}")
    return Finding("threads", "ok", value)


def _gpu(index: int) -> Finding:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    bf16 = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no bf16"
    value = (
        f"{torch.cuda.get_device_name(index)}, {readable(free)} of {readable(total)} free, {bf16}, "
        f"CUDA {torch.version.cuda}"
    )
    name = f"cuda:{index}"
    if free < LOW:
        return Finding(name, "note", value, "another program fills it; see nvidia-smi")
    return Finding(name, "ok", value)


def _no_gpu(built_for: str | None, driver: str | None) -> Finding:
    if driver is None:
        return Finding("gpu", "ok", "none; the course runs on the processor")
    if built_for is None:
        advice = "install the PyTorch build for CUDA to use it"
        return Finding("gpu", "note", "NVIDIA's driver is here, but this torch is CPU only", advice)
    advice = "look at `nvidia-smi`; a driver that is too old for this torch is the usual reason"
    value = f"NVIDIA's driver is here, but torch (built for CUDA {built_for}) cannot use it"
    return Finding("gpu", "note", value, advice)


# --- memory and folders ---


def memory() -> list[Finding]:
    """Free memory, also within the limit of a container."""
    import psutil

    state = psutil.virtual_memory()
    return [check_memory(state.available, state.total, memory_limit(control_groups()))]


def check_memory(available: int, total: int, limit: int | None) -> Finding:
    """Note when less than 2 GB can be used."""
    value = f"{readable(available)} of {readable(total)} free"
    if limit is not None and limit < total:
        value += f", {readable(limit)} allowed for this process"
    if min(available, limit or available) < LOW:
        advice = "close other programs; the notebooks need about 2 GB"
        return Finding("memory", "note", value, advice)
    return Finding("memory", "ok", value)


def folders() -> list[Finding]:
    """Room and permission where data, runs and temporary files go."""
    return [
        check_folder("data", data_root(), "problem", ELSEWHERE),
        check_folder(
            "runs", Path.cwd() / "runs", "note", "start from a folder of your own, or --out"
        ),
        check_folder("temporary", Path(tempfile.gettempdir()), "problem", "set $TMPDIR"),
    ]


def check_folder(name: str, folder: Path, unwritable: Any, advice: str) -> Finding:
    """Whether one can write into `folder`, or create it, and whether 2 GB are free there.

    Args:
        name: of the finding.
        folder: may be missing; then the nearest folder above it decides.
        unwritable: status when it cannot be written.
        advice: for that case.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        value = f"cannot write into {nearest} ({error.strerror})"
        return Finding(name, unwritable, value, advice)
    free = shutil.disk_usage(nearest).free
    value = f"{readable(free)} free for {folder}"
    if free < LOW:
        return Finding(name, "note", value, "make room: datasets and runs need about 2 GB")
    return Finding(name, "ok", value)


# --- a self-test ---


def arithmetic() -> list[Finding]:
    """A convolution forward and backward: right, and how fast."""
    import torch
    from torch.nn import functional as F

    device = pick_device()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 64, 32, 16, generator=generator)
    weight = torch.randn(64, 64, 3, 3, generator=generator) / 24

    def gradient(dtype: torch.dtype, where: Any) -> torch.Tensor:
        kernel = weight.to(where, dtype).requires_grad_()
        images = x.to(where, dtype).requires_grad_()
        F.conv2d(images, kernel, padding=1).square().mean().backward()
        assert kernel.grad is not None
        return kernel.grad.cpu()  # waits for the device, too

    expected = gradient(torch.float64, "cpu")
    error = float((gradient(torch.float32, device) - expected).norm() / expected.norm())
    if not error < 1e-2:  # TF32 is near 1e-3; NaN is not below anything
        value = f"wrong on {device}: relative error {error:.1g} of a convolution's gradient"
        advice = "reinstall torch for this machine, or compute on the processor (--device cpu)"
        return [Finding("convolution", "problem", value, advice)]
    flops = 3 * 2 * x.numel() // 64 * weight.numel()  # forward, and backward twice as much
    seconds = _seconds_per_call(lambda: gradient(torch.float32, device), 1.0)
    value = f"{flops / seconds / 1e9:,.0f} GFLOP/s on {device}, forward and backward"
    return [Finding("convolution", "ok", value)]


def pictures() -> list[Finding]:
    """Decoding JPEG, and text in figures."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (32, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((64, 128)).save(buffer, "JPEG", quality=90)
    content = buffer.getvalue()
    seconds = _seconds_per_call(lambda: Image.open(io.BytesIO(content)).convert("RGB"), 0.3)
    canvas = FigureCanvasAgg(Figure(figsize=(1, 1)))
    canvas.figure.text(0.1, 0.5, "mAP")
    canvas.draw()
    ink = int((np.asarray(canvas.buffer_rgba())[..., :3] < 128).any(axis=2).sum())
    text = Finding("fonts", "ok", "text is drawn in figures")
    if not ink:
        text = Finding("fonts", "problem", "text in figures is blank", "reinstall matplotlib")
    return [Finding("JPEG", "ok", f"{1 / seconds:,.0f} crops of 128x64 decoded per second"), text]


def _seconds_per_call(call: Callable[[], Any], budget: float) -> float:
    """Fastest of the calls that fit into `budget` seconds, after one to warm up."""
    call()
    start, best = time.perf_counter(), math.inf
    while time.perf_counter() - start < budget:
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best
