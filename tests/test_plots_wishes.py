import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from reidlab.data.heads import HEADS
from reidlab.embedding.attributes import AttributePredictions
from reidlab.plots.page import BLUE, GREY, VERMILLION
from reidlab.plots.wishes import attribute_gallery, class_words, fulfils, instead
from reidlab.ranking.attributes import rank_by_attributes

UP = HEADS["up_color"].index


@pytest.fixture
def files(tmp_path):
    for i in range(6):
        Image.new("RGB", (32, 64), (40 * i, 90, 200)).save(tmp_path / f"crop_{i}.png")
    return sorted(tmp_path.iterdir())


@pytest.fixture
def predictions(files):
    generator = torch.Generator().manual_seed(0)
    logits = {h: torch.randn(6, len(c), generator=generator) for h, c in HEADS.items()}
    logits["up_color"][::2, UP("red")] += 6  # of every other image the top is red for sure
    logits["backpack"][1::2, 1] += 6
    return AttributePredictions(logits, torch.arange(1, 7), torch.ones(6).long(), files)


@pytest.fixture
def ranking(predictions):
    return rank_by_attributes(predictions, ["red top, backpack", "no hat"], 5)


def cells(figure, row):
    return [axes for axes in figure.axes if axes.get_gid().startswith(f"row {row} ")]


def frames(figure, row):
    sides = [axes.spines["left"] for axes in cells(figure, row)]
    return [to_hex(side.get_edgecolor()).upper() for side in sides]


def heads(figure, row):
    return [axes.get_title() for axes in cells(figure, row)]


def captions(figure, row):
    return [axes.get_xlabel() for axes in cells(figure, row)]


def pixel(axes):
    return axes.images[0].get_array()[128, 64].tolist()


def test_a_row_per_wish_shows_its_words_and_the_best_images(ranking):
    figure = attribute_gallery(ranking, title="Wishes")
    texts = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert str(ranking.wishes[0]) in texts and str(ranking.wishes[1]) in texts
    for q in range(2):
        assert heads(figure, q) == ["1", "2", "3", "4", "5"]
        expected = [[40 * g, 90, 200] for g in ranking.order[q].tolist()]
        assert [pixel(axes) for axes in cells(figure, q)] == expected
        shown = [float(text.split("\n")[0].removeprefix("p = ")) for text in captions(figure, q)]
        assert shown == pytest.approx(ranking.score[q].tolist(), abs=0.0051)


def test_without_truth_frames_are_neutral_and_the_doubt_is_named(ranking, predictions):
    figure = attribute_gallery(ranking, k=4)
    assert set(frames(figure, 0)) == set(frames(figure, 1)) == {GREY.upper()}
    assert not figure.legends and len(figure.axes) == 8
    chances = predictions.probabilities
    for g, text in zip(ranking.order[0, :4].tolist(), captions(figure, 0), strict=True):
        doubted = chances["up_color"][g, UP("red")] < chances["backpack"][g, 1]
        assert text.split("\n")[1] == ("upper?" if doubted else "backpack?")
    assert len({text.split("\n")[1] for text in captions(figure, 0)}) == 2
    assert all("\n" not in text for text in captions(figure, 1))  # one attribute: nothing to add


def test_truth_frames_the_hits_and_says_what_others_have_instead(ranking):
    truth = {"up_color": torch.full((6,), UP("red")), "backpack": torch.ones(6).long()}
    first, second, third, fourth, fifth = ranking.order[0].tolist()
    truth["up_color"][second] = UP("gray")
    truth["backpack"][third] = 0
    truth["up_color"][fourth], truth["backpack"][fourth] = UP("white"), 0
    truth["backpack"][fifth] = -1
    figure = attribute_gallery(ranking, truth=truth)
    right, wrong = BLUE.upper(), VERMILLION.upper()
    assert frames(figure, 0) == [right, wrong, wrong, wrong, GREY.upper()]
    assert heads(figure, 0) == ["✓ 1", "✗ 2", "✗ 3", "✗ 4", "5"]
    below = [text.partition("\n")[2] for text in captions(figure, 0)]
    assert below[:4] == ["", "upper grey", "no backpack", "no backpack…"]
    assert below[4].endswith("?")
    assert set(frames(figure, 1)) == {GREY.upper()}  # nobody says who has a hat
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["✓ has it all", "✗ has not"]


