"""The same features under every protocol, side by side, from one pass over the distances."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from reidlab.embedding import Embeddings
from reidlab.evaluation.checks import check_whole
from reidlab.evaluation.multi import pool_queries, without_images
from reidlab.evaluation.protocols import Rule, measure
from reidlab.evaluation.record import COUNTS, Scores, aligned
from reidlab.evaluation.run import (
    check_sides,
    evaluate,
    has_valid,
    no_match,
    source_of,
    to_scores,
)

if TYPE_CHECKING:
    import pandas


SHARED = ("data", "valid queries")  # columns that often say the same in every row


@dataclass(frozen=True, eq=False, repr=False)
class ScoreTable(Sequence[Scores]):
    """Several `Scores`, one below the other: `print(table)` aligns them, notebooks draw them.

    Args:
        rows: at least one.
        notes: what was changed or left out and why, printed below the rows.

    Raises:
        ValueError: no rows.
    """

    rows: tuple[Scores, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to show."""
        if not self.rows:
            raise ValueError("expected at least one row of scores, got none")

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Scores: ...
    @overload
    def __getitem__(self, index: slice) -> ScoreTable: ...
    def __getitem__(self, index: int | slice) -> Scores | ScoreTable:
        """One row, or a table of some rows."""
        rows = self.rows[index]
        return rows if isinstance(rows, Scores) else ScoreTable(rows, self.notes)

    def __iter__(self) -> Iterator[Scores]:
        """The rows in order."""
        return iter(self.rows)

    def __repr__(self) -> str:
        """The table itself, so that a console shows it too."""
        return str(self)

    def __str__(self) -> str:
        """Protocol, what is ranked, form of AP and figures, in aligned columns."""
        cells, lines = self._told_once()
        return "\n".join([aligned(cells), *lines])

    def _repr_html_(self) -> str:
        """The same table for notebooks."""
        cells, lines = self._told_once()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in cells[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row.values()) + "</tr>"
            for row in cells
        )
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def _told_once(self) -> tuple[list[dict[str, str]], list[str]]:
        """The rows without what all of them share, and the lines below: that, and the notes."""
        cells = self._cells()
        first = cells[0].items() if len(cells) > 1 else ()
        shared = {
            name: text
            for name, text in first
            if name in SHARED and all(row[name] == text for row in cells)
        }
        rows = [{n: t for n, t in row.items() if n not in shared} for row in cells]
        once = ", ".join(f"{name}: {text}" for name, text in shared.items())
        return rows, [*([once] if once else []), *self.notes]

    def frame(self) -> pandas.DataFrame:
        """A DataFrame with a row per protocol: its name and settings, data, figures in [0, 1]."""
        import pandas

        return pandas.DataFrame(
            {
                "protocol": scores.protocol,
                "label": scores.label,
                "counts": COUNTS.get(scores.protocol, "-"),
                "ap": scores.ap,
                "source": scores.source,
                **scores.figures(),
                "valid_queries": scores.num_valid_queries,
                "queries": len(scores.per_query.ap),
                **{name: getattr(scores, name) for name in ("k", "relevant", "repeats", "seed")},
            }
            for scores in self.rows
        )

    def _cells(self) -> list[dict[str, str]]:
        """The text of every row, with what its protocol ranks after its name."""
        rows = [(scores.cells(), COUNTS.get(scores.protocol, "-")) for scores in self.rows]
        return [
            {"protocol": cells.pop("protocol"), "what is ranked": counts, **cells}
            for cells, counts in rows
        ]


def compare_protocols(
    query: Embeddings,
    gallery: Embeddings,
    *,
    distance: Any = None,
    extra: Embeddings | None = None,
    k: tuple[int, int] = (10, 80),
    ap: str = "plain",
    ranks: int = 50,
    repeats: int = 10,
    seed: int = 0,
) -> ScoreTable:
    """The same features under every protocol: how far apart the figures are that people compare.

    Rows: "market" in both forms of AP, "no-camera-filter", "top-k" over the hits found and over all
    images of the person, "single-gallery-shot", and "market" with several images per query when
    `extra` is given. `evaluate` describes the protocols.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        distance: (Q, G) to rank by, as for `evaluate`.
        extra: further images of the queries for `pool_queries`; needs a second pass.
        k: places of the list whose AP is over the hits found (10: LA-Transformer's notebook), and
            of the one whose AP is over all images (80: lists of the course report). A list longer
            than the gallery is shortened, with a note.
        ap: form of the average precision of all rows but one of the two of "market".
        ranks: entries of the CMC curves.
        repeats: draws of "single-gallery-shot".
        seed: of these draws.

    Returns:
        One row per protocol. A protocol under which no query has a match is left out with a note,
        as for images of one camera. Time: one pass over the distances; memory as `evaluate`.

    Raises:
        ValueError: as `evaluate`; a `k` that is not two lengths; no query has a match under any
            camera; both `distance` and `extra`, or an `extra` that shows no query.
    """
    check_sides(query, gallery, ap, ranks)
    if distance is not None and extra is not None:
        raise ValueError("extra pools features, distance replaces them; give one of the two")
    pooled = None if extra is None else pool_queries(query, extra)  # complains before the work
    lists, notes = _lists(k, len(gallery))
    rules = [Rule(), Rule("no-camera-filter"), *lists]
    rules.append(Rule("single-gallery-shot", repeats=repeats, seed=seed))
    results = measure(query, gallery, distance, rules)
    if not has_valid(results[1]):
        raise ValueError(no_match(query, gallery, "no-camera-filter"))
    length, source = min(ranks, len(gallery)), source_of(query, gallery)
    rows = []
    for rule, measured in zip(rules, results, strict=True):
        if not has_valid(measured):
            notes.append(f"{rule.protocol} left out: no query has a match under another camera")
            continue
        forms = ("plain", "trapezoid") if rule.protocol == "market" else (ap,)
        rows += [to_scores(rule, measured, form, length, source) for form in forms]
    if extra is not None and pooled is not None:
        if has_valid(results[0]):
            scores = evaluate(pooled, gallery, ap=ap, ranks=ranks)
            rows.append(replace(scores, source=source, detail="multi-query"))
            if alone := without_images(query, extra):
                notes.append(
                    f"multi-query: {alone} of {len(query)} queries have no further image and ask "
                    "with their own"
                )
        else:
            notes.append("multi-query left out as well, for it follows market")
    return ScoreTable(tuple(rows), tuple(notes))


def _lists(lengths: Sequence[int], gallery: int) -> tuple[list[Rule], list[str]]:
    """The two rules of "top-k", shortened to the gallery, and a note on each that was."""
    if not hasattr(lengths, "__len__") or len(lengths) != 2:
        raise ValueError(
            "expected k=(over hits found, over all images), two lengths such as (10, 80), got "
            f"{lengths!r}"
        )
    rules, notes = [], []
    for asked, relevant in zip(lengths, ("found", "all"), strict=True):
        check_whole("k", asked)  # before a gallery of fewer images takes its place
        rule = Rule("top-k", min(asked, gallery), relevant)
        rule.check_size(gallery)
        rules.append(rule)
        if asked > gallery:
            notes.append(f"top-{asked} shortened to top-{gallery}, the size of the gallery")
    return rules, notes
