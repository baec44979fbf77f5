"""The picture of TransReID's local branches: which patch has which colour, and what is hidden."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.textpath import TextPath
from PIL import Image

from reidlab.data.samples import Sample
from reidlab.data.transforms import EvalTransform
from reidlab.models.baseline import baseline_small
from reidlab.models.jigsaw import local_patches
from reidlab.models.transreid import TransReID
from reidlab.models.vit import ViT
from reidlab.plots import jigsaw_figure
from reidlab.plots.page import CYCLE
from reidlab.plots.patches import patch_edges


def network(size=(64, 32), stride=16, **own):
    torch.manual_seed(0)
    trunk = ViT(size, patch=16, stride=stride, width=8, depth=1, heads=1)
    own = {"parts": 2, "shift": 2} | own
    return TransReID(trunk, 3, preprocess=EvalTransform(size), **own)


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "crop.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def corner(cell):
    return tuple(round(float(v), 3) for v in (*cell.get_xy(), cell.get_width(), cell.get_height()))


def expected_cells(model):
    edges = patch_edges(model.trunk)
    cells = []
    for i in range(model.trunk.grid[0]):
        for j in range(model.trunk.grid[1]):
            x, y = edges.across[j], edges.down[i]
            box = (x, y, edges.across[j + 1] - x, edges.down[i + 1] - y)
            cells.append(tuple(round(float(v), 3) for v in box))
    return cells


def check_row(model, axes, groups):
    """A coloured crop, and one crop per branch in which only its patches are bare."""
    colored, *single = axes
    assert len(single) == len(groups)
    cells = expected_cells(model)
    faces = {corner(p): p.get_facecolor() for p in colored.patches if p.get_fill()}
    hatched = {corner(p) for p in colored.patches if p.get_hatch()}
    numbers = {tuple(np.round(t.get_position(), 3)): t.get_text() for t in colored.texts}
    for patch, (x, y, wide, tall) in enumerate(cells):
        own = [k for k, group in enumerate(groups) if patch in group]
        if own:
            assert faces[cells[patch]][:3] == pytest.approx(to_rgb(CYCLE[own[0]]))
            number = numbers[tuple(np.round((x + wide / 2, y + tall / 2), 3))]
            assert number == "+".join(str(k + 1) for k in own)
        assert (cells[patch] in hatched) == (not own)
    for k, axes in enumerate(single):
        faded = {corner(p) for p in axes.patches}
        assert faded == {cells[patch] for patch in range(len(cells)) if patch not in groups[k]}
        for spine in axes.spines.values():
            assert to_rgba(spine.get_edgecolor()) == pytest.approx(to_rgba(CYCLE[k]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["4 patches\nof 8 each"] * 2),
        ({"parts": 4, "shift": 5}, ["2 patches\nof 8 each"] * 2),
        ({"parts": 3}, ["2 patches\nof 8 each,\n2 seen by none"] * 2),
        ({"parts": 3, "jigsaw": "even"}, ["2 or 3 patches\nof 8 each"] * 2),
        (
            {"size": (48, 48), "parts": 2, "shift": 3},  # nine patches: one occurs twice
            ["4 patches\nof 9 each,\n1 seen by none"] * 2,
        ),
        ({"size": (64, 44), "stride": 12, "parts": 5, "shift": 4, "groups": 5}, None),
    ],
)
def test_both_rows_show_the_patches_of_every_branch(crop, options, words):
    model = network(**options)
    figure = jigsaw_figure(model, crop, title="jigsaw")
    parts, count = model.parts, model.trunk.grid[0] * model.trunk.grid[1]
    kind = options.get("jigsaw", "released")
    plain = local_patches(count, parts, rearrange=False, jigsaw=kind)
    assert len(figure.axes) == 2 * (1 + parts) and figure.get_suptitle() == "jigsaw"
    check_row(model, figure.axes[: 1 + parts], plain)
    check_row(model, figure.axes[1 + parts :], model.patches)
    names = [axes.get_title() for axes in figure.axes[1 : 1 + parts]]
    assert names == [f"branch {k + 1}" for k in range(parts)]
    found = [text.get_text() for text in figure.texts]
    assert found.index("in order") < found.index("shifted,\nshuffled")
    if words:
        assert [word for word in found if "patches" in word] == words


def test_a_patch_that_two_branches_see_has_both_numbers(crop):
    model = network()
    model.patches = [[0, 1, 2, 3], [3, 4, 5, 6]]
    figure = jigsaw_figure(model, crop)
    check_row(model, figure.axes[3:], model.patches)
    assert "3+" not in "".join(t.get_text() for t in figure.axes[3].texts)
    assert [t.get_text() for t in figure.axes[3].texts].count("1+2") == 1
    assert "4 patches\nof 8 each,\n1 seen by none" in [t.get_text() for t in figure.texts]


def test_a_network_that_does_not_rearrange_has_one_row(crop):
    model = network(rearrange=False)
    figure = jigsaw_figure(model, Sample(crop, 1, 1))
    assert len(figure.axes) == 3
    check_row(model, figure.axes, model.patches)
    assert "shifted,\nshuffled" not in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": (128, 64), "stride": 8, "parts": 7, "shift": 5},
        {"size": (64, 64), "parts": 1},
        {"stride": (16, 2), "parts": 7},
        {"size": (64, 24), "stride": 16, "parts": 4, "shift": 2},
    ],
)
def test_nothing_overlaps_and_numbers_fit_their_cells(crop, options, check_apart):
    model = network(**options)
    figure = jigsaw_figure(model, crop, title="jigsaw")
    axes, (high, wide) = figure.axes[0], model.trunk.image_size
    edges, box = patch_edges(model.trunk), axes.get_position()
    inches = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    smallest = [
        72 * side * float(np.diff(edge).min()) / whole
        for side, edge, whole in zip(inches, edges[::-1], (wide, high), strict=True)
    ]
    for text in axes.texts:
        outline = TextPath((0, 0), text.get_text(), size=text.get_fontsize()).get_extents()
        assert outline.width < smallest[0] and outline.height < smallest[1]
    for text in [text for each in figure.axes for text in each.texts]:
        text.remove()  # their boxes are larger than their ink
    check_apart(figure)


def test_numbers_too_small_to_read_are_left_out(crop):
    model = network((64, 32), 1, parts=1)
    figure = jigsaw_figure(model, crop)
    assert not figure.axes[0].texts and len(figure.axes[0].patches) == 49 * 17


def test_what_has_no_branches_is_refused(crop):
    for model, message in (
        (network(parts=0), r"local branches, as transreid_small\(num_ids, parts=4\)"),
        (network(parts=8), "up to 7 local branches, a colour each, got 8"),
        (baseline_small(3, width=4, image_size=(64, 32)), "a vision transformer.*got Baseline"),
    ):
        with pytest.raises(ValueError, match=message):
            jigsaw_figure(model, crop)
    with pytest.raises(ValueError, match="a Sample or the path of an image, got int"):
        jigsaw_figure(network(), 3)
