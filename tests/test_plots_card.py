import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from reidlab.data.heads import HEADS
from reidlab.embedding import Embeddings
from reidlab.embedding.attributes import AttributePredictions
from reidlab.plots.balance import CLOTH
from reidlab.plots.card import attribute_card, truth_table
from reidlab.plots.page import BLUE, VERMILLION
from reidlab.plots.panels import attribute_map
from reidlab.plots.scatter import project

WIDTHS = (32, 32, 16, 64, 32)


@pytest.fixture
def files(tmp_path):
    for i, width in enumerate(WIDTHS):
        Image.new("RGB", (width, 64), (40 * i, 90, 200)).save(tmp_path / f"crop_{i}.png")
    return sorted(tmp_path.iterdir())


def predicted(files=(), count=5, heads=tuple(HEADS), pid=-2, camid=-2):
    """Logits drawn at random."""
    generator = torch.Generator().manual_seed(0)
    logits = {head: 2 * torch.randn(count, len(HEADS[head]), generator=generator) for head in heads}
    ids = torch.full((count,), pid), torch.full((count,), camid)
    return AttributePredictions(logits, *ids, files)


def axes_of(figure, kind):
    return [axes for axes in figure.axes if axes.get_gid() == kind]


def words(axes):
    return [text.get_text() for text in axes.texts]


def bars(axes, color):
    """Width of each bar of a colour, from the top down."""
    found = [patch for patch in axes.patches if to_hex(patch.get_facecolor()).upper() == color]
    return [patch.get_width() for patch in sorted(found, key=lambda patch: patch.get_y())]


def test_every_crop_has_a_row_per_head_with_answer_and_probability(files):
    found = predicted(files)
    figure = attribute_card(found)
    assert len(axes_of(figure, "crop")) == len(axes_of(figure, "table")) == 5
    for i, axes in enumerate(axes_of(figure, "table")):
        expected = []
        for head, (name, chance) in found.names(i).items():
            heads = {"up_color": "upper colour", "down_color": "lower colour"}
            expected += [heads.get(head, head), name.replace("gray", "grey")]
            expected.append(f"{100 * chance:.0f} %")
        assert words(axes) == expected


def test_the_strong_part_of_a_bar_is_as_long_as_the_answer_is_likely(files):
    found = predicted(files)
    axes = axes_of(attribute_card(found), "table")[2]
    whole = max(patch.get_width() for patch in axes.patches)
    chances = [chance for _, chance in found.names(2).values()]
    assert np.allclose(np.array(bars(axes, BLUE)) / whole, chances, atol=1e-6)


def test_thin_parts_continue_the_bar_with_the_other_classes(files):
    found = predicted(files, heads=("age",))
    axes = axes_of(attribute_card(found, k=1), "table")[0]
    back, *parts = axes.patches
    shares = found.probabilities["age"][0].sort(descending=True).values.tolist()
    left = back.get_x()
    for patch, share in zip(parts, shares, strict=False):
        assert patch.get_x() == pytest.approx(left)
        assert patch.get_width() == pytest.approx(share * back.get_width())
        left += patch.get_width()
    assert len(parts) == sum(share >= 0.01 for share in shares)


def test_colours_of_garments_are_shown_as_themselves(files):
    found = predicted(files, heads=("up_color",))
    for i, axes in enumerate(axes_of(attribute_card(found), "table")):
        swatch = axes.patches[0]
        name = found.names(i)["up_color"][0]
        assert to_hex(swatch.get_facecolor()) == to_hex(CLOTH[name])
        assert bool(swatch.get_hatch()) == (name == "multi")
        assert swatch.get_width() < 0.2


