"""What an inspection found, by gravity, as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LEVELS = ("error", "warning", "note")
SHOWN = 10  # findings of a kind that are printed unless all are asked for


class Kind(NamedTuple):
    """A kind of finding: how grave it is, and its heading."""

    level: str
    title: str


# Errors are refused or lost when the dataset is read, or make its labels contradict themselves;
# warnings make scores wrong or break elsewhere; notes are good to know.
KINDS = {
    "refused": Kind("error", "what the reader refuses"),
    "unreadable": Kind("error", "images that cannot be read"),
    "link": Kind("error", "broken links"),
    "changed": Kind("error", "not as it was rendered"),
    "conflict": Kind("error", "one picture under two people"),
    "leak": Kind("error", "one picture on two sides (training, validation, test)"),
    "listed": Kind("error", "files listed more than once in a part"),
    "reader": Kind("warning", "what the reader warns of"),
    "people": Kind("warning", "people on two sides (training, validation, test)"),
    "names": Kind("warning", "different pictures with the same file name"),
    "spelling": Kind("warning", "names that many systems cannot tell apart"),
    "unmatched": Kind("warning", "queries without a match under another camera"),
    "cameras": Kind("warning", "cameras that training never saw"),
    "large": Kind("warning", "pictures that are rather large for a crop"),
    "shape": Kind("warning", "pictures of an extreme shape"),
    "copies": Kind("note", "one picture more than once"),
    "one image": Kind("note", "people with a single image in training"),
    "one camera": Kind("note", "people under a single camera in training"),
    "version": Kind("note", "made by another version"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, doubtful, or good to know.

    Args:
        kind: a key of `KINDS`.
        message: what was found and what to do; follows the first path when printed.
        path: the file it is about, where it is about one.
        level: "error", "warning" or "note"; by default that of its kind.

    Raises:
        ValueError: no such kind or level.
    """

    kind: str
    message: str
    path: Path | None = None
    level: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; choose one of {', '.join(KINDS)}")
        object.__setattr__(self, "level", self.level or KINDS[self.kind].level)
        if self.level not in LEVELS:
            raise ValueError(f"unknown level {self.level!r}; choose one of {', '.join(LEVELS)}")


@dataclass(frozen=True)
class Report:
    """All findings on a dataset, the gravest first.

    Args:
        name: the dataset's title.
        folder: where it lies.
        images: different image files that were read.
        findings: in any order; sorted on construction.
    """

    name: str
    folder: Path
    images: int
    findings: Sequence[Finding]

    def __post_init__(self) -> None:
        kinds = list(KINDS)
        order = sorted(self.findings, key=lambda f: (LEVELS.index(f.level), kinds.index(f.kind)))
        object.__setattr__(self, "findings", order)

    def count(self, level: str) -> int:
        """Number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)

    def summary(self, levels: Sequence[str] = LEVELS) -> str:
        """`2 errors, 1 warning, 12 notes`, or `nothing to complain of`."""
        counts = [(self.count(level), level) for level in levels]
        words = [f"{n:,} {level}{'s' if n != 1 else ''}" for n, level in counts if n]
        return ", ".join(words) or "nothing to complain of"

    def text(self, *, everything: bool = False) -> str:
        """The findings by kind, counted; the first ten of each kind unless `everything`."""
        groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            groups[finding.level, finding.kind].append(finding)
        lines = [f"{self.name} in {printable(str(self.folder))}: {self.images:,} images read"]
        for (level, kind), group in groups.items():
            lines += ["", f"{level}: {KINDS[kind].title} ({len(group):,})"]
            shown = group if everything else group[:SHOWN]
            lines += [f"  {self._line(finding)}" for finding in shown]
            if left := len(group) - len(shown):
                lines.append(f"  ... and {left:,} more")
        return "\n".join([*lines, "", self.summary()])

    def is_cut(self) -> bool:
        """Whether `text` leaves findings out unless it is asked for everything."""
        sizes = Counter((finding.level, finding.kind) for finding in self.findings)
        return any(size > SHOWN for size in sizes.values())

    def _line(self, finding: Finding) -> str:
        where = f"{place(finding.path, self.folder)}: " if finding.path else ""
        return printable(where + finding.message)

    def as_json(self) -> str:
        """Everything as JSON text: counts, then one object per finding."""
        content = {
            "dataset": self.name,
            "folder": str(self.folder),
            "images": self.images,
            **{f"{level}s": self.count(level) for level in LEVELS},
            "findings": [
                {
                    "level": finding.level,
                    "kind": finding.kind,
                    "path": None if finding.path is None else str(finding.path),
                    "message": finding.message,
                }
                for finding in self.findings
            ],
        }
        return json.dumps(content, indent=1) + "\n"


def place(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, in full when it lies elsewhere."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def printable(text: str) -> str:
    """`text` without what upsets a terminal: control characters and broken Unicode, escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )
