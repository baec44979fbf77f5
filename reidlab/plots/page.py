"""What all pictures share: page width, colours, fonts, and a Figure that notebooks show once."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reidlab.data.images import read_image

Pixels = NDArray[np.uint8]

WIDTH = 9.0  # inches; at 100 pixels per inch a page of 900 pixels
DPI = 100

# Okabe and Ito's palette: told apart with any common colour blindness.
BLUE, VERMILLION, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
ORANGE, PURPLE, BLACK = "#E69F00", "#CC79A7", "#222222"
GREY, PALE = "#6F6F6F", "#ECECEC"
INKS = (BLUE, VERMILLION, BLACK, GREY)  # of frames and text
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)

STYLE: Any = {
    "figure.dpi": DPI,
    "figure.figsize": (WIDTH, 4.0),
    "figure.facecolor": "white",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "text.color": BLACK,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 10.5,
    "axes.labelcolor": BLACK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {[*CYCLE]!r})",
    "grid.color": PALE,
    "grid.linewidth": 1.0,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "lines.linewidth": 2.0,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` in the course's style, whatever matplotlib is set to; restored afterwards."""
    return rc_context(STYLE)(draw)


class PageFigure(Figure):
    """A Figure that renders itself in a notebook, in every front end and without a back end.

    Drawn at `sharpness` times the page's resolution for fine screens, and stored with 256 colours:
    a third of the size of a full-colour PNG, so that notebooks with pictures stay light.
    """

    sharpness: float = 2.0

    def _ipython_display_(self) -> None:
        """Show the picture; IPython asks this first, before pyplot's own way with figures."""
        from IPython.display import display

        width, height = (round(inches * DPI) for inches in self.get_size_inches())
        bundle = {"image/png": self.png(), "text/plain": f"<Figure {width}x{height}>"}
        display(bundle, raw=True, metadata={"image/png": {"width": width, "height": height}})

    def png(self) -> bytes:
        """The picture as a PNG file with a palette."""
        drawn = io.BytesIO()
        self.savefig(drawn, format="png", dpi=DPI * self.sharpness)
        stored = io.BytesIO()
        reduce_colours(Image.open(drawn).convert("RGB")).save(stored, format="png", optimize=True)
        return stored.getvalue()


def reduce_colours(picture: Image.Image) -> Image.Image:
    """`picture` with a palette of 256: most from the picture, the rest for paper and ink.

    Without the second part a thin line of text among photographs would borrow their colours.
    """
    inks = [(255, 255, 255), *((v, v, v) for v in range(160, 250, 12))]  # paper, greyed images
    inks += [tint for ink in INKS for tint in _tints(ink)]
    found = picture.quantize(256 - len(inks), Image.Quantize.FASTOCTREE).getpalette("RGB") or []
    common = np.array(found).reshape(-1, 3)
    apart = (
        np.abs(common[:, None] - np.array(inks)).max(axis=2) > 12
    )  # Pillow may confuse nearer ones
    palette = Image.new("P", (1, 1))
    palette.putpalette([*np.ravel(inks).tolist(), *common[apart.all(axis=1)].ravel().tolist()])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _tints(ink: str) -> list[tuple[int, int, int]]:
    """`ink` blended into white in four steps, as at the edges of letters."""
    red, green, blue = (int(ink[i : i + 2], 16) for i in (1, 3, 5))
    return [
        (255 - (255 - red) * s // 4, 255 - (255 - green) * s // 4, 255 - (255 - blue) * s // 4)
        for s in range(1, 5)
    ]


def new_page(height: float, *, sharpness: float = 2.0, **options: Any) -> PageFigure:
    """An empty page, 9 inches wide and `height` inches high, unknown to pyplot."""
    figure = PageFigure(figsize=(WIDTH, height), **options)
    figure.sharpness = sharpness
    return figure


def read_pixels(path: Path | str, size: tuple[int, int]) -> Pixels:
    """The image at `path` as uint8 (H, W, 3), resized to `size` (H, W)."""
    image = read_image(path)
    height, width = size
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def image_size(path: Path | str) -> tuple[int, int]:
    """(H, W) of the image at `path`, in pixels."""
    width, height = read_image(path).size
    return height, width


def name_person(pid: int) -> str:
    """A person id in words: distractors and junk are nobody in particular."""
    return {0: "distractor", -1: "junk"}.get(pid, f"person {pid}")
