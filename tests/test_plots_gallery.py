import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from reidlab.embedding import Embeddings
from reidlab.plots import gallery_strip
from reidlab.plots.page import BLUE, GREY, VERMILLION
from reidlab.ranking import rank

# Each width is another one, so that a picture shows whether proportions are kept.
WIDTHS = (32, 32, 64, 16, 32, 40)


@pytest.fixture
def files(tmp_path):
    for i, width in enumerate(WIDTHS):
        colour = (40 * i, 255 - 40 * i, 90)
        Image.new("RGB", (width, 64), colour).save(tmp_path / f"a_rather_long_name_{i}.png")
    return sorted(tmp_path.iterdir())


def ranking_of(files, pids, camids, queries=1):
    angle = torch.linspace(0, 1.5, len(files))
    features = torch.stack([angle.cos(), angle.sin()], dim=1)
    everyone = Embeddings(features, pids, camids, files)
    return rank(everyone[[0] * queries], everyone[1:], len(files) - 1)


@pytest.fixture
def unknown(files):
    return ranking_of(files, [-2] * 6, [-2] * 6)


def frames(figure):
    return [to_hex(axes.spines["left"].get_edgecolor()).upper() for axes in figure.axes[1:]]


def heads(figure):
    return [axes.get_title() for axes in figure.axes]


def captions(figure):
    return [axes.get_xlabel() for axes in figure.axes]


def test_unknown_people_get_neutral_frames_and_their_places(unknown):
    figure = gallery_strip(unknown)
    assert set(frames(figure)) == {GREY.upper()}
    assert {axes.spines["left"].get_linestyle() for axes in figure.axes} == {"solid"}
    assert heads(figure) == ["query", "1", "2", "3", "4", "5"]
    assert not figure.legends
    assert not any(mark in text.get_text() for text in figure.texts for mark in "✓✗–")
    colourful = [np.ptp(axes.images[0].get_array(), axis=2).max() > 0 for axes in figure.axes]
    assert all(colourful)  # nothing is greyed out


def test_neutral_captions_name_file_and_similarity(unknown):
    shown = captions(gallery_strip(unknown))
    assert shown[0].endswith("_name_0") and shown[0].startswith("…")
    for i, distance in enumerate(unknown.distance[0].tolist(), start=1):
        name, cosine = shown[i].split("\n")
        assert name.endswith(f"_name_{i}") and cosine == f"cos {1 - distance / 2:.3f}"
    assert "cos" in gallery_strip(unknown).texts[-1].get_text()


def test_names_are_cut_to_the_width_of_an_image(unknown):
    narrow = captions(gallery_strip(unknown, k=5))[1].split("\n")[0]
    wide = captions(gallery_strip(unknown, k=1))[1].split("\n")[0]
    assert wide == "a_rather_long_name_1" and len(narrow) == int(9 / 6.35 / 0.085)


@pytest.mark.parametrize(
    ("camids", "expected"),
    [
        ([3, 1, 2, 3, 4, 5], "cam 1"),
        ([-2, 0, 1, 1, 1, 1], "cam 0"),
        ([0] * 6, "…her_long_name_1"),
    ],
)
def test_neutral_captions_name_the_camera_where_it_is_known(files, camids, expected):
    figure = gallery_strip(ranking_of(files, [-2] * 6, camids), k=5)
    assert captions(figure)[1].split("\n")[0] == expected


@pytest.mark.parametrize(
    ("pids", "neutral"),
    [
        ([7, 7, 8, 7, 0, -1], False),
        ([-2, 7, 8, 7, 0, -1], True),  # an own crop among known people
        ([7, 7, 8, -2, 0, -1], True),  # a known query among unknown people
    ],
)
def test_one_unknown_person_makes_all_frames_neutral(files, pids, neutral):
    ranking = ranking_of(files, pids, [1, 2, 3, 4, 5, 6])
    assert (set(frames(gallery_strip(ranking))) == {GREY.upper()}) == neutral
    assert bool(gallery_strip(ranking).legends) != neutral


def test_only_what_is_shown_decides(files):
    ranking = ranking_of(files, [7, 7, 8, 7, 0, -2], [1, 2, 3, 4, 5, 6])
    assert frames(gallery_strip(ranking, k=2)) == [BLUE.upper(), VERMILLION.upper()]


def test_the_caller_may_say_whether_people_are_known(files):
    numbered = ranking_of(files, [1, 1, 2, 3, 4, 5], [0] * 6)  # as a set without labels is read
    assert set(frames(gallery_strip(numbered, labelled=False))) == {GREY.upper()}
    assert frames(gallery_strip(numbered, labelled=True, protocol="top-k"))[0] == BLUE.upper()


def test_neutral_images_keep_their_proportions(unknown):
    figure = gallery_strip(unknown)
    for axes, width in zip(figure.axes, WIDTHS, strict=True):
        pixels = np.asarray(axes.images[0].get_array())
        white = (pixels == 255).all(axis=2)
        columns, rows = (~white).any(axis=0).sum(), (~white).any(axis=1).sum()
        assert columns / rows == pytest.approx(width / 64, rel=0.05)


def test_own_captions_take_the_place_of_ours(files, unknown):
    own = [["one", "two\nlines", "three"]]
    assert captions(gallery_strip(unknown, k=3, captions=own))[1:] == own[0]
    assert captions(gallery_strip(unknown, k=3, captions=own))[0].endswith("name_0")
    known = ranking_of(files, [7, 7, 8, 7, 0, -1], [1, 2, 3, 4, 5, 6], queries=3)
    rows = [["a", "b"], ["c", "d"]]
    shown = captions(gallery_strip(known, queries=[0, 2], k=2, captions=rows))
    assert shown == ["person 7\ncam 1", "a", "b", "person 7\ncam 1", "c", "d"]


@pytest.mark.parametrize("own", [[], [["a"]], [["a", "b"], ["c", "d"]]])
def test_captions_must_fit_the_images(unknown, own):
    with pytest.raises(ValueError, match="captions for 1 rows of 2 gallery images"):
        gallery_strip(unknown, k=2, captions=own)


@pytest.mark.parametrize(("queries", "rows"), [(1, 1), (3, 3), (5, 3)])
def test_without_a_choice_the_first_three_queries_are_shown(files, queries, rows):
    ranking = ranking_of(files, [-2] * 6, [-2] * 6, queries)
    assert len(gallery_strip(ranking, k=2).axes) == rows * 3