def test_one_wrong_attribute_decides_though_others_are_unknown():
    wanted = {"hat": frozenset({1}), "age": frozenset({0, 1})}
    truth = {"hat": torch.tensor([1, 0, 1, 1]), "age": torch.tensor([1, -1, -1, 2])}
    assert [fulfils(wanted, truth, g) for g in range(4)] == [True, False, None, False]
    assert fulfils(wanted, {"hat": truth["hat"]}, 0) is None
    assert [instead(wanted, truth, g) for g in range(4)] == [[], ["no hat"], [], ["adult"]]


def test_classes_in_two_words():
    words = [class_words(head, 0) for head in HEADS]
    assert words == [
        "young", "no backpack", "no bag", "no handbag", "dress", "legs long", "sleeves long",
        "hair short", "no hat", "male", "upper black", "lower black",
    ]  # fmt: skip
    assert class_words("hat", 1) == "hat"


def test_captions_are_cut_to_the_width_of_an_image(predictions):
    many = predictions[[0, 1, 2, 3, 4, 5] * 3]
    ranking = rank_by_attributes(many, ["backpack, old"], 18)
    truth = {"backpack": torch.zeros(18).long(), "age": torch.full((18,), 3)}
    figure = attribute_gallery(ranking, truth=truth, k=18)
    assert len(cells(figure, 0)) == 18
    assert {text.split("\n")[1] for text in captions(figure, 0)} == {"no backp…"}


@pytest.mark.parametrize("k", [1, 10, 30])
def test_long_wishes_and_many_images_overlap_nothing(predictions, k):
    many = predictions[[0, 1, 2, 3, 4, 5] * 5]
    long = (
        "not old man, long hair, short-sleeved white or multicoloured top, short grey or "
        "multicoloured trousers, no hat, no backpack, no bag, no handbag"
    )
    ranking = rank_by_attributes(many, [long, "hat", long], 30)
    truth = {"hat": torch.ones(30).long()}
    figure = attribute_gallery(ranking, truth=truth, k=k, title="Wishes")
    assert len(cells(figure, 0)) == len(cells(figure, 2)) == k
    figure.draw_without_rendering()
    said = [str(wish) for wish in ranking.wishes]
    words = [text for text in figure.texts if text.get_text().replace("\n", " ") in said]
    assert len(words) == 3
    found = [text.get_window_extent() for text in words]
    found += [axes.get_tightbbox() for axes in figure.axes]
    found += [figure.legends[0].get_window_extent()]
    for i, box in enumerate(found):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in found[:i])


def test_wishes_are_chosen_and_mistakes_named(ranking, predictions):
    figure = attribute_gallery(ranking, wishes=[1])
    assert len(figure.axes) == 5
    assert str(ranking.wishes[1]) in [text.get_text() for text in figure.texts]
    with pytest.raises(ValueError, match="wishes from 0 to 1, got 2"):
        attribute_gallery(ranking, wishes=[2])
    with pytest.raises(ValueError, match=r"expected k to be a whole number, got 2\.5"):
        attribute_gallery(ranking, k=2.5)
    with pytest.raises(ValueError, match="expected wishes as positions .* got 'hat'"):
        attribute_gallery(ranking, wishes="hat")
    with pytest.raises(ValueError, match="each of wishes to be a whole number, got 'hat'"):
        attribute_gallery(ranking, wishes=["hat"])
    with pytest.raises(ValueError, match="at least one wish"):
        attribute_gallery(ranking, wishes=[])
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        attribute_gallery(ranking, k=0)
    with pytest.raises(ValueError, match=r"hat: expected truth \(6,\)"):
        attribute_gallery(ranking, truth={"hat": torch.zeros(5).long()})
    nameless = AttributePredictions(predictions.logits, predictions.pids, predictions.camids)
    with pytest.raises(ValueError, match="know no image files"):
        attribute_gallery(rank_by_attributes(nameless, ["hat"], 3))
