"""Networks that learn from each other: reference numbers, gradients, a training, files."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from reidlab import TrainConfig, embed, fit, load_model, read_dataset, save_model
from reidlab.data.samples import Batch
from reidlab.losses import aligned_distance, aligned_loss, mutual_loss, pairwise_distance
from reidlab.losses.mutual import from_others, mutual_distance, mutual_kl
from reidlab.models.aligned import aligned_small
from reidlab.models.baseline import baseline_small
from reidlab.models.mutual import MutualPair, mutual_resnet50, mutual_small

TINY = {"width": 4, "image_size": (64, 32), "local_dim": 6}


def a_batch(people=3, each=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pids = torch.arange(people).repeat(each)
    images = torch.randn(len(pids), 3, 64, 32, generator=generator)
    return Batch(images, pids, torch.zeros_like(pids), torch.zeros_like(pids))


def test_divergence_matches_the_reference(golden):
    own, other = golden.normal((7, 11), "kl1"), golden.normal((7, 11), "kl2")
    expected = golden.arrays("misc/alignedreid_distance")["loss_global_local"][4]
    assert float(mutual_kl(own, other, "sum")) == pytest.approx(expected, rel=1e-5)
    assert float(mutual_kl(own, other)) == pytest.approx(expected / 7, rel=1e-5)
    assert float(mutual_kl(own, own)) == pytest.approx(0, abs=1e-6)


def test_divergence_follows_the_definition():
    own, other = torch.randn(3, 4), torch.randn(3, 4)
    p, q = own.softmax(1), other.softmax(1)
    total = 0.0
    for b, c in itertools.product(range(3), range(4)):
        total += float(q[b, c] * (q[b, c] / p[b, c]).log())
    assert float(mutual_kl(own, other, "sum")) == pytest.approx(total, rel=1e-4)


def test_distances_differ_by_their_mean_square():
    a, b = torch.rand(3, 3), torch.rand(3, 3)
    expected = sum(
        (float(x) - float(y)) ** 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)
    )
    assert float(mutual_distance(a, b)) == pytest.approx(expected / 9, rel=1e-5)


def test_nothing_is_learnt_by_the_side_that_teaches():
    for loss in (mutual_kl, mutual_distance):
        own, other = (torch.rand(3, 3, requires_grad=True) for _ in range(2))
        loss(own, other).backward()
        assert other.grad is None and float(own.grad.abs().sum()) > 0


def test_each_learns_from_the_mean_of_the_others():
    answers = [torch.tensor(value) for value in (1.0, 2.0, 4.0)]
    found = from_others(answers, lambda own, other: 10 * own + other)
    expected = sum(10 * a + sum(o for o in (1, 2, 4) if o != a) / 2 for a in (1, 2, 4))
    assert float(found) == expected


@pytest.mark.parametrize("count", [2, 3])
def test_terms_are_those_of_each_network_and_of_every_pair(count):
    pair, batch = mutual_small(3, count=count, **TINY), a_batch()
    pair.eval()
    found = mutual_loss(pair, batch, kl_weight=2.0, distance_weight=3.0, local_distance_weight=4.0)
    alone = [aligned_loss(network, batch) for network in pair.networks]
    for name in ("id", "triplet", "local"):
        expected = sum(terms[name].item() for terms in alone)
        assert found[name].item() == pytest.approx(expected, rel=1e-4)
    parts = [network.parts(batch.images) for network in pair.networks]
    kl = apart = local = 0.0
    for a, b in itertools.permutations(parts, 2):
        kl += F.kl_div(a.logits.log_softmax(1), b.logits.softmax(1), reduction="batchmean").item()
        whole = [pairwise_distance(x.feature, x.feature) for x in (a, b)]
        apart += (whole[0] - whole[1]).square().mean().item()
        part = [aligned_distance(x.stripes, x.stripes) for x in (a, b)]
        local += (part[0] - part[1]).square().mean().item()
    others = count - 1
    assert float(found["kl"].detach()) == pytest.approx(2 * kl / others, rel=1e-3, abs=1e-7)
    assert float(found["distances"].detach()) == pytest.approx(3 * apart / others, rel=1e-3)
    assert float(found["local_distances"].detach()) == pytest.approx(4 * local / others, rel=1e-3)
    assert "local_distances" not in mutual_loss(pair, batch)
    summed = mutual_loss(pair, batch, kl_weight=2.0, reduction="sum")
    assert float(summed["kl"].detach()) == pytest.approx(
        len(batch.pids) * float(found["kl"].detach()), rel=1e-3
    )


def test_a_network_gets_its_own_gradient_alone():
    pair, batch = mutual_small(3, **TINY), a_batch()
    pair.eval()  # batch norm would tie the networks' statistics to nothing here
    first, second = pair.networks
    parts = [network.parts(batch.images) for network in (first, second)]
    mutual_kl(parts[0].logits, parts[1].logits).backward()
    assert all(parameter.grad is None for parameter in second.parameters())
    assert first.classifier.weight.grad is not None
    pair.zero_grad()
    sum(mutual_loss(pair, batch).values()).backward()
    for name, parameter in pair.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


def test_the_first_network_stands_for_all_unless_another_is_chosen():
    images = a_batch().images
    for chosen in (0, 1):
        pair = mutual_small(3, chosen=chosen, **TINY).eval()
        own = pair.networks[chosen]
        for neck in (None, "local"):
            assert torch.equal(pair.embed(images, neck=neck), own.embed(images, neck=neck))
        assert torch.equal(pair(images).logits[0], own(images).logits[0])
    assert not torch.equal(*(network.embed(images) for network in pair.networks))
    assert (pair.num_ids, pair.num_stripes, pair.default_neck) == (3, 4, "global")


def test_each_network_starts_as_it_would_alone():
    pair = mutual_small(3, count=3, seed=5, **TINY)
    for seed, network in enumerate(pair.networks, start=5):
        alone = aligned_small(3, seed=seed, **TINY).state_dict()
        assert all(torch.equal(alone[k], v) for k, v in network.state_dict().items())


def test_a_pair_trains_is_saved_and_comes_back(market_folder, tmp_path):
    splits = read_dataset(market_folder)
    pair = mutual_small(4, chosen=1, **TINY)
    config = TrainConfig(epochs=2, ids_per_batch=2, images_per_id=2, device="cpu",
                         out=tmp_path / "run")  # fmt: skip
    before = [network.trunk.conv1.weight.clone() for network in pair.networks]
    history = fit(pair, splits.train, mutual_loss, config)
    assert {"kl", "distances"} <= set(history.rows[-1])
    for old, network in zip(before, pair.networks, strict=True):
        assert not torch.equal(old, network.trunk.conv1.weight)
    save_model(tmp_path / "both", pair, {})
    save_model(tmp_path / "one", pair.networks[1], {})
    wanted = embed(pair, splits.query, device="cpu").features
    for name, kind in (("both", "MutualPair"), ("one", "AlignedReID")):
        again, _ = load_model(tmp_path / name)
        assert type(again).__name__ == kind
        kept = pair if name == "both" else pair.networks[1]
        state = again.state_dict()
        assert all(torch.equal(state[key], value) for key, value in kept.state_dict().items())
        found = embed(again, splits.query, device="cpu").features
        torch.testing.assert_close(found, wanted)  # convolutions may lie otherwise in memory


def test_the_published_networks_make_a_pair():
    pair = mutual_resnet50(3, width=4, image_size=(64, 32), local_dim=4)
    assert pair.embed(torch.zeros(1, 3, 64, 32)).shape == (1, 128)
    assert pair.origin["arguments"]["count"] == 2 and pair.origin["arguments"]["last_stride"] == 2


def test_what_cannot_learn_together_is_refused():
    with pytest.raises(ValueError, match="Baseline is one network, and mutual learning needs two"):
        mutual_loss(baseline_small(3, width=4), a_batch())
    with pytest.raises(ValueError, match="two networks or more, got 1"):
        MutualPair([aligned_small(3, **TINY)])
    with pytest.raises(ValueError, match="chosen must be in 0..1, got 2"):
        mutual_small(3, chosen=2, **TINY)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, got 'none'"):
        mutual_kl(torch.zeros(2, 3), torch.zeros(2, 3), "none")
    with pytest.raises(ValueError, match="logits \\(B, C\\) of two networks"):
        mutual_kl(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="distances of one shape"):
        mutual_distance(torch.zeros(2, 3), torch.zeros(1, 3))


def test_two_processes_log_the_losses_of_one(market_writer, tmp_path):
    data = market_writer(tmp_path / "data")
    script = Path(__file__).parent / "shared_aligned.py"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    team = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    found = []
    for name, words in (("one", []), ("two", team)):
        command = [sys.executable, *words, str(script), str(data), str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / name).read_text()))
    one, two = found
    for case, rows in one.items():
        assert rows[0]["loss"] != rows[-1]["loss"]
        for own, shared in zip(rows, two[case], strict=True):
            assert shared == pytest.approx(own, abs=2e-5), case


def test_a_small_weight_is_enough_for_local_distances():
    pair, batch = mutual_small(3, **TINY).eval(), a_batch()
    whole, share = (
        mutual_loss(pair, batch, local_distance_weight=weight)["local_distances"].item()
        for weight in (1.0, 0.25)
    )
    assert share == pytest.approx(0.25 * whole, rel=1e-4) and whole > 0
