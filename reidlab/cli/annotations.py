"""Attributes for the people of a dataset, from a file that is named or lies beside the images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from reidlab.data.annotation import annotate
from reidlab.data.attributes import AttributeTable, read_attributes
from reidlab.data.market import ATTRIBUTE_TABLES, ATTRIBUTES
from reidlab.data.packs import read_manifest
from reidlab.data.samples import DISTRACTOR, Sample, Splits

Part = Literal["train", "validation", "query", "gallery"]
Unused = Literal["raise", "ignore"]


def annotated(
    splits: Splits,
    named: AttributeTable | None,
    needed: Collection[Part],
    unused: Unused = "raise",
) -> Splits:
    """The dataset with the attributes of a table.

    Args:
        splits: as it was read.
        named: the table; None takes what lies in the dataset's folder, `market_attribute.mat` or
            the course's CSV files.
        needed: parts whose people must all be annotated; of other parts those who are.
        unused: what to do with people of the table without an image in any part.

    Raises:
        ValueError: a damaged table (file, row and column are named), a needed image whose person is
            not in it, a person of the table without an image, or no table at all.
    """
    table = _beside(splits) if named is None else named
    if table is not None:
        everyone = [*splits.train, *splits.query, *splits.gallery]
        everyone += [*splits.validation[0], *splits.validation[1]]
        annotate([s for s in everyone if s.pid in table], table, unused=unused)
        query, gallery = splits.validation
        splits = replace(
            splits,
            train=_labelled(splits.train, table, "train" in needed),
            query=_labelled(splits.query, table, "query" in needed),
            gallery=_labelled(splits.gallery, table, "gallery" in needed),
            validation=(
                _labelled(query, table, "validation" in needed),
                _labelled(gallery, table, "validation" in needed),
            ),
        )
    for part in needed:
        _check(splits, part)
    return splits


def _labelled(samples: list[Sample], table: AttributeTable, needed: bool) -> list[Sample]:
    """The samples with labels; where not all are needed, those without stay as they are."""
    if needed:
        return annotate(samples, table, unused="ignore")
    return [replace(s, attributes=dict(table[s.pid])) if s.pid in table else s for s in samples]


def _beside(splits: Splits) -> AttributeTable | None:
    """The table in the dataset's folder; None where there is none, or a manifest says it all."""
    every = [*splits.train, *splits.query, *splits.gallery]
    folder = every[0].path.parent.parent if every else Path()
    if not every or read_manifest(folder) is not None:
        return None
    files = [folder / ATTRIBUTES] if (folder / ATTRIBUTES).is_file() else []
    files = files or [folder / name for name in ATTRIBUTE_TABLES if (folder / name).is_file()]
    if not files:
        return None
    tables = [read_attributes(file) for file in files]
    if len(tables) == 1:
        return tables[0]
    for i, table in enumerate(tables):
        for other in tables[:i]:
            if twice := sorted(set(table) & set(other)):
                raise ValueError(
                    f"{table.place(twice[0])}: person {twice[0]} also stands in "
                    f"{other.place(twice[0])}; every person belongs to one table"
                )
    rows = {pid: row for table in tables for pid, row in table.rows.items()}
    places = {pid: place for table in tables for pid, place in table.places.items()}
    return AttributeTable(rows, f"the tables in {folder}", places=places)


def _check(splits: Splits, part: Part) -> None:
    """Raise when nobody says which attributes the people of a part have."""
    parts: dict[Part, Sequence[Sample]] = {
        "train": splits.train,
        "query": splits.query,
        "gallery": splits.gallery,
        "validation": [*splits.validation[0], *splits.validation[1]],
    }
    bare = [s for s in parts[part] if s.pid > DISTRACTOR and s.attributes is None]
    if bare:
        tables = " or ".join(ATTRIBUTE_TABLES)
        raise ValueError(
            f"{bare[0].path}: nobody says which attributes person {bare[0].pid} has, nor those on "
            f"{len(bare) - 1:,} other images of {splits.name} ({part}); put {ATTRIBUTES} or "
            f"{tables} into the dataset's folder, or name a file with --annotations FILE"
        )
