"""Embeddings as a map: t-SNE of a few people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from reidlab.data.samples import DISTRACTOR
from reidlab.embedding import Embeddings
from reidlab.plots.page import GREY, PageFigure, new_page, styled

# After Paul Tol's muted scheme; beyond ten people the colours repeat, the numbers do not.
PEOPLE = (
    "#332288",
    "#EE7733",
    "#117733",
    "#33A7D8",
    "#882255",
    "#000000",
    "#44AA99",
    "#CC6677",
    "#999933",
    "#AA4499",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d", "8", "H")
SIZES = {"s": 34, "^": 46, "v": 46, "D": 32, "*": 72, "P": 52, "X": 52}  # look alike in area


@styled
def tsne(
    embeddings: Embeddings,
    *,
    people: int = 10,
    max_points: int = 1000,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """A t-SNE map of the images of ten people: colour and number say who, the marker which camera.

    Features are L2-normalised first, as in the ranking. Only neighbourhoods mean something on such
    a map: distances between groups, and their sizes, do not.

    Args:
        embeddings: N images; distractors and junk are left out.
        people: how many, drawn at random among those with two images or more.
        max_points: images at most, drawn at random.
        seed: of both draws and of t-SNE.
        title: shown above.

    Raises:
        ValueError: fewer than five images of real people, features narrower than 2, or an argument
            below 1.

    Source: van der Maaten and Hinton 2008, "Visualizing Data using t-SNE" (JMLR 9).
    """
    _check_counts(people, max_points)
    page = new_page(6.2)
    axes = page.add_axes((0.015, 0.02, 0.85, 0.92 if title else 0.96))
    rows = choose_points(embeddings, people, max_points, seed)
    _draw_legends(page, *_map(axes, embeddings[rows], seed, title))
    return page


@styled
def tsne_beside(
    embeddings: Mapping[str, Embeddings],
    *,
    people: int = 10,
    max_points: int = 1000,
    seed: int = 0,
) -> Figure:
    """The t-SNE maps of two networks side by side: the same images, people and colours in both.

    Every map is made on its own, so where a group lies says nothing, only how tight and how apart
    groups are.

    Args:
        embeddings: title -> the same N images in the same order; two networks.
        people: how many, drawn at random among those with two images or more.
        max_points: images at most, drawn at random.
        seed: of both draws and of t-SNE.

    Raises:
        ValueError: other than two networks, or different images; as `tsne`.
    """
    _check_counts(people, max_points)
    if len(embeddings) != 2:
        raise ValueError(f"expected the features of two networks, got {len(embeddings)}")
    first, second = embeddings.values()
    same = len(first) == len(second) and first.pids.cpu().equal(second.pids.cpu())
    if not same or first.paths != second.paths:
        raise ValueError("expected the same images in the same order for both networks")
    page = new_page(4.9)
    rows = choose_points(first, people, max_points, seed)
    legend = None
    for left, (title, own) in zip((0.015, 0.445), embeddings.items(), strict=True):
        axes = page.add_axes((left, 0.02, 0.42, 0.9))
        legend = _map(axes, own[rows], seed, title)
    if legend is not None:
        _draw_legends(page, *legend)
    return page


def _check_counts(people: int, max_points: int) -> None:
    if people < 1 or max_points < 1:
        raise ValueError(f"expected counts of at least 1, got {people=} and {max_points=}")


def _map(
    axes: Axes, chosen: Embeddings, seed: int, title: str
) -> tuple[dict[int, str], dict[int, str]]:
    """Project and draw the chosen images; the colours of people and the markers of cameras."""
    pids, camids = chosen.pids.cpu().numpy(), chosen.camids.cpu().numpy()
    points = project(chosen.normalized().features.float().cpu().numpy(), seed)
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    axes.margins(0.06)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#CCCCCC")
    cameras = {camid: MARKERS[i % len(MARKERS)] for i, camid in enumerate(np.unique(camids))}
    colours = {pid: PEOPLE[i % len(PEOPLE)] for i, pid in enumerate(np.unique(pids))}
    _draw_points(axes, points, pids, camids, colours, cameras)
    _name_groups(axes, points, pids, colours)
    return colours, cameras


def choose_points(embeddings: Embeddings, people: int, max_points: int, seed: int) -> NDArray:
    """Positions of the images to show, sorted: real people with two images or more."""
    pids = embeddings.pids.cpu().numpy()
    found, counts = np.unique(pids[pids > DISTRACTOR], return_counts=True)
    generator = np.random.default_rng(seed)
    several = found[counts > 1]
    shown = generator.permutation(several)[:people]
    rows = np.flatnonzero(np.isin(pids, shown))
    rows = np.sort(generator.permutation(rows)[:max_points])
    if len(rows) < 5 or embeddings.features.shape[1] < 2:
        raise ValueError(
            "a map needs at least five images of people seen twice and features of width 2 or "
            f"more, got {len(rows)} images of width {embeddings.features.shape[1]}"
        )
    return rows


def project(features: NDArray, seed: int) -> NDArray:
    """Unit features (N, D) -> t-SNE coordinates (N, 2); the perplexity follows N down."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    model = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1)
    return model.fit_transform(features)


def _draw_points(
    axes: Axes,
    points: NDArray,
    pids: NDArray,
    camids: NDArray,
    colours: dict[int, str],
    cameras: dict[int, str],
) -> None:
    for camid, marker in cameras.items():
        here = camids == camid
        axes.scatter(
            *points[here].T,
            c=[colours[pid] for pid in pids[here]],
            marker=marker,
            s=SIZES.get(marker, 38),
            linewidths=0.6,
            edgecolors="white",
        )


def _name_groups(axes: Axes, points: NDArray, pids: NDArray, colours: dict[int, str]) -> None:
    """Each person's number above the core of that person's images, under the points."""
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    for pid, colour in colours.items():
        own = points[pids == pid]
        spread = np.linalg.norm(own - np.median(own, axis=0), axis=1)
        core = own[spread <= 2 * np.median(spread)]
        axes.annotate(
            str(pid),
            (np.median(core[:, 0]), core[:, 1].max()),
            xytext=(0, 5),
            zorder=1.5,
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=12,
            fontweight="bold",
            path_effects=halo,
        )


def _draw_legends(page: PageFigure, colours: dict[int, str], cameras: dict[int, str]) -> None:
    def handle(marker: str, colour: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, ms=7.5, label=label)

    who = [handle("o", colour, str(pid)) for pid, colour in colours.items()][:20]
    where = [handle(marker, GREY, str(camid)) for camid, marker in cameras.items()][:20]
    top = page.axes[0].get_position().y1
    place = {"loc": "upper left", "alignment": "left", "handletextpad": 0.3, "borderaxespad": 0}
    for handles, name, y in ((who, "person", top), (where, "camera", top - 0.5)):
        columns = 2 if len(handles) > 10 else 1
        page.legend(handles=handles, title=name, ncols=columns, bbox_to_anchor=(0.88, y), **place)
