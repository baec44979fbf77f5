"""Which blocks train when, that frozen weights stay, and that a stopped run repeats itself."""

import dataclasses

import pytest
import torch

from reidlab.claims.settings import changed, fingerprint, settings_of
from reidlab.data.readers import read_dataset
from reidlab.losses import id_loss, la_loss
from reidlab.models.baseline import baseline_small
from reidlab.models.la_transformer import la_transformer_base, la_transformer_small
from reidlab.models.transreid import transreid_small
from reidlab.recipes import recipe
from reidlab.training import TrainConfig, fit, learning_rate
from reidlab.training.objective import Objective, Optimizers
from reidlab.training.unfreezing import BlockWise, first_open

TINY = {"width": 8, "heads": 2, "bottleneck": 4, "image_size": (32, 32)}
SETTINGS = {"epochs": 5, "ids_per_batch": 2, "images_per_id": 2, "device": "cpu", "lr": 1e-3}
SETTINGS |= {"unfreeze_every": 2, "optimizer": "adam", "weight_decay": 0.1, "sampler": "shuffle"}


@pytest.fixture
def people(market_folder):
    return read_dataset(market_folder).train


def network(depth=5, **changes):
    return la_transformer_small(4, **(TINY | {"depth": depth} | changes))


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def open_blocks(model):
    return [all(p.requires_grad for p in block.parameters()) for block in model.trunk.blocks]


def weights(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def figures(history):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
        for row in history.rows
    ]


def by_the_notebook(epoch, depth, every):
    """What the released loop opens: at each step the blocks from index depth - 1 - k on."""
    opened, k = set(), 0
    for now in range(epoch + 1):
        if now % every == 0:
            k += 1
            opened |= set(list(range(depth))[depth - 1 - k :])  # a negative index opens the last
    return [index in opened for index in range(depth)]


@pytest.mark.parametrize(("depth", "every"), [(12, 2), (4, 1), (5, 3), (1, 2), (2, 1)])
def test_blocks_open_as_in_the_released_notebook(depth, every):
    model = network(depth)
    blocks = BlockWise(model, every)
    for epoch in range(3 * depth):
        blocks.open(epoch)
        expected = by_the_notebook(epoch, depth, every)
        assert open_blocks(model) == expected, epoch
        assert first_open(epoch, depth, every) == expected.index(True)


