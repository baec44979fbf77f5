"""`reidlab doctor`."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from reidlab.cli import health, machine
from reidlab.cli.health import Finding, guarded

HELP = """Check this machine and this installation: packages, devices, memory, folders, datasets,
and a self-test of about two seconds. Changes nothing and needs no network.

Each line is ok, a note, or a problem; problems say what to do. The exit status is 1 when there is
a problem, which means that the course cannot run here as things are; else 0.

examples:
  reidlab doctor
  reidlab doctor --json > report.json
"""

CHECKS = (
    ("packages", health.packages),
    ("devices", machine.devices),
    ("memory and folders", machine.memory),
    ("memory and folders", machine.folders),
    ("self-test", machine.arithmetic),
    ("self-test", machine.pictures),
    ("datasets", health.datasets),
    ("models", health.checkpoints),
    ("caches", health.caches),
    (f"optional ({health.reinstall('NAME')})", health.extras),
    ("browser tests", health.browser),
)


def main(argv: Sequence[str]) -> None:
    """Parse, look, print; exit with 1 when there is a problem."""
    parser = argparse.ArgumentParser(  # it also works where tyro is missing, which is a finding
        prog="reidlab doctor",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(list(argv))
    findings = examine()
    print(as_json(findings) if options.json else as_text(findings))
    if any(finding.status == "problem" for finding in findings):
        raise SystemExit(1)


def examine() -> list[Finding]:
    """All findings, in the order in which they are printed."""
    return [finding for group, check in CHECKS for finding in guarded(group, check)]


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as JSON text, with the worst status first."""
    order = ("problem", "note", "ok")
    worst = min((finding.status for finding in findings), key=order.index, default="ok")
    return json.dumps({"status": worst, "findings": list(map(asdict, findings))}, indent=2)


def as_text(findings: Sequence[Finding], columns: int = 100) -> str:
    """Aligned lines below the headings; advice is indented, and a verdict comes last."""
    width = max((len(finding.name) for finding in findings), default=0)
    margin = " " * (width + 13)
    lines: list[str] = []
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            lines += ["", group]
        advice = [finding.advice] if finding.advice and finding.status != "ok" else []
        rows = textwrap.wrap(finding.value, columns - len(margin), break_on_hyphens=False)
        rows += [f"-> {line}" for line in advice]
        lines.append(f"  {finding.status:<7}  {finding.name:<{width}}  {rows[0]}")
        lines += [margin + row for row in rows[1:]]
    return "\n".join([*lines, "", verdict(findings)]).lstrip("\n")


def verdict(findings: Sequence[Finding]) -> str:
    """One sentence that sums up."""
    problems, notes = (sum(one.status == kind for one in findings) for kind in ("problem", "note"))
    noted = f"; {notes} note{'s' * (notes != 1)} above" if notes else ""
    if problems:
        return f"The course cannot run here yet: {problems} problem{'s' * (problems != 1)}{noted}."
    return f"The course can run here{noted}."
