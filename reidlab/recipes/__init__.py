"""Method x profile -> network, loss and training: plain records, sources beside the numbers."""

from __future__ import annotations

from reidlab.recipes import (
    alignedreid,
    attributes,
    baseline,
    deep_cosine,
    ianet,
    la_transformer,
    multibranch,
    siamese,
    supervised,
    transreid,
)
from reidlab.recipes.record import Recipe

__all__ = ["PRETRAINING", "PROFILES", "RECIPES", "Recipe", "recipe"]

PROFILES = ("desk", "paper")
PRETRAINING = ("supervised",)  # methods whose outcome is a start for others

RECIPES = {
    (each.method, each.profile): each
    for method in (
        baseline,
        attributes,
        siamese,
        multibranch,
        deep_cosine,
        alignedreid,
        ianet,
        la_transformer,
        transreid,
        supervised,
    )
    for each in (method.DESK, method.PAPER)
}


def recipe(method: str, profile: str = "desk") -> Recipe:
    """The recipe of `method` under `profile`.

    Raises:
        ValueError: no such method or profile; the message lists those there are.
    """
    if (method, profile) not in RECIPES:
        methods = ", ".join(sorted({name for name, _ in RECIPES}))
        raise ValueError(
            f"no recipe for method {method!r} and profile {profile!r}; methods: {methods}; "
            f"profiles: {', '.join(PROFILES)}"
        )
    return RECIPES[method, profile]
