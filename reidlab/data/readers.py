"""From a name or a folder to the splits of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from reidlab.data.benchmarks.cuhk03 import is_cuhk03, scan_cuhk03
from reidlab.data.benchmarks.facts import BENCHMARKS, Benchmark, how_to_obtain
from reidlab.data.benchmarks.files import child
from reidlab.data.benchmarks.msmt17 import is_msmt17, scan_msmt17
from reidlab.data.benchmarks.persons import (
    is_persons,
    is_split_persons,
    scan_persons,
    scan_split_persons,
)
from reidlab.data.benchmarks.scan import Scan, judge
from reidlab.data.benchmarks.tables import is_table, scan_table
from reidlab.data.benchmarks.unlabelled import is_unlabelled, scan_unlabelled
from reidlab.data.benchmarks.vehicleid import is_vehicleid, scan_vehicleid
from reidlab.data.benchmarks.veri776 import is_veri776, scan_veri776
from reidlab.data.market import REQUIRED, find_market, scan_market
from reidlab.data.samples import Splits
from reidlab.data.synthetic.dataset import cache_folder, synthetic
from reidlab.data.synthetic.plan import SyntheticOptions
from reidlab.data.variants import with_variant
from reidlab.paths import data_root

NAMES = ("synthetic", *BENCHMARKS)
SYNTHETIC_OPTIONS = (
    *(option.name for option in fields(SyntheticOptions)), "variant", "progress", "device"
)  # fmt: skip
COMMON_OPTIONS = ("validation_ids", "seed", "progress")  # of everything but "synthetic"


@dataclass(frozen=True)
class Layout:
    """A way in which datasets lie on disk.

    Args:
        scan: (folder, benchmark or None, options) -> what lies there.
        recognises: whether a path is laid out so.
        options: that `scan` takes.
        test_ids: whether people can be held out as query and gallery.
    """

    scan: Callable[..., Scan]
    recognises: Callable[[Path], bool]
    options: tuple[str, ...] = ()
    test_ids: bool = False

    @property
    def understands(self) -> tuple[str, ...]:
        """All options of `read_dataset` that make sense here."""
        own = tuple(option for option in self.options if option not in COMMON_OPTIONS)
        return (*COMMON_OPTIONS, *(("test_ids",) if self.test_ids else ()), *own)


def _is_market(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in REQUIRED if name != "query")


LAYOUTS = {  # in the order in which a path is compared with them
    "csv": Layout(scan_table, is_table, test_ids=True),
    "market": Layout(scan_market, _is_market),
    "veri776": Layout(scan_veri776, is_veri776),
    "msmt17": Layout(scan_msmt17, is_msmt17, ("variant", "with_validation")),
    "cuhk03": Layout(scan_cuhk03, is_cuhk03, ("variant", "progress")),
    "vehicleid": Layout(scan_vehicleid, is_vehicleid, ("variant", "seed")),
    "unlabelled": Layout(scan_unlabelled, is_unlabelled),
    "split-persons": Layout(scan_split_persons, is_split_persons),
    "persons": Layout(scan_persons, is_persons, test_ids=True),
}
LAYOUT_OF = {  # benchmark -> its layout, where that has another name
    "market1501": "market",
    "dukemtmc": "market",
    "occluded-duke": "market",
    "luperson": "unlabelled",
}


def read_dataset(
    name_or_path: str | Path,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Splits:
    """The splits of a dataset: who trains, who validates, who asks and who is searched.

    A name is looked for below `root`. A path is recognised by what lies there: folders like those
    of Market-1501 (also DukeMTMC-reID, Occluded-Duke, VeRi-776, MSMT17, CUHK03, VehicleID), a CSV
    file with `path, pid, camid[, viewid, split]`, one folder per person, such folders below
    `train`, `query` and `gallery`, or a rendered set without labels. Nothing is downloaded.

    Args:
        name_or_path: "synthetic" (rendered on first use, then cached), the name of a public
            benchmark ("market1501", "dukemtmc", "msmt17", "cuhk03", "occluded-duke", "veri776",
            "vehicleid", "luperson"), or a path.
        root: folder for named datasets; see `paths.data_root` for the default.
        options: for "synthetic" the fields of `SyntheticOptions`, `device` and `variant="wide"`
            (many people with two images each; other options win over it). Else
            `validation_ids` (training people to hold out, 0 for none) and `seed`; `variant` for
            MSMT17 ("v1", "v2"), CUHK03 ("labeled", "detected") and VehicleID (800, 1600, 2400);
            `with_validation=False` leaves out MSMT17's val list; `test_ids` holds people out as
            query and gallery, where a CSV file or a folder per person names none; `layout` says
            how a path is laid out, as one of `LAYOUTS`, when it is not recognised. Always
            `progress`.

    Raises:
        ValueError: an unknown name or option, or a dataset that is missing, incomplete or
            misnamed; the message says what was found and what to do.
    """
    held_out = {key: options[key] for key in ("validation_ids", "test_ids") if key in options}
    scan = _scan(name_or_path, root, options)
    if isinstance(scan, Splits):
        return scan
    return judge(scan, **held_out, seed=options.get("seed", 0))


def scan_dataset(
    name_or_path: str | Path,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Scan:
    """What lies in a dataset, with all that is wrong with it, for those who want the whole list.

    Args and options are those of `read_dataset`. Nobody is held out here.

    Raises:
        ValueError: nothing can be scanned: an unknown name or option, or no such dataset.
    """
    scan = _scan(name_or_path, root, options)
    if isinstance(scan, Splits):
        given = with_variant(options)
        own = {key: value for key, value in given.items() if key not in ("progress", "device")}
        return scan_market(cache_folder(SyntheticOptions(**own), root))
    return scan


def _scan(
    name_or_path: str | Path, root: str | os.PathLike[str] | None, options: dict[str, Any]
) -> Scan | Splits:
    """The scan of a dataset on disk, the splits of the synthetic one."""
    if not isinstance(name_or_path, (str, Path)):
        raise ValueError(f"expected a name or a path, got {name_or_path!r}")
    name = str(name_or_path)
    key = name.lower()
    if key == "synthetic":
        _check_options(options, SYNTHETIC_OPTIONS, name)
        return synthetic(root, **with_variant(options))
    if key in BENCHMARKS:
        layout = LAYOUTS[LAYOUT_OF.get(key, key)]
        _check_options(options, layout.understands, name)
        return _run(layout, _named_folder(BENCHMARKS[key], root), BENCHMARKS[key], options)
    folder = _existing(name)
    layout = _layout_of(folder, options.get("layout"))
    _check_options(options, (*layout.understands, "layout"), name)
    return _run(layout, folder, None, options)


def _run(
    layout: Layout, folder: Path, benchmark: Benchmark | None, options: dict[str, Any]
) -> Scan:
    own = {key: value for key, value in options.items() if key in layout.options}
    return layout.scan(folder, benchmark, **own)


def _check_options(options: dict[str, Any], known: tuple[str, ...], name: str) -> None:
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}; it understands: {', '.join(known)}"
        )


def _existing(name: str) -> Path:
    try:
        path = Path(name).expanduser()
        found = path.exists()
    except (OSError, RuntimeError) as error:  # a name of hundreds of letters, an unknown ~user
        raise ValueError(f"{name[:80]!r} cannot be the path of a dataset ({error})") from None
    if not found:
        raise ValueError(
            f"{name!r} is neither the name of a dataset nor an existing path; known names: "
            f"{', '.join(NAMES)}. A path must lead to a folder laid out like Market-1501, to one "
            "with a folder per person, or to a CSV file; `reidlab data make --out FOLDER` renders "
            "a dataset"
        )
    return path.resolve()


def _layout_of(path: Path, wanted: str | None) -> Layout:
    """The layout that was asked for, or the first that recognises the path, else Market-1501's."""
    if wanted is not None:
        if wanted not in LAYOUTS:
            raise ValueError(f"unknown layout {wanted!r}; expected one of: {', '.join(LAYOUTS)}")
        return LAYOUTS[wanted]
    fitting = (layout for layout in LAYOUTS.values() if layout.recognises(path))
    return (
        next(fitting, LAYOUTS["market"]) if path.is_dir() or is_table(path) else LAYOUTS["market"]
    )


def _named_folder(benchmark: Benchmark, root: str | os.PathLike[str] | None) -> Path:
    below = data_root(root)
    for folder in benchmark.folders:
        found = child(below, folder)
        if found is not None and found.is_dir():
            return found
    message = (
        f"{benchmark.title} is not in {below}: expected a folder {' or '.join(benchmark.folders)}. "
    )
    market = LAYOUT_OF.get(benchmark.key) == "market"
    if market and below.is_dir() and (elsewhere := find_market(below)):
        message += f"There is {elsewhere}; if that is it, read it by its path. "
    raise ValueError(message + how_to_obtain(benchmark))
