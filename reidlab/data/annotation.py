"""Images and a table of people -> the same images, labelled with the attributes of their people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from reidlab.data.attributes import AttributeTable
from reidlab.data.heads import Labels
from reidlab.data.samples import DISTRACTOR, Sample, Samples, cameras_of, people, views_of

SHOWN = 5  # people that a message names


def annotate(
    samples: Sequence[Sample],
    table: AttributeTable | Mapping[int, Labels],
    *,
    unused: Literal["raise", "ignore"] = "raise",
    missing: Literal["raise", "skip"] = "raise",
) -> Samples:
    """The samples in their order, each with the labels of its person; cameras and name are kept.

    Distractors and junk (person 0 and -1) show nobody whom a table could know and stay as they
    are. Labels that a sample had are replaced.

    Args:
        samples: images, for instance `splits.train`.
        table: person id -> column -> code, as `read_attributes` gives it.
        unused: what to do with people of the table without any image: "raise", or "ignore" where
            the table is for more than these samples, such as both parts of `market_attribute.mat`.
        missing: what to do with images of people who are not in the table: "raise", or "skip" to
            leave them out.

    Raises:
        ValueError: an image shows somebody who is not in the table, the table has somebody without
            an image, labels are not valid, or an unknown choice. The message names image and
            person, or file, row and column.
    """
    _check_choice("unused", unused, ("raise", "ignore"))
    _check_choice("missing", missing, ("raise", "skip"))
    if not isinstance(table, AttributeTable):
        table = AttributeTable({pid: dict(labels) for pid, labels in table.items()})
    strangers = [s for s in samples if s.pid > DISTRACTOR and s.pid not in table]
    if strangers and missing == "raise":
        raise ValueError(_on_strangers(strangers, table))
    unseen = sorted(set(table) - people(samples))
    if unseen and unused == "raise":
        raise ValueError(_on_unseen(unseen, table))
    labels = {pid: dict(row) for pid, row in table.items()}
    found = [
        replace(sample, attributes=labels[sample.pid]) if sample.pid in labels else sample
        for sample in samples
        if sample.pid <= DISTRACTOR or sample.pid in labels
    ]
    source = getattr(samples, "source", "")
    return Samples(found, cameras_of(samples), source, views_of(samples))


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; expected one of: {', '.join(known)}")


def _on_strangers(strangers: Sequence[Sample], table: AttributeTable) -> str:
    """What to say on images of people who are not in the table."""
    pids = sorted(people(strangers))
    where = table.source or "the table"
    return (
        f"{strangers[0].path}: person {strangers[0].pid} is not among the {len(table):,} people of "
        f"{where}. {_some(pids)} with {len(strangers):,} images lack a row; add one for each "
        "(column id and the 27 attributes), or leave their images out (in Python missing='skip')"
    )


def _on_unseen(unseen: Sequence[int], table: AttributeTable) -> str:
    """What to say on people of the table without an image."""
    return (
        f"{table.place(unseen[0])}: person {unseen[0]} is in none of the images. {_some(unseen)} "
        "have a row but no image; if the table is for more images than these say "
        "unused='ignore' (--unused ignore), else remove the rows or get the images"
    )


def _some(pids: Sequence[int]) -> str:
    """`7 people (2, 5, 11, 12, 13, ...)`."""
    named = ", ".join(map(str, pids[:SHOWN])) + (", ..." if len(pids) > SHOWN else "")
    return f"{len(pids):,} {'person' if len(pids) == 1 else 'people'} ({named})"