def test_wrong_answers_have_a_cross_the_right_class_and_another_colour(files):
    found = predicted(files)
    truth = {head: answers.clone() for head, answers in found.answers.items()}
    truth["age"][1] = (truth["age"][1] + 1) % 4
    truth["down_color"][1] = (truth["down_color"][1] + 3) % 10
    tables = axes_of(attribute_card(found, truth=truth), "table")
    for i, axes in enumerate(tables):
        crosses = [word for word in words(axes) if word.startswith("✗")]
        assert len(bars(axes, VERMILLION.upper())) == len(crosses) == (2 if i == 1 else 0)
        assert len(bars(axes, BLUE)) == (10 if i == 1 else 12)
    names = HEADS["age"][truth["age"][1]], HEADS["down_color"][truth["down_color"][1]]
    expected = [f"✗ {name.replace('gray', 'grey')}" for name in names]
    assert [word for word in words(tables[1]) if word.startswith("✗")] == expected


def test_what_nobody_says_is_not_judged(files):
    found = predicted(files)
    wrong = (found.answers["hat"] + 1) % 2
    truth = {"hat": torch.where(torch.arange(5) == 3, wrong, -1)}
    tables = axes_of(attribute_card(found, truth=truth), "table")
    crosses = [sum(word.startswith("✗") for word in words(axes)) for axes in tables]
    assert crosses == [0, 0, 0, 1, 0]


def test_crops_keep_their_proportions(files):
    figure = attribute_card(predicted(files))
    for axes, width in zip(axes_of(figure, "crop"), WIDTHS, strict=True):
        box, page = axes.get_position(), figure.get_size_inches()
        assert box.width * page[0] / (box.height * page[1]) == pytest.approx(width / 64, rel=0.01)
        assert box.width * page[0] < 0.951


def test_nothing_leaves_the_page_or_its_card(files):
    found = predicted(files, pid=7, camid=2)
    truth = {head: (answers + 1) % len(HEADS[head]) for head, answers in found.answers.items()}
    for columns in (1, 2):
        figure = attribute_card(found, truth=truth, columns=columns, title="People")
        renderer = FigureCanvasAgg(figure).get_renderer()
        for axes in axes_of(figure, "table"):
            box = axes.get_window_extent(renderer)
            for text in axes.texts:
                own = text.get_window_extent(renderer)
                assert box.x0 - 2 <= own.x0 and own.x1 <= box.x1 + 2, text.get_text()
        assert all(0 <= axes.get_position().y0 <= 1 for axes in figure.axes)


def test_the_longest_classes_fit_beside_each_other(files):
    longest = {h: max(range(len(names)), key=lambda c: len(names[c])) for h, names in HEADS.items()}
    for head, names in HEADS.items():  # answered and true in turn
        logits = {h: torch.zeros(4, len(n)) for h, n in HEADS.items()}
        other = (longest[head] + 1) % len(names)
        logits[head][:, longest[head]] = 9.0
        logits[head][2:] = 0.0
        logits[head][2:, other] = 9.0
        found = AttributePredictions(logits, torch.ones(4).long(), torch.ones(4).long(), files[:4])
        truth = {head: torch.tensor([other, other, longest[head], longest[head]])}
        figure = attribute_card(found, truth=truth)
        renderer = FigureCanvasAgg(figure).get_renderer()
        for axes in axes_of(figure, "table"):
            box = axes.get_window_extent(renderer)
            own = [text.get_window_extent(renderer) for text in axes.texts]
            assert all(box.x0 <= one.x0 and one.x1 <= box.x1 for one in own), head
            assert not any(a.overlaps(b) for a, b in zip(own, own[1:], strict=False)), head


def test_the_line_above_says_who_it_is_or_which_file(files):
    def above(predictions, **more):
        return [text.get_text() for text in attribute_card(predictions, k=1, **more).texts]

    assert "crop_0.png" in above(predicted(files))
    assert "person 7, camera 2" in above(predicted(files, pid=7, camid=2))
    pixels = torch.zeros(5, 3, 64, 32, dtype=torch.uint8)
    assert "image 0" in above(predicted(), images=pixels)
    assert "distractor, camera 3" in above(predicted(pid=0, camid=3), images=pixels)


def test_pixels_may_be_given(files):
    pixels = torch.randint(0, 255, (5, 3, 40, 20), dtype=torch.uint8)
    figure = attribute_card(predicted(files), pixels, k=2)
    shown = [axes.images[0].get_array() for axes in axes_of(figure, "crop")]
    assert len(shown) == 2
    assert np.array_equal(shown[1], pixels[1].permute(1, 2, 0).numpy())


