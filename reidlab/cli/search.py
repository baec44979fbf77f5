"""`reidlab search --query CROP --gallery FOLDER --model RUN`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from reidlab.checkpoints import load_model, read_card
from reidlab.cli import complain
from reidlab.cli.official import Unseen
from reidlab.cli.parsing import parse
from reidlab.paths import atomic_write, data_root, make_folder, whole_file
from reidlab.ranking import Ranking
from reidlab.ranking.images import FILES, hit_rows, search_images
from reidlab.ranking.index.files import is_index
from reidlab.ranking.index.origin import weights_digest

EXAMPLES = """
  reidlab search --query crop.jpg --gallery my_crops --model run
  reidlab search --query a.jpg b.jpg --gallery my_crops --model run --k 20 --out found/today
  reidlab search --query crop.jpg --gallery gallery.parquet --model run
  reidlab search --query people/query/0301_c1s1_000001_00.jpg --gallery people --model run \\
      --other-cameras --where backpack=yes up_color=red

In Python: hits = reidlab.ranking.images.search_images("run", "crop.jpg", "my_crops"), then
reidlab.plots.gallery_strip(hits).
"""
COLUMNS = ("query", "place", "path", "distance", "similarity", "pid", "camid")
ROWS, PLACES = 8, 10  # of the picture, at most
FIRST = 5  # hits of a query that are printed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """Find the images in a gallery that are most like a query image.

    Writes a picture of the first hits (PNG) and a table of all of them (CSV). The features of a
    folder of crops are kept in an index, so that the next search embeds only images that are new or
    changed. A folder laid out like a benchmark keeps its persons and cameras.
    """

    query: tuple[Path, ...]
    """Image files to look for."""
    gallery: Path
    """A folder of crops, a benchmark's folder, a CSV, a file of `reidlab embed`, or an index."""
    model: Path
    """Folder of a training run, a .safetensors file, or the name of a shipped checkpoint."""
    k: int = 10
    """Hits per query; a smaller gallery gives all it has."""
    out: Path = Path("hits")
    """Name of picture and table without ending, or a folder for them."""
    index: Path | None = None
    """Folder for the index of a folder of crops; by default one in the cache of reidlab."""
    camera: tuple[int, ...] = ()
    """Search only images of these cameras."""
    other_cameras: bool = False
    """Leave out images of the query's own camera, where it is known."""
    where: tuple[str, ...] = ()
    """Search only images with these attributes, as NAME=VALUE, where the gallery has some."""
    unlabelled: bool = False
    """Take all images of the folder, whatever it looks like, and no labels."""
    flip: Literal["recipe", "yes", "no"] = "recipe"
    """Average the features of image and mirror; recipe is what gallery or model say."""
    neck: Literal["before", "after"] | None = None
    """Side of the neck; by default the one the method publishes."""
    unseen: Unseen | None = None
    """Of a network that was told cameras, where those of query or gallery are others or unknown:
    all images get the mean of its cameras, or none; error: they are the same cameras."""
    batch_size: int = 128
    """Images per step."""
    device: str | None = None
    """None: CUDA, then MPS, then the CPU."""
    on_error: Literal["raise", "skip"] = "raise"
    """Refuse bad images of the gallery, or leave them out with a warning."""


def main(argv: Sequence[str]) -> None:
    """Parse, search, write, print."""
    options = parse(Search, "search", argv, examples=EXAMPLES)
    picture, table = _targets(options)
    where = _where(options.where)
    try:
        model, flip, index = _plan(options)
        hits = search_images(
            model,
            options.query,
            options.gallery,
            options.k,
            index=index,
            cameras=options.camera or None,
            other_cameras=options.other_cameras,
            where=where,
            unlabelled=options.unlabelled,
            flip=flip,
            neck=options.neck,
            unseen=options.unseen,
            batch_size=options.batch_size,
            device=options.device,
            on_error=options.on_error,
            progress=sys.stderr.isatty(),
        )
        rows = hit_rows(hits)
        atomic_write(table, as_csv(rows).encode(errors="surrogateescape"))
        drawn = _draw(hits, picture)
    except KeyboardInterrupt:
        complain(
            "interrupted; an index that was there is as it was, and the same command starts again",
            130,
        )
        return
    lines = [as_text(rows), f"table:   {printable(table)}"]
    if drawn:
        lines.append(f"picture: {printable(picture)}" + _left_out(hits))
    if index is not None:
        lines.append(f"index:   {printable(index)}")
    encoding = sys.stdout.encoding or "utf-8"  # a terminal may lack letters of a name
    print("\n".join(lines).encode(encoding, "backslashreplace").decode(encoding))


def _targets(options: Search) -> tuple[Path, Path]:
    """Picture and table; complains before the work, not after it."""
    out = options.out.expanduser()
    base = out / "hits" if out.is_dir() else out
    if base.suffix.lower() in (".png", ".csv"):
        base = base.with_suffix("")
    picture, table = base.with_name(base.name + ".png"), base.with_name(base.name + ".csv")
    for target in (picture, table):
        if target.is_dir():
            raise ValueError(f"{target} is a folder; choose another --out")
        _spare_inputs(target, options)
    if os.path.lexists(table) and not _is_ours(table):
        raise ValueError(f"{table} is no table of `reidlab search`; choose another --out")
    if os.path.lexists(picture) and not os.path.lexists(table):
        raise ValueError(
            f"{picture} is there without a table of `reidlab search` beside it, so it may be no "
            "picture of such hits; choose another --out, or remove it"
        )
    make_folder(base.parent)
    return picture, table