def test_the_published_network_trains_as_many_weights_as_its_log_says():
    with torch.device("meta"):
        model = la_transformer_base(751)
    unused = 769 * 751  # a classifier in the released trunk, which nothing reads
    train = recipe("la-transformer", "paper").train
    blocks, found = BlockWise(model, train.unfreeze_every), []
    for epoch in range(train.epochs):
        blocks.open(epoch)
        found.append(trainable(model) + unused)
    steps = [20_962_817 + 7_087_872 * step for step in range(11)]
    assert found == [steps[min(epoch // 2, 10)] for epoch in range(30)]
    assert found[19] < found[20] == found[29] == 91_841_537


def test_the_paper_recipe_lowers_the_rate_as_its_notebook():
    train = recipe("la-transformer", "paper").train
    rates = [learning_rate(train, epoch, done, 3e-4) for epoch in range(30) for done in (0.1, 1)]
    assert rates[:5] == pytest.approx([2.4e-4] * 4 + [1.92e-4])
    assert rates[-4:] == pytest.approx([1.0555e-5] * 4, rel=1e-4)


def test_frozen_weights_stay_and_the_others_move(people):
    model, seen = network(), []
    before = weights(model)

    def note(epoch, model, row):
        state = model.state_dict()
        moved = [
            not all(torch.equal(state[key], before[key]) for key in state if f"blocks.{i}." in key)
            for i in range(5)
        ]
        elsewhere = [key for key in state if "blocks" not in key and "linear.bias" not in key]
        seen.append((moved, all(not torch.equal(state[k], before[k]) for k in elsewhere)))

    fit(model, people, la_loss, TrainConfig(**SETTINGS), on_epoch=note)
    assert [sum(moved) for moved, _ in seen] == [2, 2, 3, 3, 4]
    assert all(moved == sorted(moved) for moved, _ in seen)  # the last ones first
    assert all(elsewhere for _, elsewhere in seen)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_gradient_from_before_does_not_move_a_frozen_block(people, optimizer):
    model = network()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = weights(model.trunk.blocks[0])
    config = TrainConfig(**SETTINGS | {"optimizer": optimizer, "epochs": 1, "clip_norm": 1.0})
    fit(model, people, la_loss, config)
    assert same(before, weights(model.trunk.blocks[0]))


def test_all_is_open_again_afterwards_and_what_was_fixed_before_stays_fixed(people):
    model = network()
    model.trunk.blocks[0].norm1.bias.requires_grad_(False)
    model.trunk.blocks[4].norm1.bias.requires_grad_(False)
    wanted = [p.requires_grad for p in model.parameters()]
    fit(model, people, la_loss, TrainConfig(**SETTINGS | {"epochs": 1}))
    assert [p.requires_grad for p in model.parameters()] == wanted

    def stop(epoch, model, row):
        assert not open_blocks(model)[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, people, la_loss, TrainConfig(**SETTINGS), on_epoch=stop)
    assert [p.requires_grad for p in model.parameters()] == wanted


class Stop(Exception):
    """Raised by a test in the place of a power cut."""


@pytest.mark.parametrize("stopped", [1, 2, 3])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_stopped_run_continues_bit_for_bit(people, tmp_path, optimizer, stopped):
    settings = SETTINGS | {"optimizer": optimizer, "unfreeze_every": 1}
    whole = network()
    expected = fit(whole, people, la_loss, TrainConfig(**settings))

    def stop(epoch, model, row):
        if epoch == stopped:
            raise Stop

    config = TrainConfig(**settings, out=tmp_path)
    with pytest.raises(Stop):
        fit(network(), people, la_loss, config, on_epoch=stop)
    resumed = network()
    assert figures(fit(resumed, people, la_loss, config)) == figures(expected)
    assert same(weights(whole), weights(resumed))


def test_it_changes_the_result_and_is_part_of_the_run(people, tmp_path):
    ends = []
    for every in (1, 2, None):
        model = network()
        fit(model, people, la_loss, TrainConfig(**SETTINGS | {"unfreeze_every": every}))
        ends.append(weights(model))
    assert not same(ends[0], ends[1]) and not same(ends[1], ends[2])
    assert TrainConfig(unfreeze_every=2).identity()["unfreeze_every"] == 2
    fit(network(), people, la_loss, TrainConfig(**SETTINGS | {"epochs": 1}, out=tmp_path))
    other = TrainConfig(**SETTINGS | {"epochs": 1, "unfreeze_every": 1}, out=tmp_path)
    with pytest.raises(ValueError, match="unfreeze_every"):
        fit(network(), people, la_loss, other)


def test_runs_and_claims_that_never_heard_of_it_stay_the_same():
    assert "unfreeze_every" not in TrainConfig().identity()
    plain = recipe("baseline")
    now = settings_of(plain)
    assert not any("unfreeze" in name for name in now)
    later = settings_of(
        dataclasses.replace(plain, train=dataclasses.replace(plain.train, unfreeze_every=2))
    )
    assert changed(now, later) == ["train.unfreeze_every: absent then, 2 now"]
    assert fingerprint(now) != fingerprint(later)


def test_without_it_nothing_is_frozen_in_any_network():
    for model in (network(), baseline_small(3, width=4, image_size=(32, 16))):
        before = [p.requires_grad for p in model.parameters()]
        with BlockWise(model, None) as blocks:
            blocks.open(0)
            assert [p.requires_grad for p in model.parameters()] == before


def test_other_transformers_can_be_unfrozen_too():
    model = transreid_small(3, parts=2)
    with BlockWise(model, 1) as blocks:
        blocks.open(0)
        assert open_blocks(model) == [False, False, True, True]
        assert all(p.requires_grad for p in model.local_end.parameters())


def test_networks_without_blocks_are_refused_before_anything_happens(people, tmp_path):
    model = baseline_small(4, width=4, image_size=(32, 16))
    config = TrainConfig(**SETTINGS, out=tmp_path / "run")
    with pytest.raises(ValueError, match="unfreeze_every=2 trains a transformer block by block, "
                                         "and Baseline has none; set it to None"):  # fmt: skip
        fit(model, people, lambda m, b: {"id": id_loss(m(b.images).logits[0], b.pids)}, config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [(0, "must be 1 or more, or None, got 0"), (-2, "got -2"), (1.5, "must be an integer"),
     (True, "must be an integer, got True")],
)  # fmt: skip
def test_what_is_no_number_of_epochs_is_refused(value, message):
    with pytest.raises(ValueError, match=f"unfreeze_every .*{message}|unfreeze_every {message}"):
        TrainConfig(unfreeze_every=value)


def test_the_optimiser_holds_frozen_blocks_without_a_state():
    model = network()
    objective = Objective(model, la_loss)
    optimizers = Optimizers(objective, TrainConfig(**SETTINGS))
    held = [p for group in optimizers.main.param_groups for p in group["params"]]
    assert len(held) == len(list(model.parameters())) and not optimizers.main.state
