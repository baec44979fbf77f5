"""What attributes mean: 27 columns on disk, twelve heads in a network.

*Labels* are what files hold, column -> code, codes counting from 1. *Classes* are what a network
predicts, head -> index, indices counting from 0. The colour columns of a garment become one head,
with the class "multi" for all of them 1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral

log = logging.getLogger(__name__)

Labels = Mapping[str, int]

COLUMNS = (
    "age", "backpack", "bag", "handbag", "clothes", "down", "up", "hair", "hat", "gender",
    "upblack", "upwhite", "upred", "uppurple", "upyellow", "upgray", "upblue", "upgreen",
    "downblack", "downwhite", "downpink", "downpurple", "downyellow", "downgray", "downblue",
    "downgreen", "downbrown",
)  # fmt: skip
"""The 27 columns, in the order of the CSV files and of the `.mat` file's `test` struct."""

TRAIN_COLUMNS = (
    "age", "backpack", "bag", "handbag",
    "downblack", "downblue", "downbrown", "downgray", "downgreen", "downpink", "downpurple",
    "downwhite", "downyellow", "upblack", "upblue", "upgreen", "upgray", "uppurple", "upred",
    "upwhite", "upyellow", "clothes", "down", "up", "hair", "hat", "gender",
)  # fmt: skip
"""The same columns in the order of the `.mat` file's `train` struct: readers must go by name."""

UP_COLORS = ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")
DOWN_COLORS = ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown")
COLORS = {"up": UP_COLORS, "down": DOWN_COLORS}

NO_YES = ("no", "yes")
PLAIN_HEADS = {
    "age": ("young", "teenager", "adult", "old"),
    "backpack": NO_YES,
    "bag": NO_YES,
    "handbag": NO_YES,
    "clothes": ("dress", "trousers"),
    "down": ("long", "short"),
    "up": ("long", "short"),
    "hair": ("short", "long"),
    "hat": NO_YES,
    "gender": ("male", "female"),
}
"""Heads that are one column: names of the codes 1, 2, ..."""

HEADS = PLAIN_HEADS | {
    "up_color": (*UP_COLORS, "multi"),
    "down_color": (*DOWN_COLORS, "multi"),
}
"""The twelve heads with the names of their classes in index order: 41 logits."""


MEANINGS = {name: PLAIN_HEADS.get(name, NO_YES) for name in COLUMNS}
"""Column -> what its codes 1, 2, ... mean."""


def complaint(labels: Labels) -> str:
    """What is wrong with the labels of one person; an empty string when nothing is."""
    if missing := [name for name in COLUMNS if name not in labels]:
        return f"missing {', '.join(missing)}; expected all 27 columns"
    if unknown := [str(name) for name in labels if name not in MEANINGS]:
        return f"unknown columns {', '.join(unknown)}; expected the 27 of Market-1501"
    for name, meanings in MEANINGS.items():
        code = labels[name]
        whole = type(code) is int or (isinstance(code, Integral) and not isinstance(code, bool))
        if not whole or not 1 <= code <= len(meanings):
            allowed = ", ".join(f"{i} {meaning}" for i, meaning in enumerate(meanings, start=1))
            return f"column {name} is {code!r}, expected one of: {allowed}"
    for garment, colors in COLORS.items():
        worn = [garment + color for color in colors if labels[garment + color] == 2]
        if len(worn) > 1:
            return (
                f"columns {', '.join(worn)} are all 2, expected at most one colour per garment; "
                "several colours are written as 1 in every colour column"
            )
    return ""


def classes(labels: Labels) -> dict[str, int]:
    """Head -> class index, from the labels of one person.

    Raises:
        ValueError: a column is missing, unknown or out of range.
    """
    if problem := complaint(labels):
        raise ValueError(problem)
    found = {head: int(labels[head]) - 1 for head in PLAIN_HEADS}
    for garment, colors in COLORS.items():
        worn = [i for i, color in enumerate(colors) if labels[garment + color] == 2]
        found[f"{garment}_color"] = worn[0] if worn else len(colors)  # the last is "multi"
    return found


def labels_of(classes: Mapping[str, int]) -> dict[str, int]:
    """Column -> code in the order of `COLUMNS`: the inverse of `classes`.

    Raises:
        ValueError: a head is missing or unknown, or has no such class.
    """
    if set(classes) != set(HEADS):
        raise ValueError(f"expected the heads {', '.join(HEADS)}; got {', '.join(classes)}")
    for head, names in HEADS.items():
        if classes[head] not in range(len(names)):
            raise ValueError(
                f"{head} has no class {classes[head]}; expected 0 to {len(names) - 1} "
                f"({', '.join(names)})"
            )
    labels = {head: int(classes[head]) + 1 for head in PLAIN_HEADS}
    for garment, colors in COLORS.items():
        worn = int(classes[f"{garment}_color"])
        labels |= {garment + color: 1 + (i == worn) for i, color in enumerate(colors)}
    return labels


def counts(people: Mapping[int, Labels] | Iterable[Labels]) -> dict[str, list[int]]:
    """Head -> how many people (or images) are of each class.

    Args:
        people: an `AttributeTable` or another mapping from person id to labels, or just labels,
            for instance one per image: `counts(sample.attributes for sample in samples)`.
    """
    found = {head: [0] * len(names) for head, names in HEADS.items()}
    for labels in people.values() if isinstance(people, Mapping) else people:
        for head, index in classes(labels).items():
            found[head][index] += 1
    return found


def class_weights(counts: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
    r"""Head -> weight of each class in its cross-entropy, 1 for the most frequent one.

    .. math:: w_c = \max_k n_k / n_c

    A class that nobody has gets weight 0 and a warning: nothing can be learnt about it.

    Args:
        counts: as `counts` gives them, over the people or images to train on.

    Raises:
        ValueError: a head is missing, has another number of classes, or counts nobody.
    """
    weights = {}
    for head, names in HEADS.items():
        numbers = list(counts.get(head, ()))
        if len(numbers) != len(names) or min(numbers) < 0 or max(numbers) == 0:
            raise ValueError(
                f"{head} has counts {numbers}, expected {len(names)} that are not all 0 "
                f"({', '.join(names)})"
            )
        if empty := [name for name, n in zip(names, numbers, strict=True) if n == 0]:
            log.warning("%s: nobody is %s; these classes get weight 0", head, ", ".join(empty))
        weights[head] = [max(numbers) / n if n else 0.0 for n in numbers]
    return weights


def majority(
    train: Mapping[int, Labels] | Iterable[Labels], test: Mapping[int, Labels] | Iterable[Labels]
) -> tuple[dict[str, float], float]:
    """Accuracy of always answering the most frequent class of `train`: what a network must beat.

    Args:
        train: labels that decide the answer; of equally frequent classes the first is taken.
        test: labels that the answer is compared with.

    Returns:
        Head -> accuracy on `test` in 0..1, and the plain mean over the twelve heads.

    Raises:
        ValueError: `train` or `test` is empty.
    """
    known, asked = counts(train), counts(test)
    total = sum(asked["age"])
    if not total or not sum(known["age"]):
        raise ValueError(
            f"expected people on both sides, got {sum(known['age'])} in train, {total} in test"
        )
    accuracy = {
        head: asked[head][numbers.index(max(numbers))] / total for head, numbers in known.items()
    }
    return accuracy, sum(accuracy.values()) / len(accuracy)
