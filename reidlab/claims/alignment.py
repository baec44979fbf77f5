"""The experiment "alignment": aligned against straight local distances, on good and bad boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from reidlab.claims.effects import Measure
from reidlab.claims.experiment import Experiment
from reidlab.claims.people import both_sides, named, retrieval, train_people
from reidlab.claims.record import Statement
from reidlab.data.misalign import misaligned
from reidlab.data.samples import Splits
from reidlab.models.aligned import AlignedReID
from reidlab.ranking.aligned import dmli_distance, local_distance
from reidlab.recipes import Recipe, recipe

ZHANG = "Zhang et al. 2017, AlignedReID (arXiv:1711.08184)"
LUO = "Luo et al. 2019, AlignedReID++ (Pattern Recognition 94)"
CUT = 0.3  # largest share of rows that a misaligned box lacks
BOXES = ("drawn", "cut")


def alignment_experiment(reference: Recipe | None = None, **changes: Any) -> Experiment:
    """The experiment "alignment" on the default synthetic set.

    Args:
        reference: the recipe that both arms are variants of; by default the desk recipe.
        changes: other fields of the experiment, such as `options` of a smaller dataset.
    """
    own = recipe("alignedreid", "desk") if reference is None else reference
    arms = {
        name: replace(own, loss_arguments={**own.loss_arguments, "aligned": name == "aligned"})
        for name in ("aligned", "straight")
    }
    experiment = Experiment(
        name="alignment",
        title="stripes compared along the best alignment, or each with its counterpart",
        arms=arms,
        statements=statements(),
        measure=run_arm,
        dataset="synthetic",
    )
    return replace(experiment, **changes)


def statements() -> tuple[Statement, ...]:
    """Where alignment should help, where it should not, and what it adds to a global feature."""
    path = (
        "where a box is cut, row i of one image shows what row j shows in another: the aligned "
        "distance may compare these two, the straight one may not"
    )
    words = {
        "cut": f"whose boxes lack up to {100 * CUT:.0f} % of their rows",
        "drawn": "in boxes as they are drawn",
    }
    found = [
        Statement(
            f"local-{boxes}",
            f"Aligned local distances rank people {words[boxes]} better than straight ones",
            ZHANG,
            f"{path}. Same network, trained with aligned distances",
            treatment="aligned",
            control="aligned",
            measures=(Measure(f"aligned/{boxes}", "mAP, local only", against=f"straight/{boxes}"),),
            versus="straight distances",
        )
        for boxes in BOXES
    ]
    found += [
        Statement(
            f"trained-{boxes}",
            f"Trained and ranked with aligned distances is better than both straight, for people "
            f"{words[boxes]}",
            ZHANG,
            f"{path}; here each network is ranked as it was trained",
            treatment="aligned",
            control="straight",
            measures=(
                Measure(f"aligned/{boxes}", "mAP, local only", against=f"straight/{boxes}"),
                Measure(
                    f"both-aligned/{boxes}", "mAP, global too", against=f"both-straight/{boxes}"
                ),
            ),
        )
        for boxes in BOXES
    ]
    found += [
        Statement(
            f"dmli-{boxes}",
            f"The aligned local distance, added to the global one, helps for people {words[boxes]}",
            f"{LUO}: Market-1501 mAP 75.9 with the global distance, 77.6 with both",
            "the local features are stripes of the same map, not averaged over the whole body",
            treatment="aligned",
            control="aligned",
            measures=(Measure(f"both-aligned/{boxes}", "mAP", against=f"global/{boxes}"),),
            versus="global only",
        )
        for boxes in BOXES
    ]
    found += [
        Statement(
            f"dmli-alignment-{boxes}",
            "Beside the global distance, aligned stripes beat straight ones for people "
            f"{words[boxes]}",
            LUO,
            f"{path}. Same network, trained with aligned distances",
            treatment="aligned",
            control="aligned",
            measures=(Measure(f"both-aligned/{boxes}", "mAP", against=f"both-straight/{boxes}"),),
            versus="global and straight",
        )
        for boxes in BOXES
    ]
    return tuple(found)


def run_arm(arm: Recipe, splits: Splits, seed: int) -> dict[str, float]:
    """Train one arm and rank the test people with it, in good and in bad boxes; no mirrors."""
    model = train_people(arm, splits, seed)
    found = measure(model, splits, "drawn")
    return found | measure(misaligned(model, cut=CUT, seed=seed), splits, "cut")


def measure(model: nn.Module, splits: Splits, boxes: str) -> dict[str, float]:
    """The mAP of five distances, as `global/BOXES`, `aligned/BOXES`, `both-aligned/BOXES`, ..."""
    if not isinstance(model, AlignedReID):
        raise ValueError(f"expected a network with stripes, got {type(model).__name__}")
    whole, local = both_sides(model, splits), both_sides(model, splits, neck="local")
    found = {"global": retrieval(*whole)["mAP"]}
    for name in ("aligned", "straight"):
        settings = {"stripes": model.num_stripes, "aligned": name == "aligned"}
        found[name] = retrieval(*local, local_distance(*local, **settings))["mAP"]
        total = dmli_distance(*whole, *local, **settings)
        found[f"both-{name}"] = retrieval(*whole, total)["mAP"]
    return named(found, boxes)
