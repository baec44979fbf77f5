"""The command `python -m reidlab.course`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from reidlab import paths
from reidlab.course import notebook as notebooks
from reidlab.course.index import summary
from reidlab.course.progress import suitable
from reidlab.course.runner import run_course

EXAMPLES = """examples:
  python -m reidlab.course                                  every lesson, pages in build/course
  python -m reidlab.course notebooks/00_tour.ipynb          one lesson
  python -m reidlab.course --changed --jobs 2               only what changed since the last run
  python -m reidlab.course --in-place --jobs 2              store fresh outputs in the notebooks
  python -m reidlab.course --student --out build/handout    copies without solutions and outputs
"""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="python -m reidlab.course",
        description="Run the notebooks of the course from top to bottom, without a browser.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument(
        "notebooks", nargs="*", type=Path, help="files to run (default: all in notebooks/)"
    )
    flags.add_argument("--in-place", action="store_true", help="store the outputs in the files")
    flags.add_argument(
        "--student", action="store_true", help="run nothing; write copies without solutions"
    )
    flags.add_argument(
        "--out",
        type=Path,
        default=Path("build/course"),
        metavar="FOLDER",
        help="where pages, or copies for students, go (default: %(default)s)",
    )
    flags.add_argument(
        "--changed",
        action="store_true",
        help="leave out notebooks whose page was made from the same cells and the same package",
    )
    flags.add_argument("--jobs", type=int, default=1, help="notebooks at a time (default: 1)")
    flags.add_argument(
        "--timeout", type=float, default=600, help="seconds a cell may take (default: 600)"
    )
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 all went well, 1 a notebook failed, 2 a wrong call, 130 after Ctrl-C."""
    chosen = parser().parse_args(arguments)
    try:
        files = chosen.notebooks or find_notebooks()
        if chosen.student:
            return _hand_out(files, chosen.out)
        outcomes = run_course(
            files,
            out=chosen.out,
            in_place=chosen.in_place,
            jobs=chosen.jobs,
            timeout=chosen.timeout,
            changed=chosen.changed,
            progress=suitable(),
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for outcome in outcomes:
        if outcome.error:
            print(f"\n{outcome.error}", file=sys.stderr)
    print(f"\n{summary(outcomes)}\npages: {chosen.out / 'index.html'}")
    states = {outcome.state for outcome in outcomes}
    return 130 if "stopped" in states else 1 if "failed" in states else 0


def find_notebooks() -> list[Path]:
    """All lessons of the checkout, in order, else those in the current folder's `notebooks`.

    Raises:
        ValueError: there are none.
    """
    base = paths.CHECKOUT if paths.in_checkout() else Path.cwd()
    files = sorted((base / "notebooks").glob("*.ipynb"))
    if not files:
        raise ValueError(f"no notebooks in {base / 'notebooks'}; name the files to run")
    return files


def _hand_out(files: Sequence[Path], out: Path) -> int:
    """Write the students' copies."""
    paths.make_folder(out)
    for path in files:
        if (out / path.name).resolve() == path.resolve():
            raise ValueError(f"--out {out} would overwrite {path}; choose another folder")
        notebooks.write(notebooks.student_version(notebooks.read(path)), out / path.name)
        print(f"{out / path.name}")
    for page in sorted({page for path in files for page in path.parent.glob("*.md")}):
        shutil.copy(page, out / page.name)  # notebooks link to them
        print(f"{out / page.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
