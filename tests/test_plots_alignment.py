"""The picture of stripes that are compared."""

import pytest
import torch
from matplotlib.patches import ConnectionPatch
from PIL import Image
from torch.nn import functional as F

from reidlab.data.samples import Sample
from reidlab.losses import aligned_distance, alignment_path
from reidlab.plots import alignment_figure


def pair(height=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 32, 16), generator=generator, dtype=torch.uint8)
    return list(images), F.normalize(torch.randn(2, height, 5, generator=generator), dim=2)


def lines(figure):
    """(stripe on the left, stripe on the right, width, axes) of each line between crops."""
    found = [each for each in figure.artists if isinstance(each, ConnectionPatch)]
    return [
        (each.xy1[1] - 0.5, each.xy2[1] - 0.5, each.get_linewidth(), each.axesA) for each in found
    ]


def test_lines_join_the_stripes_of_the_path_and_the_straight_ones():
    images, stripes = pair()
    figure = alignment_figure(images, stripes)
    crops = figure.axes
    aligned = {(i, j) for i, j, _, axes in lines(figure) if axes is crops[0]}
    straight = {(i, j) for i, j, _, axes in lines(figure) if axes is crops[2]}
    assert aligned == set(alignment_path(*stripes)) and len(lines(figure)) == 7 + 4
    assert straight == {(i, i) for i in range(4)}


def test_the_most_alike_have_the_thickest_line():
    images, stripes = pair()
    figure = alignment_figure(images, stripes)
    apart = (stripes[0][:, None] - stripes[1][None]).norm(dim=2)
    found = [(float(apart[int(i), int(j)]), width) for i, j, width, _ in lines(figure)]
    assert [w for _, w in sorted(found)] == sorted((w for _, w in found), reverse=True)


def test_the_grid_shows_distances_path_and_diagonal():
    images, stripes = pair()
    axes = alignment_figure(images, stripes).axes[-1]
    grid = torch.as_tensor(axes.images[0].get_array())
    apart = (stripes[0][:, None] - stripes[1][None]).norm(dim=2)
    torch.testing.assert_close(grid, (apart / 2).tanh())
    drawn = [list(zip(line.get_ydata(), line.get_xdata(), strict=True)) for line in axes.lines]
    assert drawn[1] == alignment_path(*stripes) and drawn[2] == [(0, 0), (3, 3)]


def test_both_distances_are_written_below():
    images, stripes = pair()
    texts = " ".join(text.get_text() for text in alignment_figure(images, stripes).texts)
    for aligned, steps in ((True, 7), (False, 4)):
        value = float(aligned_distance(stripes[:1], stripes[1:], aligned=aligned))
        word = "aligned" if aligned else "straight"
        assert f"{word}: {value:.2f}, the sum of {steps} steps" in texts


def test_files_are_read_and_names_are_written(tmp_path):
    _, stripes = pair(height=1)
    for name in "ab":
        Image.new("RGB", (32, 64), "red").save(tmp_path / f"{name}.png")
    files = [tmp_path / "a.png", str(tmp_path / "b.png")]
    figure = alignment_figure(files, stripes, names=("one", "two"), title="boxes")
    assert [axes.get_title() for axes in figure.axes[:4]] == ["one", "two"] * 2
    assert figure.get_suptitle() == "boxes"
    samples = [Sample(files[0], 1, 1), Sample(files[1], 2, 1)]
    same = alignment_figure(samples, stripes, names=("one", "two"), title="boxes")
    assert same.png() == figure.png()
    assert figure.axes[1].images[0].get_array()[0, 0].tolist() == [255, 0, 0]
    assert figure.png().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_refused():
    images, stripes = pair()
    for bad in ((images[:1], stripes), (images, stripes[:1]), (images, stripes[0])):
        with pytest.raises(ValueError, match="two images and stripes \\(2, H, D\\)"):
            alignment_figure(*bad)
    with pytest.raises(ValueError, match="a file or an image \\(3, H, W\\) uint8, got .*float32"):
        alignment_figure([each.float() for each in images], stripes)
    for wrong, name in ((None, "NoneType"), (images[0].numpy(), "ndarray")):
        with pytest.raises(ValueError, match=f"a Sample or the path of an image, got {name}"):
            alignment_figure([wrong, wrong], stripes)
