"""What a run of the course says while it goes: nothing, a line per event, or a bar."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping

PATIENCE = 30.0  # seconds without a line about a notebook before its next cell gets one


class Progress:
    """Told, from any thread, what happens to the notebooks; this one keeps it to itself."""

    def begin(self, cells: Mapping[str, int]) -> None:
        """The run starts: notebook name -> number of its cells."""

    def started(self, name: str) -> None:
        """A notebook starts."""

    def cell(self, name: str, number: int, cells: int) -> None:
        """Cell `number`, counted from 1, of `cells` starts."""

    def ended(self, name: str, words: str) -> None:
        """A notebook ended; `words` say how."""

    def say(self, words: str) -> None:
        """Something about the whole run."""

    def close(self) -> None:
        """The run is over."""


class Lines(Progress):
    """One printed line per event, for logs: starts, ends, and a sign of life from long notebooks.

    Args:
        patience: seconds of silence about a notebook after which its next cell is announced.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._lock = threading.Lock()
        self._spoke: dict[str, float] = {}
        self._ended = self._total = 0

    def begin(self, cells: Mapping[str, int]) -> None:
        """Note what will run."""
        self._total = len(cells)

    def started(self, name: str) -> None:
        """A notebook starts."""
        self._print(name, "started")

    def cell(self, name: str, number: int, cells: int) -> None:
        """A cell starts."""
        if time.monotonic() - self._spoke.get(name, 0.0) >= self.patience:
            self._print(name, f"cell {number} of {cells}")

    def ended(self, name: str, words: str) -> None:
        """A notebook ended."""
        self._ended += 1
        self._print(name, f"{words}   [{self._ended} of {self._total}]")

    def say(self, words: str) -> None:
        """Something about the whole run."""
        with self._lock:
            print(words, flush=True)

    def _print(self, name: str, words: str) -> None:
        self._spoke[name] = time.monotonic()
        self.say(f"{name}: {words}")


class Bar(Progress):
    """One bar over the cells of all notebooks, with the cells that run now; ends are lines."""

    def begin(self, cells: Mapping[str, int]) -> None:
        """Note what will run."""
        from tqdm import tqdm

        form = "{percentage:3.0f}% |{bar:24}| {elapsed}{postfix}"
        self._bar = tqdm(total=sum(cells.values()), bar_format=form, dynamic_ncols=True)
        self._cells = dict(cells)
        self._running: dict[str, int] = {}
        self._behind: dict[str, int] = {}  # cells of ended notebooks, all of them
        self._lock = threading.RLock()

    def started(self, name: str) -> None:
        """A notebook starts."""
        self.cell(name, 0, self._cells[name])

    def cell(self, name: str, number: int, cells: int) -> None:
        """A cell starts."""
        with self._lock:
            self._running[name] = number
            self._show()

    def ended(self, name: str, words: str) -> None:
        """A notebook ended."""
        with self._lock:
            self._running.pop(name, None)
            self._behind[name] = self._cells[name]
            self.say(f"{name}: {words}")
            self._show()

    def say(self, words: str) -> None:
        """Something about the whole run."""
        self._bar.write(words, file=sys.stdout)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _show(self) -> None:
        self._bar.n = sum(self._behind.values()) + sum(self._running.values())
        now = ", ".join(f"{name} {n}/{self._cells[name]}" for name, n in self._running.items())
        self._bar.set_postfix_str(now)  # draws


def suitable() -> Progress:
    """A bar on a terminal, else lines."""
    return Bar() if sys.stdout.isatty() and sys.stderr.isatty() else Lines()
