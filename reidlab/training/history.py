"""What training logged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class History:
    """One row per epoch: epoch, lr, named loss terms, seconds, whatever `on_epoch` returned."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def column(self, name: str) -> list[float]:
        """One column; epochs that lack it give NaN.

        Raises:
            ValueError: no epoch has it.
        """
        if not any(name in row for row in self.rows):
            raise ValueError(f"no column {name!r}; the log has {', '.join(self.columns)}")
        return [row.get(name, math.nan) for row in self.rows]

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in order of first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        """Number of epochs."""
        return len(self.rows)

    def to_csv(self) -> str:
        """The log as text, one line per epoch under a header."""
        names = self.columns
        lines = [",".join(f"{row[n]:.6g}" if n in row else "" for n in names) for row in self.rows]
        return "\n".join([",".join(names), *lines]) + "\n"
