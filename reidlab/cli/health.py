"""What `reidlab doctor` finds out about the installation: packages, data, models, extras.

Each check is a function that returns findings and changes nothing; there is no network. Whatever
may be broken is imported inside the checks, so that the others still speak.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reidlab import __version__
from reidlab.paths import CHECKOUT, data_root, in_checkout, readable, shipped

Status = Literal["ok", "note", "problem"]
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[\w,-]+\])?\s*>=\s*([\w.]+)")
SHOWN = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "matplotlib", "jupyterlab")
MODULES = {"open_clip_torch": "open_clip", "pillow": "PIL", "scikit-learn": "sklearn"}
EXTRAS = {  # package -> (module, extra, what it gives)
    "anywidget": ("anywidget", "map", "the map of embeddings whose points can be clicked"),
    "faiss-cpu": ("faiss", "faiss", "FAISS indices for searching"),
    "h5py": ("h5py", "mat", "reading annotations in MATLAB 7.3 files"),
    "pyarrow": ("pyarrow", "scale", "embeddings in Parquet files"),
    "pymilvus": ("pymilvus", "scale", "galleries in a Milvus database"),
    "ray": ("ray", "scale", "embedding millions of crops on many machines"),
    "tensorboard": ("tensorboard", "log", "training curves in TensorBoard"),
    "voila": ("voila", "web", "the explorer as a web page"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        name: what was looked at.
        status: "ok"; "note" for what is worth knowing; "problem" when the course cannot run so.
        value: what was found.
        advice: what to do about it.
        group: heading under which it is printed.
    """

    name: str
    status: Status
    value: str
    advice: str = ""
    group: str = ""


