"""Synthetic sets that a lesson asks for by name: `read_dataset("synthetic", variant="wide")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "wide": {
        "ids": 1600,
        "images_per_id": 2,
        "validation_ids": 200,
        "test_ids": 800,
        "distractors": 0,
        "junk": 0,
    },
    "crowd": {
        "ids": 1000,
        "images_per_id": 8,
        "validation_ids": 50,
        "test_ids": 50,
        "distractors": 100,
        "junk": 0,
        "seed": 7,
    },
    "abroad": {
        "ids": 1000,
        "images_per_id": 8,
        "validation_ids": 50,
        "test_ids": 50,
        "distractors": 100,
        "junk": 0,
        "world": "b",
        "seed": 7,
    },
    "vivid": {"style": 1.0},
    "mild": {"style": 0.2},
}
"""Name -> options. "wide" has many people with two images each, for what is learnt about people
(attributes): a second image of the same person says nothing new about who wears hats. "crowd" and
"abroad" are what the shipped starting weights were trained on; their people are in no other set,
and those of "abroad" walk past other cameras, too. "vivid" and "mild" are the default set seen by
cameras that differ in color and sharpness as much as they can, or little."""


def with_variant(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the synthetic set, a `variant` among them spelled out; others win over it.

    Raises:
        ValueError: there is no such variant.
    """
    named = {name: value for name, value in options.items() if name != "variant"}
    variant = options.get("variant")
    if variant is None:
        return named
    if variant not in VARIANTS:
        raise ValueError(
            f"synthetic has no variant {variant!r}; choose one of: {', '.join(VARIANTS)}, or leave "
            "it out"
        )
    return VARIANTS[variant] | named
