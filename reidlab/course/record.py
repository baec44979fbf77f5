"""What the last run of the course left behind: which notebooks ran, how long, made from what.

Stored as `run.json` beside the pages. It lets a run begin with the notebook that takes longest, and
leave out those that nothing changed for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from nbformat import NotebookNode

from reidlab import __version__, paths
from reidlab.paths import atomic_write

FILE = "run.json"


@dataclass(frozen=True)
class Entry:
    """The last run of one notebook that came to its end.

    Args:
        seconds: wall-clock time.
        made_from: `fingerprint` of the notebook and the package that ran.
        when: local date and time at its end, to the minute.
    """

    seconds: float
    made_from: str
    when: str


def read_record(folder: Path) -> dict[str, Entry]:
    """Notebook name -> entry; empty before the first run.

    Raises:
        ValueError: the file is there and is no record.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        return {name: Entry(**entry) for name, entry in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no record of a run ({error}); delete it") from None


def write_record(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Replace the record in `folder`."""
    stored = {name: asdict(entry) for name, entry in sorted(entries.items())}
    atomic_write(folder / FILE, json.dumps(stored, indent=1) + "\n")


def fingerprint(notebook: NotebookNode) -> str:
    """A name for the texts of a notebook's cells together with the package that runs them."""
    texts = [f"{cell.cell_type}\n{cell.source}" for cell in notebook.cells]
    return _digest(package_fingerprint().encode(), *(text.encode() for text in texts))


@cache
def package_fingerprint() -> str:
    """A name for the version and the source files of the package."""
    files = sorted(paths.PACKAGE.rglob("*.py"))
    names = [str(file.relative_to(paths.PACKAGE)).encode() for file in files]
    return _digest(__version__.encode(), *names, *(file.read_bytes() for file in files))


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
