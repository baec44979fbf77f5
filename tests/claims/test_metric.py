"""The experiments on networks that learn people: arms, statements and measures, tiny."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from reidlab.claims import compare, run_experiment
from reidlab.claims.alignment import alignment_experiment
from reidlab.claims.catalog import EXPERIMENTS
from reidlab.claims.classics import METHODS, classics_experiment
from reidlab.claims.multibranch import MARGINS, measure, multibranch_experiment, split_branches
from reidlab.claims.pairwise import LOSSES, pairwise_experiment
from reidlab.claims.people import both_sides, cut_map, retrieval, train_people
from reidlab.data.readers import read_dataset
from reidlab.data.samplers import PKSampler
from reidlab.data.tuples import TupleSampler
from reidlab.embedding import Embeddings
from reidlab.models.multibranch import multibranch_small
from reidlab.recipes import recipe

SMALL = {"width": 8, "image_size": (64, 32), "pretrained": False}
TINY = {
    "ids": 24, "validation_ids": 3, "test_ids": 12, "images_per_id": 4, "cameras": 3,
    "size": (64, 32), "difficulty": "smoke", "distractors": 3, "junk": 2,
}  # fmt: skip
MADE = {
    "multibranch": multibranch_experiment,
    "pairwise": pairwise_experiment,
    "alignment": alignment_experiment,
}
METHOD = {"multibranch": "multibranch", "pairwise": "ianet", "alignment": "alignedreid"}


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return read_dataset("synthetic", tmp_path_factory.mktemp("data"), **TINY)


def tiny(name):
    """An experiment with one short epoch of a narrow network."""
    desk = recipe(METHOD[name], "desk")
    train = replace(desk.train, epochs=1, ids_per_batch=3, images_per_id=2)
    own = replace(desk, arguments={**desk.arguments, **SMALL}, train=train)
    return MADE[name](own, options=TINY)


def differs(experiment, arm, base):
    settings = experiment.settings
    names = settings[base].keys() | settings[arm].keys()
    pairs = {n: (settings[base].get(n), settings[arm].get(n)) for n in names}
    return {name: new for name, (old, new) in pairs.items() if old != new}


def test_arms_of_branches_differ_from_their_control_in_one_thing():
    own = tiny("multibranch")
    assert differs(own, "no-id", "reference") == {"classes": False}
    assert differs(own, "average", "reference") == {"arguments.branches": ["average"]}
    assert differs(own, "max", "reference") == {"arguments.branches": ["max"]}
    for margin in MARGINS:
        assert differs(own, f"margin-{margin:g}", "reference") == {"loss_arguments.margin": margin}
    assert differs(own, "all-ids", "reference") == {"loss_arguments.id_on": "all"}
    for arm, control in (("hard", "all-ids"), ("hard-no-id", "no-id")):
        changed = differs(own, arm, control)
        assert changed.pop("loss_arguments.mining") == "hard"
        assert changed.pop("train.sampler") == "pk"
        changed.pop("loss_arguments.id_on", None)  # mining classifies all images, as its control
        assert set(changed) <= {
            "train.ids_per_batch", "train.images_per_id", "train.epochs", "train.warmup_epochs",
        }  # fmt: skip


def test_mining_sees_nearly_as_many_images_as_triplets_do():
    own = EXPERIMENTS["multibranch"]()
    given, mined = own.arms["reference"].train, own.arms["hard"].train
    assert mined.batch_size == 3 * given.batch_size
    assert mined.epochs == 3 * given.epochs and mined.warmup_epochs == 3 * given.warmup_epochs
    pids = [pid for pid in range(150) for _ in range(16)]
    triplets = TupleSampler(pids, "triplets", given.batch_size)
    batches = PKSampler(pids, mined.ids_per_batch, mined.images_per_id)
    shown = given.epochs * sum(map(len, triplets)), mined.epochs * sum(map(len, batches))
    assert 0.95 < shown[1] / shown[0] <= 1


def test_arms_of_pairwise_losses_are_plain_and_those_of_blocks_are_not():
    own = tiny("pairwise")
    blocks = {"released", "renormalised"}
    trained = {"trained-plain", *(f"trained-{name}" for name in blocks)}
    assert set(own.arms) == {"none", *LOSSES, *blocks, *trained}
    for loss in LOSSES:
        assert differs(own, loss, "none") == {"loss_arguments.pairwise": loss}
        assert own.arms[loss].arguments["stages"] == ()
    for start, plain in (("", "triplet"), ("trained-", "trained-plain")):
        released, other = f"{start}released", f"{start}renormalised"
        assert differs(own, other, released) == {"arguments.fusion": "renormalised"}
        assert set(differs(own, released, plain)) <= {"arguments.stages", "arguments.fusion"}
        assert own.arms[released].arguments.get("stages", (2, 3)) != ()


def test_arms_from_random_weights_differ_from_trained_ones_in_start_and_epochs():
    own = EXPERIMENTS["pairwise"]()
    changed = differs(own, "released", "trained-released")
    assert set(changed) == {"arguments.pretrained", "start", "train.epochs"}


def test_arms_of_alignment_differ_in_the_distance_they_train():
    own = tiny("alignment")
    assert differs(own, "straight", "aligned") == {"loss_arguments.aligned": False}


@pytest.mark.parametrize("name", [*MADE, "classics"])
def test_the_experiment_of_the_course_uses_desk_recipes_and_three_seeds(name):
    own = EXPERIMENTS[name]()
    assert own.seeds[:3] == (0, 1, 2) and own.dataset == "synthetic"
    assert {arm.profile for arm in own.arms.values()} == {"desk"}
    names = [statement.name for statement in own.statements]
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize(
    ("name", "arm"),
    [("multibranch", "reference"), ("multibranch", "no-id"), ("multibranch", "average"),
     ("multibranch", "hard-no-id"), ("pairwise", "none"), ("pairwise", "renormalised"),
     ("alignment", "straight")],
)  # fmt: skip
def test_an_arm_runs_from_images_to_what_its_statements_need(name, arm, splits, tmp_path):
    own = tiny(name)
    if arm.startswith("hard"):
        train = replace(own.arms[arm].train, ids_per_batch=3, images_per_id=2, epochs=1)
        own = replace(own, arms={**own.arms, arm: replace(own.arms[arm], train=train)})
    table = run_experiment(own, out=tmp_path, seeds=[0], only=[arm], splits=splits)
    measures = table.runs_of(arm)[0]
    assert own.needs(arm) <= set(measures)
    assert all(0 <= value <= 1 for key, value in measures.items() if "length" not in key)
    assert compare(table, own).state == "incomplete"


def test_classics_are_ranked_as_their_recipes_say(splits, tmp_path):
    own = classics_experiment(options=TINY)
    assert tuple(own.arms) == METHODS
    desk = own.arms["siamese"]
    train = replace(desk.train, epochs=1, ids_per_batch=3, images_per_id=2)
    arm = replace(desk, arguments={**desk.arguments, **SMALL}, train=train)
    changed = replace(own, arms={**own.arms, "siamese": arm})
    table = run_experiment(changed, out=tmp_path, seeds=[0], only=["siamese"], splits=splits)
    sides = both_sides(train_people(arm, splits, 0), splits, flip=arm.flip)
    assert table.runs_of("siamese")[0] == retrieval(*sides)


def test_the_same_seed_gives_the_same_network_and_another_one_does_not(splits):
    arm = tiny("multibranch").arms["reference"]
    one, same, other = (train_people(arm, splits, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_each_branch_is_scored_by_its_own_columns(splits):
    model = multibranch_small(24, width=8, image_size=(64, 32))
    found, units = measure(model.eval(), splits), []
    for name in ("average", "max"):
        model.descriptor = name
        query, gallery = both_sides(model, splits)
        assert retrieval(query, gallery)["mAP"] == pytest.approx(found[f"mAP/{name}"])
        assert gallery.features.norm(dim=1).mean() == pytest.approx(found[f"length/{name}"])
        units.append((F.normalize(query.features), F.normalize(gallery.features)))
    sides = [torch.cat(parts, dim=1) for parts in zip(*units, strict=True)]
    pair = [replace(s, features=x) for s, x in zip((query, gallery), sides, strict=True)]
    assert retrieval(*pair)["mAP"] == pytest.approx(found["mAP/unit"])
    halves = split_branches(Embeddings(torch.arange(8.0).view(2, 4), [1, 2], [1, 1]), 2)
    assert [half.features.tolist() for half in halves] == [
        [[0.0, 1.0], [4.0, 5.0]],
        [[2.0, 3.0], [6.0, 7.0]],
    ]


def test_the_cut_list_keeps_the_own_camera_and_divides_by_all():
    """One query, 100 gallery images: hits at places 1 (own camera) and 90 (beyond the cut)."""
    places = torch.arange(100.0)[None]
    pids = [9] * 100
    pids[0], pids[89] = 5, 5
    query = Embeddings(torch.zeros(1, 2), [5], [1])
    gallery = Embeddings(torch.stack([torch.ones(100), places[0] / 10], 1), pids, [1] * 100)
    query = replace(query, features=torch.tensor([[1.0, 0.0]]))
    assert cut_map(query, gallery) == pytest.approx(0.5)