def guarded(group: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of `check` under the heading `group`; a problem when the check itself fails."""
    try:
        found = list(check())
    except Exception as error:  # a broken installation fails in every way
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        name = check.__name__.replace("_", " ")
        found = [Finding(name, "problem", f"cannot be checked ({reason})", reinstall())]
    return [
        Finding(one.name, one.status, one.value, one.advice, one.group or group) for one in found
    ]


def reinstall(extra: str = "") -> str:
    """The command that installs this package's requirements, or one of its extras."""
    chosen = f"[{extra}]" if extra else ""
    if in_checkout():
        return f'in {CHECKOUT}: pip install -c constraints.txt -e ".{chosen}"'
    return f'pip install --upgrade "reidlab{chosen}"'


# --- packages ---


def packages() -> list[Finding]:
    """Python, this package, and what it requires: installed, new enough, importable."""
    where = f"from the checkout {CHECKOUT}" if in_checkout() else "installed"
    found = [
        Finding("python", "ok", platform.python_version()),
        Finding("reidlab", "ok", f"{__version__}, {where}"),
    ]
    wanted = requirements()
    checked = [check_package(name, bound) for name, bound in sorted(wanted.items())]
    found += sorted(
        (one for one in checked if one.status != "ok" or one.name in SHOWN),
        key=lambda one: SHOWN.index(one.name) if one.name in SHOWN else len(SHOWN),
    )
    rest = [one.name for one in checked if one.status == "ok" and one.name not in SHOWN]
    found.append(Finding("others", "ok", f"{len(rest)} more required packages are there"))
    found.append(kernel())
    if in_checkout():
        pins = read_pins((CHECKOUT / "constraints.txt").read_text())
        found.append(compare_pins(pins, installed_versions(pins)))
    return found


def requirements() -> dict[str, str]:
    """Required package -> lower bound, from the checkout's list or the installed metadata."""
    if in_checkout():
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
        lines = project["project"]["dependencies"]
    else:
        lines = importlib.metadata.requires("reidlab") or []
    matches = [REQUIREMENT.match(line) for line in lines if "extra ==" not in line]
    return {match[1]: match[2] for match in matches if match}


def check_package(name: str, bound: str) -> Finding:
    """Whether `name` is installed, at or above `bound`, and can be imported."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "problem", "not installed", reinstall())
    if _numbers(version) < _numbers(bound):
        return Finding(name, "problem", f"{version}, needed {bound} or newer", reinstall())
    try:
        importlib.import_module(MODULES.get(name, name))
    except Exception as error:  # compiled parts that do not fit raise anything
        reason = (str(error).splitlines() or [""])[0]
        value = f"{version}, but cannot be imported ({type(error).__name__}: {reason})"
        return Finding(name, "problem", value, reinstall())
    return Finding(name, "ok", version)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.split("+")[0])]


def kernel() -> Finding:
    """Whether Jupyter knows a Python to run notebooks with."""
    from jupyter_client.kernelspec import KernelSpecManager

    names = sorted(KernelSpecManager().find_kernel_specs())
    if "python3" in names:
        return Finding("kernel", "ok", f"Jupyter runs notebooks with: {', '.join(names)}")
    advice = "python -m ipykernel install --sys-prefix"
    return Finding("kernel", "problem", "Jupyter has no kernel python3", advice)


def read_pins(text: str) -> dict[str, str]:
    """Package -> version, from the lines `name==version` of a file of constraints."""
    pairs = (line.strip().split("==") for line in text.splitlines() if "==" in line)
    return {name: version for name, version in pairs}


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Package -> installed version, for those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def compare_pins(pins: Mapping[str, str], installed: Mapping[str, str]) -> Finding:
    """Which installed packages differ from the tested ones; another build of one is the same."""
    different = [
        f"{name} {version} (tested: {pins[name]})"
        for name, version in sorted(installed.items(), key=lambda item: item[0].lower())
        if version.split("+")[0] != pins[name]
    ]
    if not different:
        value = f"{len(installed)} packages as tested (constraints.txt)"
        return Finding("versions", "ok", value)
    more = f", and {len(different) - 6} more" if different[6:] else ""
    value = f"{len(different)} of {len(installed)} differ from constraints.txt: "
    return Finding("versions", "note", value + ", ".join(different[:6]) + more, reinstall())


# --- data and models ---


def datasets() -> list[Finding]:
    """Where data are looked for, and which datasets are there."""
    from reidlab.data.benchmarks.facts import BENCHMARKS

    root = data_root()
    why = "$REIDLAB_DATA" if os.environ.get("REIDLAB_DATA") else "the default"
    found = [Finding("looked for in", "ok", f"{root} ({why})")]
    for key, benchmark in BENCHMARKS.items():
        there = [name for name in benchmark.folders if (root / name).is_dir()]
        if there:
            found.append(Finding(key, "ok", f"{benchmark.title}, in {there[0]}"))
    missing = [key for key in BENCHMARKS if key not in {one.name for one in found}]
    if missing:
        value = f"not here, nor needed: {', '.join(missing)}"
        found.append(Finding("benchmarks", "ok", value))
    rendered = sorted(path for path in (root / "cache" / "synthetic").glob("*") if path.is_dir())
    value = f"{len(rendered)} rendered" if rendered else "not rendered yet: that takes a minute"
    found.append(Finding("synthetic", "ok", value))
    return found


def caches() -> list[Finding]:
    """Folders that can be emptied, and their size."""
    home = Path.home() / ".cache"
    hub = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or home / "huggingface", "hub"
    )
    folders = {
        "datasets": data_root() / "cache",
        "torch": Path(os.environ.get("TORCH_HOME") or home / "torch"),
        "hugging face": Path(hub),
    }
    return [
        Finding(name, "ok", f"{readable(size_of(path))} in {path}")
        for name, path in folders.items()
        if path.is_dir()
    ] or [Finding("caches", "ok", "none yet")]


def size_of(folder: Path) -> int:
    """Bytes of all files in `folder` and below; links count as links."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # removed in between
                continue
    return total


def checkpoints() -> list[Finding]:
    """The models that travel with the package."""
    from reidlab.checkpoints import read_card

    folder = shipped("checkpoints")
    files = sorted(folder.glob("*.safetensors")) if folder else []
    if not files:
        return [Finding("shipped", "ok", "none come with this version")]
    found = []
    for file in files:
        try:
            card = read_card(file)
        except ValueError as error:
            found.append(Finding(file.stem, "problem", str(error), reinstall()))
            continue
        value = f"{card['origin']['model']}, {readable(file.stat().st_size)}"
        found.append(Finding(file.stem, "ok", value))
    return found


# --- what is optional ---


def extras() -> list[Finding]:
    """Optional packages: installed, or what to install and what it gives."""
    return [check_extra(name, *about) for name, about in EXTRAS.items()]


def check_extra(name: str, module: str, extra: str, gives: str) -> Finding:
    """One optional package."""
    if importlib.util.find_spec(module) is None:
        return Finding(name, "ok", f"not installed; [{extra}] for {gives}", reinstall(extra))
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # another distribution brings the module
        version = "installed"
    return Finding(name, "ok", f"{version}, for {gives}")


def browser() -> list[Finding]:
    """A Chromium for the tests that open notebooks in a real browser."""
    named = os.environ.get("REIDLAB_CHROMIUM")
    path = Path(named or "/usr/bin/chromium")
    if path.is_file():
        return [Finding("chromium", "ok", f"{path}, for the tests in a real browser")]
    if named:
        value = f"REIDLAB_CHROMIUM names {named}, which is no file"
        return [Finding("chromium", "note", value, "set it to the program, or unset it")]
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if other := shutil.which(name):
            value = f"{other}, but the browser tests look for {path}"
            return [Finding("chromium", "note", value, f"set REIDLAB_CHROMIUM={other}")]
    return [Finding("chromium", "ok", "not installed; only the tests in a real browser need it")]
