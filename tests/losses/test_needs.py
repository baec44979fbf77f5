"""Every loss accepts the samplers whose batches it can use, and no others."""

import functools
import typing

import pytest

from reidlab import losses
from reidlab.data.readers import read_dataset
from reidlab.losses.needs import EXCEPTIONS, SAMPLERS, check_sampler
from reidlab.models.baseline import baseline_small
from reidlab.recipes import RECIPES
from reidlab.training import TrainConfig, fit

ALL = ("pk", "groups", "shuffle", "pairs", "triplets")
GROUPED, PLAIN = {"pk", "groups"}, {"pk", "groups", "shuffle"}
CASES = [
    ("reid_loss", {}, GROUPED),
    ("aligned_loss", {}, GROUPED),
    ("mutual_loss", {}, GROUPED),
    ("soft_triplet_loss", {}, GROUPED),
    ("pair_loss", {"margin": 2.0}, {"pairs"}),
    ("multibranch_loss", {}, {"triplets"}),
    ("multibranch_loss", {"mining": "given"}, {"triplets"}),
    ("multibranch_loss", {"mining": "hard"}, GROUPED),
    ("multibranch_loss", {"mining": "all"}, GROUPED),
    ("multibranch_loss", {"mining": "weighted"}, GROUPED),
    ("id_and_pairwise_loss", {}, GROUPED),
    ("id_and_pairwise_loss", {"pairwise": "circle"}, GROUPED),
    ("id_and_pairwise_loss", {"pairwise": "none"}, PLAIN),
    ("id_and_pairwise_loss", {"pairwise": None}, PLAIN),
    ("la_loss", {}, PLAIN),
    ("la_loss", {"identity": "am-softmax"}, PLAIN),
    ("la_loss", {"triplet": 0.5}, GROUPED),
    ("flip_loss", {}, GROUPED),
    ("cosine_softmax_loss", {}, PLAIN),
    ("attribute_loss", {}, PLAIN),
]


def loss_named(name):
    from reidlab.losses import deep_cosine

    return getattr(losses, name, None) or getattr(deep_cosine, name)


def accepted(loss):
    found = set()
    for sampler in ALL:
        try:
            check_sampler(loss, sampler)
            found.add(sampler)
        except ValueError as error:
            assert f"got {sampler} (" in str(error)
    return found


@pytest.mark.parametrize(("name", "settings", "wanted"), CASES)
def test_a_loss_accepts_what_it_can_use(name, settings, wanted):
    loss = loss_named(name)
    assert accepted(functools.partial(loss, **settings)) == wanted
    if not settings:
        assert accepted(loss) == wanted


def test_a_loss_that_learns_is_known_by_its_class():
    loss = losses.ReidCenterLoss(3, 4)
    assert accepted(loss) == accepted(losses.ReidCenterLoss) == GROUPED


def test_losses_of_others_pass_with_every_sampler():
    class Own:
        def __call__(self, model, batch):
            return {}

    assert accepted(lambda model, batch: {}) == accepted(Own()) == set(ALL)


def test_every_loss_of_a_batch_and_every_recipe_is_covered():
    for each in RECIPES.values():
        check_sampler(functools.partial(each.loss, **each.loss_arguments), each.train.sampler)
    public = [getattr(losses, name) for name in losses.__all__]
    own = [x for x in public if callable(x) and "batch" in typing.get_type_hints(x)]
    assert len(own) > 5 and set(own) <= set(SAMPLERS) and set(EXCEPTIONS) <= set(SAMPLERS)


def test_the_message_says_what_to_change():
    loss = functools.partial(losses.multibranch_loss, mining="hard")
    wanted = "^mining hard needs sampler pk or groups, got triplets .--mining hard --sampler pk.$"
    with pytest.raises(ValueError, match=wanted):
        check_sampler(loss, "triplets")
    with pytest.raises(ValueError, match="^pair_loss needs sampler pairs, got pk .--sampler pairs"):
        check_sampler(losses.pair_loss, "pk")


def test_training_is_refused_before_it_begins(market_folder, tmp_path):
    people = read_dataset(market_folder).train
    model = baseline_small(4, width=4, image_size=(32, 16))
    config = TrainConfig(ids_per_batch=2, images_per_id=2, device="cpu", out=tmp_path / "run")
    with pytest.raises(ValueError, match="pair_loss needs sampler pairs, got pk"):
        fit(model, people, losses.pair_loss, config)
    assert not (tmp_path / "run").exists()
