"""From a name or a folder to the splits of a dataset."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from reidlab.data.market import find_market, read_market
from reidlab.data.samples import Splits
from reidlab.data.synthetic.dataset import synthetic
from reidlab.data.synthetic.plan import SyntheticOptions
from reidlab.paths import data_root

NAMES = ("synthetic", "market1501")
SYNTHETIC_OPTIONS = (*(option.name for option in fields(SyntheticOptions)), "progress", "device")
MARKET_OPTIONS = ("validation_ids", "seed", "progress")
MARKET_FOLDERS = ("Market-1501-v15.09.15", "market1501")
MARKET_PAGE = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"


def read_dataset(
    name_or_path: str | Path,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Splits:
    """The splits of a dataset: who trains, who validates, who asks and who is searched.

    Args:
        name_or_path: "synthetic" (rendered on first use, then cached), "market1501", or a folder
            that holds `bounding_box_train`, `query` and `bounding_box_test`.
        root: folder for named datasets; see `paths.data_root` for the default.
        options: for "synthetic" the fields of `SyntheticOptions` and `device`; else
            `validation_ids` (training people to hold out, 0 for none) and `seed`. Always
            `progress`.

    Raises:
        ValueError: an unknown name or option, or a dataset that is missing, incomplete or
            misnamed; the message says what was found and what to do.
    """
    if not isinstance(name_or_path, (str, Path)):
        raise ValueError(f"expected a name or a path, got {name_or_path!r}")
    name = str(name_or_path)
    if name.lower() == "synthetic":
        _check_options(options, SYNTHETIC_OPTIONS, name)
        return synthetic(root, **options)
    _check_options(options, MARKET_OPTIONS, name)
    choice = {key: value for key, value in options.items() if key != "progress"}
    if name.lower() == "market1501":
        return read_market(_market_folder(root), name="Market-1501", **choice)
    if not Path(name).expanduser().exists():
        raise ValueError(
            f"{name!r} is neither the name of a dataset nor an existing folder; known names: "
            f"{', '.join(NAMES)}. A path must lead to a folder laid out like Market-1501; "
            "`reidlab data make --out FOLDER` renders one"
        )
    return read_market(name, name=_title(Path(name)), **choice)


def _title(folder: Path) -> str | None:
    """Market-1501 under its own name; anything else is called what its manifest or folder says."""
    return "Market-1501" if folder.expanduser().resolve().name in MARKET_FOLDERS else None


def _check_options(options: dict[str, Any], known: tuple[str, ...], name: str) -> None:
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}; it understands: {', '.join(known)}"
        )


def _market_folder(root: str | os.PathLike[str] | None) -> Path:
    below = data_root(root)
    for folder in MARKET_FOLDERS:
        if (below / folder).is_dir():
            return below / folder
    message = f"Market-1501 is not in {below}: expected a folder {' or '.join(MARKET_FOLDERS)}. "
    if below.is_dir() and (elsewhere := find_market(below)):
        message += f"There is {elsewhere}; if that is it, read it by its path. "
    raise ValueError(
        message + f"It is not downloaded for you: its authors give it out for research at "
        f"{MARKET_PAGE}; unpack it there, or say where it is with root= or $REIDLAB_DATA"
    )
