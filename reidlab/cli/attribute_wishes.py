"""The part of `reidlab attributes` that ranks images by wishes: `--find "red top, backpack"`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from reidlab.cli.attribute_output import (
    FIRST,
    Row,
    known,
    say,
    write_json,
    write_picture,
    write_table,
)
from reidlab.cli.search import printable
from reidlab.embedding.attributes import AttributePredictions
from reidlab.plots.wishes import attribute_gallery, fulfils, instead
from reidlab.ranking.attributes import AttributeRanking, rank_by_attributes

ROWS = 8  # of the picture, at most


def find(
    predictions: AttributePredictions,
    wishes: Sequence[str],
    k: int,
    targets: dict[str, Path],
    truth: Mapping[str, Tensor] | None = None,
) -> None:
    """Print the k best images of each wish, write what the flags ask for."""
    ranking = rank_by_attributes(predictions, list(wishes), min(k, len(predictions)))
    rows = hit_rows(ranking, truth or {})
    if "csv" in targets:
        flat = [{name: cell for name, cell in row.items() if name != "attributes"} for row in rows]
        write_table(targets["csv"], flat)
    if "json" in targets:
        write_json(targets["json"], rows)
    if "out" in targets:
        shown = range(min(ROWS, len(ranking.order)))
        figure = attribute_gallery(ranking, truth=truth, wishes=shown, k=k)
        write_picture(figure, targets["out"])
    names = {"out": "picture", "csv": "table", "json": "json"}
    lines = [_as_text(rows), *(f"{names[flag]}: {printable(p)}" for flag, p in targets.items())]
    say("\n".join(lines))


def hit_rows(ranking: AttributeRanking, truth: Mapping[str, Tensor]) -> list[Row]:
    """A row per hit: wish, place, path, person, probability, and whether the person has it all.

    `right` is None where nobody says it, `instead` says what the person has otherwise, and
    `attributes` the probability of each wanted one.
    """
    predictions, rows = ranking.predictions, []
    for q, wish in enumerate(ranking.wishes):
        hits = zip(ranking.order[q].tolist(), ranking.score[q].tolist(), strict=True)
        chances = {head: values.tolist() for head, values in ranking.chances(q).items()}
        for place, (g, score) in enumerate(hits, start=1):
            rows.append(
                {
                    "wish": str(wish),
                    "place": place,
                    "path": str(predictions.paths[g]),
                    "pid": known(predictions.pids[g]),
                    "probability": round(score, 6),
                    "right": fulfils(wish.wanted, truth, g),
                    "instead": ", ".join(instead(wish.wanted, truth, g)),
                    "attributes": {head: round(p[place - 1], 6) for head, p in chances.items()},
                }
            )
    return rows


def _as_text(rows: Sequence[Row]) -> str:
    """The hits of each wish as a small table."""
    judged = any(row["right"] is not None for row in rows)
    lines = []
    for row in rows:
        if row["place"] == 1:
            lines += [""] if lines else []
            head = f"{'person':<24}  " if judged else ""
            lines += [row["wish"], f"  place  probability  {head}image"]
        if row["place"] <= FIRST:
            said = {True: "has it all", False: row["instead"], None: "-"}[row["right"]]
            person = f"{said:<24}  " if judged else ""
            place = f"  {row['place']:>5}  {row['probability']:>11.3f}  "
            lines.append(f"{place}{person}{printable(row['path'])}")
        elif row["place"] == FIRST + 1:
            lines.append("  ...")
    return "\n".join(lines)
