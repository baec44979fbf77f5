import pytest

from reidlab.data.heads import HEADS
from reidlab.plots import attribute_balance

COUNTS = {"hat": [731, 20], "up_color": [113, 228, 78, 30, 36, 86, 46, 56, 78]}


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_bar_is_cut_into_the_shares_of_its_classes():
    figure = attribute_balance(COUNTS)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    expected = [n / sum(numbers) for numbers in COUNTS.values() for n in numbers]
    assert widths == pytest.approx(expected)


def test_the_rarest_class_is_named_with_its_ratio():
    found = texts(attribute_balance(COUNTS))
    assert "rarest: yes, 20 of 751 (1 : 36.5)" in found
    assert "rarest: purple, 30 of 751 (1 : 7.6)" in found
    assert "rarest: yes, nobody" in texts(attribute_balance({"hat": [5, 0]}))


def test_names_stand_only_where_they_fit():
    found = texts(attribute_balance({"hat": [731, 20]}))
    assert "no" in found and "yes" not in found


def test_a_reference_is_drawn_below():
    alone, both = (
        len(attribute_balance(COUNTS, reference=r).axes[0].patches) for r in (None, COUNTS)
    )
    assert both == 2 * alone


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="unknown attribute 'shoes'; expected some of age"):
        attribute_balance({"shoes": [1, 2]})
    with pytest.raises(ValueError, match="hat: expected the numbers of people of no, yes"):
        attribute_balance({"hat": [1, 2, 3]})
    with pytest.raises(ValueError, match="hat: expected"):
        attribute_balance(COUNTS, reference={"hat": [0, 0]})


def test_every_head_can_be_drawn(tmp_path):
    counts = {head: [i + 1 for i in range(len(names))] for head, names in HEADS.items()}
    assert attribute_balance(counts, title="all").png().startswith(b"\x89PNG")
