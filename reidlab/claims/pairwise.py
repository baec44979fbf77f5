"""The experiment "pairwise": which pairwise loss beside cross-entropy, and what IA blocks add."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reidlab.claims.experiment import Experiment
from reidlab.claims.people import MAP, RANK1, both_sides, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.samples import Splits
from reidlab.recipes import Recipe, recipe

TABLE = (
    "a project report (Kumar, Nawkar, Shelar, Indian Institute of Technology Bombay), table 2.1, "
    "which repeats the rows of the public project Simple-ReID"
)
HOU = "Hou et al. 2019, Interaction-and-Aggregation Network (CVPR)"
LOSSES = ("triplet", "contrastive", "cosface", "circle")
TRUNK, EPOCHS = "crowd", 3  # of the arms that start from a trained trunk


def pairwise_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "pairwise" on the default synthetic set.

    Losses are compared from random weights: from a trained trunk all of them end near the same
    ceiling. The blocks are compared from both starts.

    Args:
        reference: the recipe of the network with IA blocks; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("ianet", "desk") if reference is None else reference
    plain = with_arguments(own, stages=())
    trained = replace(
        with_arguments(own, pretrained=TRUNK), train=replace(own.train, epochs=EPOCHS)
    )
    arms = {
        "none": with_pairwise(plain, "none"),
        **{name: with_pairwise(plain, name) for name in LOSSES},
        "released": with_arguments(own, fusion="released"),
        "renormalised": with_arguments(own, fusion="renormalised"),
        "trained-plain": with_arguments(trained, stages=()),
        "trained-released": with_arguments(trained, fusion="released"),
        "trained-renormalised": with_arguments(trained, fusion="renormalised"),
    }
    experiment = Experiment(
        name="pairwise",
        title="cross-entropy with each pairwise loss; IA blocks in the trunk",
        arms=arms,
        statements=statements(),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def with_arguments(own: Recipe, **arguments: Any) -> Recipe:
    """The same recipe with another network."""
    return replace(own, arguments={**own.arguments, **arguments})


def with_pairwise(own: Recipe, name: str) -> Recipe:
    """The same recipe with another pairwise loss."""
    return replace(own, loss_arguments={**own.loss_arguments, "pairwise": name})


def statements() -> tuple[Statement, ...]:
    """The order of the table, whether any of it matters, and what the blocks are worth."""
    same = "{}. A plain network without IA blocks, as in the table, but from random weights"
    hardest = "the triplet loss takes the hardest pair of each kind, {} weighs all of them"
    return (
        Statement(
            "pairwise",
            "A triplet loss beside cross-entropy improves retrieval",
            "Luo et al. 2019 (arXiv:1903.07071), and the table's premise",
            "cross-entropy places people around class weights that nobody uses at the test; a "
            "pairwise loss shapes the distances that are ranked",
            treatment="triplet",
            control="none",
            measures=(MAP, RANK1),
        ),
        Statement(
            "triplet-contrastive",
            "Beside cross-entropy, the triplet loss ranks better than the contrastive loss",
            f"{TABLE}: 86.6 against 86.4 on Market-1501",
            same.format(hardest.format("the contrastive loss")),
            treatment="triplet",
            control="contrastive",
            measures=(MAP,),
        ),
        Statement(
            "contrastive-cosface",
            "Beside cross-entropy, the contrastive loss ranks better than pairwise CosFace",
            f"{TABLE}: 86.4 against 86.2 on Market-1501",
            same.format("each positive against all negatives, or all against all"),
            treatment="contrastive",
            control="cosface",
            measures=(MAP,),
        ),
        Statement(
            "triplet-cosface",
            "Beside cross-entropy, the triplet loss ranks better than pairwise CosFace",
            f"{TABLE}: 86.6 against 86.2 on Market-1501",
            same.format(hardest.format("CosFace")),
            treatment="triplet",
            control="cosface",
            measures=(MAP,),
        ),
        Statement(
            "triplet-circle",
            "Beside cross-entropy, the triplet loss ranks better than pairwise Circle",
            "ours: the table has no such row",
            same.format(hardest.format("Circle")),
            treatment="triplet",
            control="circle",
            measures=(MAP,),
        ),
        *blocks("", "from random weights"),
        *blocks("trained-", "from a trained trunk"),
    )


def blocks(prefix: str, start: str) -> tuple[Statement, Statement]:
    """What IA blocks and an uneven attention are worth, from one start."""
    plain = f"{prefix}plain" if prefix else "triplet"
    return (
        Statement(
            f"{prefix}ia-released",
            f"IA blocks, as released, improve the plain network ({start})",
            HOU,
            "after stages 2 and 3 each place receives what similar places hold; as released the "
            "attention is nearly uniform, so each place receives nearly the mean of the map",
            treatment=f"{prefix}released",
            control=plain,
            measures=(MAP, RANK1),
        ),
        Statement(
            f"{prefix}ia-renormalised",
            f"An attention that is really uneven improves on the released one ({start})",
            "ours: the same product of appearance and place, normalised without a second softmax",
            "the released block takes a softmax of a product of two softmaxes, which lie so close "
            "to zero that their exponentials are all nearly one",
            treatment=f"{prefix}renormalised",
            control=f"{prefix}released",
            measures=(MAP, RANK1),
        ),
    )


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it."""
    model = train_people(arm, splits, seed)
    return retrieval(*both_sides(model, splits, flip=arm.flip))
