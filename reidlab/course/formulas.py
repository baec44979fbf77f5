r"""LaTeX formulas as MathML, which browsers draw themselves: pages need no script and no network.

The converter knows most of LaTeX; the few things of ours that it does not know are put right here.
What is still unknown is an error, not a page with backslashes on it.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
SIGNS = {  # commands that the converter copies into the page when a size or a limit is attached
    r"\lVert": "\u2016",
    r"\rVert": "\u2016",
    r"\Vert": "\u2016",
    r"\|": "\u2016",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\arg": "arg",
}
OPENING = {")": "(", "]": "[", "}": "{", "\u27e9": "\u27e8", "|": "|", "\u2016": "\u2016"}
OPERATOR = re.compile(
    r"\\operatorname\*?\{\s*([A-Za-z]+)(?:\\[,;: ]\s*([A-Za-z]+))?\s*\}"
)  # arg\,max
LIMITS = ("max", "min", "sup", "inf", "lim", "argmax", "argmin")  # their index stands below


def mathml(latex: str, *, block: bool = False) -> str:
    """One formula as a `<math>` element.

    Args:
        latex: without its dollars.
        block: a line of its own rather than within the text.

    Raises:
        ValueError: the formula is empty, or holds something that cannot be converted.
    """
    from latex2mathml.converter import convert

    text = OPERATOR.sub(r"\\operatorname{\1\2}", latex.replace(r"\displaystyle", "")).strip()
    try:
        made = convert(text, display="block" if block else "inline")
        root = ElementTree.fromstring(made.replace(f' xmlns="{NAMESPACE}"', ""))
    except Exception as error:  # the converter's own classes, and bare ones for broken input
        raise ValueError(_refuse(latex, type(error).__name__)) from None
    for element in root.iter():
        _put_right(element, block)
    for row in list(root.iter()):
        _gather_brackets(row)
    root.set("xmlns", NAMESPACE)
    made = ElementTree.tostring(root, encoding="unicode")
    if unknown := re.search(r"\\[A-Za-z]*|<mo />", made):
        raise ValueError(_refuse(latex, f"{unknown[0]} came of it"))
    return made


def _put_right(element: ElementTree.Element, block: bool) -> None:
    """Replace commands by their signs, and set limits below their operator in a block."""
    element.text = SIGNS.get(element.text or "", element.text)
    operator = "".join((element[0].text or "").split()) if len(element) else ""
    if block and element.tag == "msub" and operator in LIMITS:
        element.tag = "munder"


def _gather_brackets(row: ElementTree.Element) -> None:
    r"""Give an index of `\big]` the whole bracket: a browser lets only the ends of a row grow."""
    opened: list[ElementTree.Element] = []
    for child in list(row):
        has_index = child.tag in ("msub", "msup", "msubsup")
        bracket = child[0] if has_index else child
        if not _is_sized(bracket):
            continue
        if not opened or opened[-1].text != OPENING.get(bracket.text or ""):
            opened.append(bracket)
            continue
        start, end = list(row).index(opened.pop()), list(row).index(child)
        if has_index:
            inside = ElementTree.Element("mrow")
            inside.extend([*row[start:end], bracket])
            child[0] = inside
            del row[start:end]


def _is_sized(element: ElementTree.Element) -> bool:
    return element.tag == "mo" and "minsize" in element.attrib


def _refuse(latex: str, why: str) -> str:
    return f"cannot set the formula ${latex.strip()}$ ({why}); write it with simpler LaTeX commands"
