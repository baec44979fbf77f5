import re

import pytest

from reidlab.course.formulas import mathml


def inside(latex, block=False):
    """The elements of a formula without names of classes and sizes."""
    found = re.fullmatch(r"<math [^>]*><mrow>(.*)</mrow></math>", mathml(latex, block=block))
    assert found
    return re.sub(r" [a-z]+=\"[^\"]*\"", "", found[1])


def test_a_fraction_is_a_fraction():
    made = "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"
    assert inside(r"\frac{a}{b}") == made


def test_signs_are_characters_and_not_names_of_characters():
    assert inside("x<y+1") == "<mi>x</mi><mo>&lt;</mo><mi>y</mi><mo>+</mo><mn>1</mn>"
    assert "&amp;" not in mathml(r"a \le b, \sum_i (x_i)")


@pytest.mark.parametrize(
    "bar", [r"\big\lVert x \big\rVert", r"\Big\| x \Big\|", r"\lVert x \rVert"]
)
def test_norms_of_any_size_have_two_bars(bar):
    assert inside(bar) == "<mo>‖</mo><mi>x</mi><mo>‖</mo>"


def test_the_index_of_a_sized_bracket_belongs_to_the_whole_bracket():
    whole = "<msub><mrow><mo>[</mo><mi>x</mi><mo>]</mo></mrow><mo>+</mo></msub>"
    assert inside(r"\Big[x\Big]_+") == whole
    assert inside(r"a\Big[x\Big]_+b") == f"<mi>a</mi>{whole}<mi>b</mi>"
    inner = "<mo>(</mo><mi>x</mi><mo>)</mo>"
    nested = whole.replace("<mi>x</mi>", inner)
    assert inside(r"\Big[\big(x\big)\Big]_+") == nested
    assert inside(r"\big(x\big)\Big[x\Big]_+") == inner + whole


def test_limits_stand_below_in_a_block_and_beside_in_the_text():
    assert "<munder><mo>max</mo>" in inside(r"\max_p d", block=True)
    assert "<msub><mo>max</mo>" in inside(r"\max_p d")
    for command in (r"\operatorname*{arg\,max}", r"\operatorname{argmax}"):
        assert "<munder><mo>argmax</mo><mi>x</mi></munder>" in inside(command + "_x f", block=True)
    assert "<msub>" in inside("x_i", block=True)


@pytest.mark.parametrize(
    "latex", [r"\foo{x}", r"\frac{1}{", r"\left( x", "a & b", r"\operatorname{a-b}", ""]
)
def test_what_cannot_be_set_is_named_and_not_printed(latex):
    with pytest.raises(ValueError, match="cannot set the formula") as error:
        mathml(latex)
    assert latex.strip() in str(error.value)