def test_mistakes_are_named(files):
    found = predicted(files)
    with pytest.raises(ValueError, match="know no image files"):
        attribute_card(predicted())
    with pytest.raises(ValueError, match="uint8 images"):
        attribute_card(found, torch.zeros(5, 3, 40, 20))
    with pytest.raises(ValueError, match="at least one image"):
        attribute_card(found[:0])
    for bad, message in (
        ({"k": 0}, "k of at least 1, got 0"),
        ({"k": 2.5}, r"k to be a whole number, got 2\.5"),
        ({"columns": 3}, "1 or 2 columns, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            attribute_card(found, **bad)
    with pytest.raises(ValueError, match=r"hat: expected truth \(5,\)"):
        attribute_card(found, truth={"hat": torch.zeros(4).long()})
    with pytest.raises(ValueError, match="hat: expected classes from 0 to 1.*got 2 for image 3"):
        truth_table({"hat": torch.tensor([0, 1, 0, 2, 0])}, found)


@pytest.fixture
def embeddings():
    features = torch.randn(40, 8, generator=torch.Generator().manual_seed(1))
    return Embeddings(features, torch.arange(1, 41), torch.ones(40).long())


def points(axes):
    """Every point of a panel, with the colour of its class."""
    parts = axes.collections
    return {to_hex(part.get_facecolor()[0]): np.asarray(part.get_offsets()) for part in parts}


def test_a_map_has_one_projection_and_a_panel_per_head(embeddings):
    classes = {"up_color": torch.arange(40) % 9, "hat": (torch.arange(40) < 4).long()}
    figure = attribute_map(embeddings, classes, ("up_color", "hat"), seed=3)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["upper colour", "hat"]
    expected = project(embeddings.normalized().features.numpy(), 3)
    shown = points(first)
    for c, name in enumerate(HEADS["up_color"][:-1]):
        own = shown[to_hex(CLOTH[name])]
        assert np.allclose(own, expected[np.arange(40) % 9 == c])
    assert sorted(map(len, points(second).values())) == [4, 36]
    assert np.allclose(np.asarray(second.collections[1].get_offsets()), expected[:4])  # on top
    labels = [text.get_text() for text in second.get_legend().get_texts()]
    assert labels == ["no, 36", "yes, 4"]
    assert len({part.get_paths()[0].vertices.shape for part in second.collections}) == 2


def test_a_map_of_answers_draws_what_the_model_says(embeddings):
    found = predicted(count=40)
    figure = attribute_map(embeddings, found, ("age",), max_points=25)
    assert sum(map(len, points(figure.axes[0]).values())) == 25
    whole = attribute_map(embeddings, found, ("gender",)).axes[0].get_legend().get_texts()
    counts = torch.bincount(found.answers["gender"], minlength=2).tolist()
    expected = {f"male, {counts[0]}", f"female, {counts[1]}"}
    assert {text.get_text() for text in whole} == expected


def test_one_head_alone_takes_the_whole_width(embeddings):
    found = predicted(count=40)
    figure = attribute_map(embeddings, found, "gender")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["gender"]
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert 0.85 * figure.bbox.x1 < legend.x1 <= figure.bbox.x1
    with pytest.raises(ValueError, match="got shoes"):
        attribute_map(embeddings, found, "shoes")


def test_mistakes_of_a_map_are_named(embeddings):
    classes = {"hat": torch.zeros(40).long()}
    with pytest.raises(ValueError, match="expected heads among hat; got age"):
        attribute_map(embeddings, classes, ("age",))
    with pytest.raises(ValueError, match="got none"):
        attribute_map(embeddings, classes, ())
    with pytest.raises(ValueError, match="hat: expected 40 classes"):
        attribute_map(embeddings, {"hat": torch.zeros(39)}, ("hat",))
    with pytest.raises(ValueError, match="at least five images"):
        attribute_map(embeddings, classes, ("hat",), max_points=4)