def _spare_inputs(target: Path, options: Search) -> None:
    """Raise if writing `target` would replace a query, or change the gallery or the index."""
    names = {target.resolve(), target.parent.resolve() / target.name}  # of a link: both ends
    for query in options.query:
        if query.expanduser().resolve() in names:
            raise ValueError(f"{target} is a query; choose an --out elsewhere")
    for word, given in (("gallery", options.gallery), ("index", options.index)):
        if given is None:
            continue
        place = given.expanduser().resolve()
        if place in names:
            raise ValueError(f"{target} is the {word}; choose an --out elsewhere")
        if any(place in name.parents for name in names):
            raise ValueError(f"{target} lies in the {word} {given}; choose an --out elsewhere")


def _is_ours(table: Path) -> bool:
    """Whether a file begins like a table of an earlier search."""
    head = ",".join(COLUMNS).encode() + b"\n"
    try:
        with table.open("rb") as file:
            return file.read(len(head)) == head
    except OSError:  # a file that cannot be read, or a link to nowhere
        return False


def _where(words: Sequence[str]) -> dict[str, list[str]]:
    """`hat=yes hat=no` as {"hat": ["yes", "no"]}."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--where {word}: expected NAME=VALUE, such as hat=yes")
        found.setdefault(name, []).append(value)
    return found


def _plan(options: Search) -> tuple[nn.Module | Path, bool | None, Path | None]:
    """The model, whether to flip (None for what gallery or model say), and the index's folder.

    The folder is None for a gallery that has its features, or that is not there.
    """
    flip = None if options.flip == "recipe" else options.flip == "yes"
    gallery = options.gallery.expanduser()
    has_features = gallery.suffix in FILES or (gallery.is_dir() and is_index(gallery))
    if has_features and options.index is not None:
        raise ValueError(f"--index is for a folder of crops; {gallery} holds features already")
    if options.index is not None:
        return options.model, flip, options.index.expanduser()
    if has_features or not gallery.exists():
        return options.model, flip, None
    model, _ = load_model(options.model)
    flip = bool(read_card(options.model).get("flip", False)) if flip is None else flip
    index = default_index(gallery, model, flip, options.neck, options.unseen)
    told = getattr(model, "sides", None) is not None  # then its card says which cameras it knows
    return (options.model if told else model), flip, index


def default_index(
    gallery: Path, model: nn.Module, flip: bool, neck: str | None, unseen: str | None = None
) -> Path:
    """A folder in the cache for this gallery, these weights and these settings."""
    decisive = [str(gallery.resolve()), weights_digest(model), flip, neck]
    decisive += [] if unseen is None else [unseen]
    digest = hashlib.sha256(json.dumps(decisive).encode(errors="surrogateescape")).hexdigest()[:12]
    return data_root() / "cache" / "search" / f"{gallery.resolve().name[:40]}-{digest}"


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The hits with a header; empty where a person or a camera is unknown."""
    lines = [_csv_line(COLUMNS)]
    for row in rows:
        numbers = {name: f"{row[name]:.6f}" for name in ("distance", "similarity")}
        lines.append(_csv_line([(row | numbers)[name] for name in COLUMNS]))
    return "".join(lines)


def _csv_line(values: Sequence[Any]) -> str:
    """Fields of one row; a name with either kind of line end is quoted, which needs both here."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().removesuffix("\r\n") + "\n"


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """The first hits of each query as a small table."""
    known = any(row["camid"] is not None for row in rows)
    lines = []
    for row in rows:
        if row["place"] == 1:
            lines += ["", printable(row["query"])] if lines else [printable(row["query"])]
            lines.append("  place  similarity  " + ("person  camera  " if known else "") + "image")
        if row["place"] <= FIRST:
            person = "-" if row["pid"] is None else row["pid"]
            camera = "-" if row["camid"] is None else row["camid"]
            labels = f"{person:>6}  {camera:>6}  " if known else ""
            path = printable(row["path"])
            lines.append(f"  {row['place']:>5}  {row['similarity']:>10.3f}  {labels}{path}")
    return "\n".join(lines)


def printable(name: object) -> str:
    """A name in one line: line ends, control characters and bytes that are no UTF-8 as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def _draw(hits: Ranking, picture: Path) -> bool:
    """The picture of the first hits; False when the gallery knows no image files that are here."""
    from matplotlib.text import Text

    from reidlab.plots import gallery_strip

    queries = range(min(ROWS, len(hits)))
    shown = {g for q in queries for g in hits.order[q, :PLACES].tolist()}
    missing = [g for g in shown if not hits.gallery.paths or not _is_file(hits.gallery.paths[g])]
    if missing:
        log.warning(
            "no picture: %d of %d images of the gallery to show are not here; put them back, or "
            "search the folder of images itself",
            len(missing),
            len(shown),
        )
        return False
    figure = gallery_strip(hits, queries=queries, k=PLACES)
    for text in figure.findobj(Text):  # of names that no font can show, or that look like formulas
        if isinstance(text, Text):
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
            text.set_parse_math(False)
    with whole_file(picture) as beside:
        figure.savefig(beside, format="png", dpi=150)
    return True


def _is_file(path: Any) -> bool:
    return Path(path).is_file()


def _left_out(hits: Ranking) -> str:
    return f" (the first {ROWS} of {len(hits)} queries)" if len(hits) > ROWS else ""
