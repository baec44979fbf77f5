"""What lies in a dataset's folder, before anybody judges it, and the judgement of the reader."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reidlab.data.benchmarks.facts import Benchmark
from reidlab.data.benchmarks.holdout import hold_out
from reidlab.data.packs import read_manifest
from reidlab.data.samples import DISTRACTOR, Sample, Splits, people

PARTS = ("train", "query", "gallery", "validation_query", "validation_gallery")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """The images of a dataset by part, with what is wrong and what is worth knowing.

    The reader raises at the first problem and logs the notes; `reidlab data check` shows all of
    both.

    Args:
        folder: the dataset.
        name: title in tables.
        parts: samples by part: "train", "query", "gallery", "validation_query" and
            "validation_gallery"; what a dataset lacks may be missing or empty.
        problems: what the reader refuses, each a full sentence that names the file or folder.
        notes: what the reader warns of, in the same manner.
        benchmark: facts on a public benchmark, None for a folder of one's own.
        labelled: False where nobody says who is who; every image then counts as a person.
    """

    folder: Path
    name: str
    parts: dict[str, list[Sample]]
    problems: list[str]
    notes: list[str]
    benchmark: Benchmark | None = None
    labelled: bool = True


def judge(scan: Scan, *, validation_ids: int = 0, test_ids: int = 0, seed: int = 0) -> Splits:
    """The splits of a dataset without problems.

    Args:
        scan: of the dataset's folder.
        validation_ids: training people to hold out for validation.
        test_ids: training people to hold out as query and gallery, taken before the others.
        seed: of the choice of these people.

    Raises:
        ValueError: the first problem, or people that cannot be held out.
    """
    if scan.problems:
        others = len(scan.problems) - 1
        more = f" ({others} more: `reidlab data check` lists them)" if others else ""
        raise ValueError(scan.problems[0] + more)
    parts = {part: scan.parts.get(part, []) for part in PARTS}
    if test_ids or validation_ids:
        _check_hold_out(scan, validation_ids, test_ids)
    if test_ids:
        held = hold_out(parts["train"], test_ids, seed, "test_ids")
        parts["train"], parts["query"], parts["gallery"] = held
    if validation_ids:
        held = hold_out(parts["train"], validation_ids, seed)
        parts["train"], parts["validation_query"], parts["validation_gallery"] = held
    for note in scan.notes:
        log.warning("%s", note)
    if scan.labelled and not parts["query"]:
        log.warning(
            "%s: nobody to search for; test_ids=N (--test-ids N) holds people out", scan.folder
        )
    elif scan.labelled and not parts["gallery"]:
        log.warning("%s: queries, but no gallery to search", scan.folder)
    return Splits(
        train=parts["train"],
        query=parts["query"],
        gallery=parts["gallery"],
        validation=(parts["validation_query"], parts["validation_gallery"]),
        name=scan.name,
        fingerprint="" if test_ids or validation_ids else _recorded_fingerprint(scan),
        labelled=scan.labelled,
    )


def _check_hold_out(scan: Scan, validation_ids: int, test_ids: int) -> None:
    option = "test_ids" if test_ids else "validation_ids"
    if not scan.labelled:
        raise ValueError(
            f"{scan.folder} is unlabelled: nobody says who is who, so nobody can be held out; "
            f"leave out {option}"
        )
    wanted = {
        "validation_query": ("validation folders", "validation_ids", validation_ids),
        "validation_gallery": ("validation folders", "validation_ids", validation_ids),
        "query": ("queries", "test_ids", test_ids),
        "gallery": ("a gallery", "test_ids", test_ids),
    }
    for part, (kind, option, count) in wanted.items():
        if count and scan.parts.get(part):
            raise ValueError(
                f"{scan.folder} has {kind} with {len(people(scan.parts[part]))} people already; "
                f"leave out {option}"
            )


def check_people(
    where: Mapping[str, object], parts: Mapping[str, Sequence[Sample]]
) -> tuple[list[str], list[str]]:
    """Problems and notes on who is in which part.

    Args:
        where: part -> its folder or file, for messages; parts that are absent or were complained
            of before are left out, and so passed over.
        parts: samples by part.
    """
    problems, notes = [], []
    shown = {part: people(parts.get(part, [])) for part in PARTS}
    if "train" in where and len(shown["train"]) < 2:
        problems.append(
            f"{where['train']} shows {len(shown['train'])} person in {len(parts['train'])} "
            "images; training needs two people or more: check the person ids"
        )
    if "query" in where and not shown["query"]:
        problems.append(f"{where['query']} holds distractors and junk only; no query")
    held_out = shown["validation_query"] | shown["validation_gallery"]
    for part in ("train", "query", "gallery"):
        if shared := held_out & shown[part]:
            problems.append(
                f"{where[part]}: {len(shared)} validation people are also in {part}, for instance "
                f"{min(shared)}; every person belongs to one side only"
            )
    if shared := shown["train"] & (shown["query"] | shown["gallery"]):
        notes.append(
            f"{where['train']}: {len(shared)} people, for instance {min(shared)}, are in training "
            "and test; scores will flatter"
        )
    return problems, notes


def drop_nobody(parts: dict[str, list[Sample]], where: object) -> list[str]:
    """Take distractors and junk out of what is learned and looked for; a note if there were any."""
    dropped = 0
    for part in ("train", "query", "validation_query"):
        own = parts.get(part, [])
        parts[part] = [sample for sample in own if sample.pid > DISTRACTOR]
        dropped += len(own) - len(parts[part])
    if not dropped:
        return []
    return [
        f"{where}: {dropped:,} images of person 0 or -1, that is distractors and junk as in "
        "Market-1501, are left out of training and queries; give them another number if they show "
        "a person"
    ]


def _recorded_fingerprint(scan: Scan) -> str:
    """The one in the dataset's manifest when the images are the recorded ones, else empty."""
    manifest = read_manifest(scan.folder) if scan.labelled else None
    if manifest is None:
        return ""
    parts = (scan.parts.get(part, []) for part in PARTS)
    names = [f"{s.path.parent.name}/{s.path.name}" for part in parts for s in part]
    complete = len(names) == len(manifest.rows) and all(name in manifest.rows for name in names)
    return manifest.content["fingerprint"] if complete else ""
