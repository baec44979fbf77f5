"""The method and the recipe that the first words of `reidlab train` ask for."""

from __future__ import annotations

from collections.abc import Sequence

from reidlab.recipes import Recipe, recipe
from reidlab.recipes.transreid import published


def split_method(
    command: str, methods: Sequence[str], argv: Sequence[str]
) -> tuple[str, list[str]]:
    """The method and the other words; `--help` alone explains the first method.

    Raises:
        ValueError: no such method.
    """
    if argv and argv[0] in methods:
        return argv[0], list(argv[1:])
    if argv and argv[0] in ("-h", "--help"):
        return methods[0], list(argv)
    found = f"unknown method {argv[0]!r}" if argv and not argv[0].startswith("-") else "no method"
    raise ValueError(
        f"{found}; write `reidlab {command} METHOD ...` with one of these: {', '.join(methods)}"
    )


def recipe_of(method: str, argv: Sequence[str]) -> Recipe:
    """The recipe, chosen before the real parsing since it decides the defaults of all flags.

    Raises:
        ValueError: --like without a published configuration to choose from.
    """
    profile = "paper" if _given("--profile", argv) == "paper" else "desk"
    like = _given("--like", argv)
    if like is None:
        return recipe(method, profile)
    if (method, profile) != ("transreid", "paper"):
        raise ValueError(f"--like is for transreid --profile paper, not for {method} {profile}")
    return published(like, vit=_given("--vit", argv) or "vit_base")


def _given(flag: str, argv: Sequence[str]) -> str | None:
    """The word after a flag; None where the flag is not there."""
    words = " ".join(argv).replace("=", " ").split()
    pairs = zip(words, words[1:], strict=False)
    return next((after for word, after in pairs if word == flag), None)
