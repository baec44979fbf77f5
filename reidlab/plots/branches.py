"""What each branch of a multi-branch network looks at, as heat over the crops.

Shapes: D channels of a feature map, h x w places, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from reidlab.data.samples import Sample
from reidlab.models.layers import preprocess_of
from reidlab.models.multibranch import MultiBranch
from reidlab.models.resnet import without_stride
from reidlab.plots.crops import Crop, path_of, seen_images
from reidlab.plots.page import (
    BLACK,
    GREY,
    WIDTH,
    Pixels,
    name_person,
    new_page,
    read_pixels,
    styled,
)

# Dark to light with one order in grey print, too; the darkest third leaves the crop visible.
HEAT = LinearSegmentedColormap.from_list(
    "heat", ["#12071F", "#5B1A5E", "#B5354C", "#F0812F", "#FFF3B0"]
)
WORDS = {"average": "average\nbranch", "max": "max\nbranch"}
STRENGTH = 0.6  # of the heat over a grey crop


def energy(x: Tensor) -> Tensor:
    r"""Share of a map's energy at each place (h, w), from x (D, h, w): what an average pools.

    Each channel is weighted by its own mean, the value that average pooling makes of it:
    :math:`e_{uv} \propto \sum_c \bar x_c \, x_{cuv}`. So :math:`e` sums to 1 and says which places
    the squared length of the pooled feature comes from.
    """
    weighted = (x.mean(dim=(1, 2))[:, None, None] * x).sum(dim=0)  # (h, w)
    return weighted / weighted.sum().clamp_min(torch.finfo(weighted.dtype).tiny)


def winners(x: Tensor) -> Tensor:
    """Share of channels whose maximum lies at each place (h, w), from x (D, h, w).

    Channels that are silent everywhere have no maximum and do not count.
    """
    height, width = x.shape[1:]
    flat = x[x.amax(dim=(1, 2)) > 0].flatten(1)  # (channels that speak, h * w)
    counts = torch.bincount(flat.argmax(dim=1), minlength=height * width).float()
    return (counts / counts.sum().clamp_min(1)).reshape(height, width)


SHARES = {"average": energy, "max": winners}


def branch_shares(
    model: nn.Module, samples: Sequence[Crop], *, fine: bool = False
) -> dict[str, Tensor]:
    """Branch -> (N, h, w), the share of its feature that comes from each place; sums are 1.

    Args:
        model: a `MultiBranch`; left in the mode it came in.
        samples: N images, as samples or files; the model sees them as `embed` shows them.
        fine: on a grid as fine as the shared stages', where the branches stride: the same weights
            also look between the places that are pooled. See `without_stride`.

    Raises:
        ValueError: another network, no samples, or a bad image.
    """
    if not isinstance(model, MultiBranch):
        raise ValueError(
            f"expected a network with branches, as multibranch_small makes them, got "
            f"{type(model).__name__}"
        )
    images = seen_images(model, _listed(samples))  # (N, 3, H, W)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            maps = _fine_maps(model, images) if fine else model.maps(images)
    finally:
        model.train(training)
    return {
        name: torch.stack([SHARES[name](each.float().cpu()) for each in x])
        for name, x in maps.items()
    }


def _listed(samples: Sequence[Crop]) -> Sequence[Crop]:
    if not isinstance(samples, Sequence) or isinstance(samples, str):
        raise ValueError(f"expected a list of samples or files, got {type(samples).__name__}")
    if not samples:
        raise ValueError("expected at least one image, got none")
    return samples


def _fine_maps(model: MultiBranch, images: Tensor) -> dict[str, Tensor]:
    """Branch -> map (B, D, h, w) without the stride of the last stage."""
    shared = model.shared(images)
    stages = {name: cast(nn.Sequential, stage) for name, stage in model.stages.items()}
    return {name: without_stride(stage).eval()(shared) for name, stage in stages.items()}


@styled
def branch_maps(
    model: nn.Module, samples: Sequence[Crop], *, fine: bool = True, title: str = ""
) -> Figure:
    """Each crop beside the same crop under the heat of every branch.

    The heat of the average branch is the share of its feature's energy that comes from a place,
    that of the max branch the share of channels that have their maximum there. Heat is drawn in the
    places of the feature map, on one scale from 0 for each branch; below a crop stands the share of
    its brightest place. Equal shares would be 100 / (h w) percent. A place sees more of the crop
    than its own square.

    Args:
        model: a `MultiBranch`.
        samples: crops, as samples or files, up to ten; six or so look best.
        fine: as for `branch_shares`; False shows exactly the places that are pooled.
        title: shown above.

    Raises:
        ValueError: another network, no crops or more than ten, or a bad image.
    """
    if len(_listed(samples)) > 10:
        raise ValueError(f"expected up to ten crops, got {len(samples)}; pass some of them")
    shares = branch_shares(model, samples, fine=fine)
    size = preprocess_of(model).size
    crops = [read_pixels(path_of(sample), size) for sample in samples]
    names = [name_person(s.pid) if isinstance(s, Sample) else "" for s in samples]
    return _page(crops, names, shares, title)


def _page(crops: list[Pixels], names: list[str], shares: dict[str, Tensor], title: str) -> Figure:
    """A row of crops, then a row per branch."""
    left, gap, under = 0.85, 0.07, 0.24  # inches
    across = min(1.05, (WIDTH - left - 0.05) / len(crops) - gap)
    tall = across * crops[0].shape[0] / crops[0].shape[1]
    top = (0.36 if title else 0.06) + 0.22
    whole = top + (len(shares) + 1) * (tall + under) + 0.02 - (under - 0.08)
    page = new_page(whole, sharpness=1.25)
    high = page.get_figheight()
    page.suptitle(title, x=0.01, y=1 - 0.07 / high, ha="left", va="top")
    rows: list[tuple[str, list[Pixels], list[str]]] = [("crop", crops, [""] * len(crops))]
    for name, table in shares.items():
        most = float(table.max())
        heated = [heat(crop, share.numpy(), most) for crop, share in zip(crops, table, strict=True)]
        rows.append((WORDS[name], heated, [f"up to {100 * float(s.max()):.0f} %" for s in table]))
    for row, (word, pictures, notes) in enumerate(rows):
        bottom = high - top - row * (tall + under) - tall + (under - 0.08) * bool(row)
        page.text(0.01, (bottom + tall / 2) / high, word, va="center", fontweight="bold")
        for i, (picture, note) in enumerate(zip(pictures, notes, strict=True)):
            x = left + i * (across + gap)
            axes = page.add_axes((x / WIDTH, bottom / high, across / WIDTH, tall / high))
            axes.imshow(picture, aspect="auto", interpolation="bicubic")
            axes.set_axis_off()
            middle = (x + across / 2) / WIDTH
            page.text(middle, (bottom - 0.04) / high, note, ha="center", va="top", fontsize=8.5,
                      color=GREY)  # fmt: skip
            if not row:
                page.text(middle, (bottom + tall + 0.04) / high, names[i], ha="center",
                          va="bottom", fontsize=9, color=BLACK)  # fmt: skip
    return page


def heat(crop: Pixels, share: NDArray[np.floating], most: float) -> Pixels:
    """`crop` (H, W, 3) in grey under the colours of `share` (h, w), from 0 to `most`."""
    height, width = crop.shape[:2]
    rows = np.arange(height) * share.shape[0] // height  # place of each pixel
    columns = np.arange(width) * share.shape[1] // width
    level = (share / max(most, 1e-12))[rows[:, None], columns]  # (H, W)
    grey = np.asarray(Image.fromarray(crop).convert("L"), dtype=np.float32)[..., None] / 255
    mixed = (1 - STRENGTH) * grey + STRENGTH * HEAT(level)[..., :3]
    return (255 * mixed).round().astype(np.uint8)
