"""The `reidlab` command: make data, train, evaluate."""

from __future__ import annotations

import difflib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

HELP = """usage: reidlab COMMAND [options]

Person re-identification: from one pedestrian crop to a ranked gallery and a score.

commands:
{commands}

`reidlab COMMAND --help` explains a command and shows examples.

a first session:
  reidlab data make --out people
  reidlab train baseline --data people --epochs 20 --out run
  reidlab evaluate run
"""


@dataclass(frozen=True)
class Command:
    """One command: a line for the overview, and where its function lives."""

    summary: str
    module: str
    again: str = "starts again"  # what the same command does after an interruption

    def load(self) -> Callable[[Sequence[str]], None]:
        """The function that takes the command's arguments; imported only when it is used."""
        import importlib

        return importlib.import_module(f"reidlab.cli.{self.module}").main


CONTINUES = "continues where it stopped"
COMMANDS = {
    "data make": Command(
        "render a synthetic dataset, laid out like Market-1501", "data_make", CONTINUES
    ),
    "data info": Command("what a dataset holds, as text and as a picture", "data_info"),
    "data check": Command("everything that is wrong with a dataset, at once", "data_check"),
    "train": Command(
        "train a method on a dataset; an interrupted run continues", "train", CONTINUES
    ),
    "pretrain": Command(
        "teach a network what others start from; an interrupted run continues",
        "pretrain",
        CONTINUES,
    ),
    "evaluate": Command("score a trained model: CMC, mAP, mINP", "evaluate"),
    "embed": Command("write the features of images to a Parquet or NumPy file", "embed"),
    "search": Command("find the images of a gallery that are most like a query", "search"),
    "attributes": Command("what people wear and carry, and who fits a description", "attributes"),
    "claims": Command("show what was measured about the claims of the course", "claims", CONTINUES),
    "doctor": Command("check this machine and this installation for the course", "doctor"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 1 on bad input, 2 on bad usage, 130 on Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve a busy laptop
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    first = os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    level = logging.WARNING if first else logging.ERROR
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    try:
        _answer(arguments)
        sys.stdout.flush()
    except (ValueError, FloatingPointError) as error:
        complain(str(error), 1)
    except BrokenPipeError:  # the reader of our output has gone, as in `reidlab ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # permissions, a full disk, a file that vanished
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        command = COMMANDS.get(_name(arguments))
        complain(f"interrupted; the same command {command.again if command else 'starts'}", 130)


def _answer(arguments: list[str]) -> None:
    """Print help or the version, or run a command."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    if arguments[0] in ("-V", "--version"):
        from reidlab import __version__

        print(f"reidlab {__version__}")
        return
    grouped = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
    if grouped and (len(arguments) == 1 or arguments[1] in ("-h", "--help")):
        print(overview(grouped))
        return
    name = _name(arguments)
    if name not in COMMANDS:
        complain(f"unknown command {name!r}{suggestion(name)}; `reidlab --help` lists them", 2)
    if name != "train" and os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError(f"{name} is work for one process; leave out torchrun")
    COMMANDS[name].load()(arguments[len(name.split()) :])


def _name(arguments: Sequence[str]) -> str:
    """The command that the words begin with: one word, or two in a group such as `data`."""
    grouped = any(name.startswith(f"{arguments[0]} ") for name in COMMANDS) if arguments else False
    return " ".join(arguments[: 2 if grouped else 1])


def overview(names: Sequence[str] = tuple(COMMANDS)) -> str:
    """The text of `reidlab --help`, or of the help on a group of commands."""
    width = max(map(len, names))
    rows = [f"  {name:<{width}}  {COMMANDS[name].summary}" for name in names]
    return HELP.format(commands="\n".join(rows)).rstrip()


def suggestion(name: str) -> str:
    """`, did you mean ...?` when a command looks similar, else nothing."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def complain(message: str, status: int) -> Any:
    """Print an error without a traceback and leave."""
    rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    who = "reidlab" if size == "1" else f"reidlab, process {int(rank) + 1} of {size}"
    print(f"{who}: {message}", file=sys.stderr, flush=True)
    raise SystemExit(status)
