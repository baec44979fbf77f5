"""Parts mixed with the class token: formulas against loops, heads, what is ranked, variants."""

import math

import pytest
import torch

from reidlab.checkpoints import load_model, save_model
from reidlab.data.samples import Batch
from reidlab.data.transforms import EvalTransform
from reidlab.losses.la_transformer import la_loss
from reidlab.models.catalog import build
from reidlab.models.la_transformer import (
    LATransformer,
    la_transformer_base,
    la_transformer_small,
)
from reidlab.models.vit import ViT

TINY = {"width": 16, "depth": 2, "heads": 2, "bottleneck": 6}
BASE = TINY | {"image_size": (48, 48)}  # grid 3x3
BUILDERS = pytest.mark.parametrize("builder", [la_transformer_small, la_transformer_base])


def tiny(**changes):
    """Grid 4x2, with class tokens and positions that differ from 0 more than they do at first."""
    model = la_transformer_small(5, **(TINY | {"image_size": (64, 32)} | changes))
    generator = torch.Generator().manual_seed(1)
    for head in model.heads:
        head.norm.running_mean.normal_(generator=generator)
        head.norm.running_var.uniform_(0.5, 2.0, generator=generator)
        head.norm.bias.data.normal_(generator=generator)
    return model.eval()


def images(count=3, size=(64, 32), seed=0):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def people(size=(64, 32)):
    pids = torch.tensor([0, 0, 1, 1])
    return Batch(images(4, size), pids, pids, pids)


def weights(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("weight_on", ["local", "global"])
@pytest.mark.parametrize("fusion_weight", [8.0, 0.0, 0.5])
@torch.no_grad()
def test_each_part_is_a_row_mixed_with_the_class_token(weight_on, fusion_weight):
    model = tiny(weight_on=weight_on, fusion_weight=fusion_weight)
    tokens = model.trunk(images())
    features = model(images()).features
    assert len(features) == model.num_parts == 4
    for b, own in enumerate(tokens):
        for i, feature in enumerate(features):
            part = (own[1 + 2 * i] + own[2 + 2 * i]) / 2
            whole = own[0]
            heavy, light = (part, whole) if weight_on == "local" else (whole, part)
            expected = (light + fusion_weight * heavy) / (1 + fusion_weight)
            torch.testing.assert_close(feature[b], expected)


@torch.no_grad()
def test_the_released_code_weighs_the_part_eight_to_one():
    model = la_transformer_small(5, **TINY).eval()
    parts, fused = model.parts(images(2, (128, 64))), model.features(images(2, (128, 64)))
    torch.testing.assert_close(fused[3], parts.whole / 9 + 8 * parts.local[3] / 9)
    assert model.fusion_weight == 8.0 and model.weight_on == "local" and len(fused) == 8


@torch.no_grad()
def test_a_head_is_linear_norm_linear_without_an_activation():
    model = tiny()
    features, logits = model(images())
    for feature, found, head in zip(features, logits, model.heads, strict=True):
        squeezed = feature @ head.linear.weight.T + head.linear.bias
        norm = head.norm
        squeezed = (squeezed - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        squeezed = squeezed * norm.weight + norm.bias
        assert (squeezed < 0).any()
        linear = head.classifier
        torch.testing.assert_close(
            found, squeezed @ linear.weight.T + linear.bias, atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(head.squeeze(feature), squeezed, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_dropout_stands_before_the_classifier_alone():
    model = tiny(dropout=0.9)
    head, feature = model.heads[0], torch.randn(64, 16)
    head.norm.weight.fill_(0.0)
    head.norm.bias.fill_(1.0)  # the bottleneck is 1 everywhere
    head.classifier.weight.fill_(1.0)
    head.classifier.bias.fill_(0.0)
    assert set(head(feature).flatten().tolist()) == {6.0}
    head.dropout.train()
    found = {round(x, 3) for x in head(feature).flatten().tolist()}
    assert len(found) > 1 and found <= {10.0 * k for k in range(7)}
    assert set(head.squeeze(feature).flatten().tolist()) == {1.0}


@torch.no_grad()
def test_first_weights_are_those_of_the_released_code():
    model = la_transformer_base(2000, width=64, depth=1, heads=1, image_size=(16, 16))
    (head,) = model.heads
    assert head.dropout.p == 0.5 and head.linear.out_features == 256
    assert float(head.linear.weight.std()) == pytest.approx(math.sqrt(2 / 256), rel=0.05)
    assert float(head.classifier.weight.std()) == pytest.approx(1e-3, rel=0.05)
    assert float(head.norm.weight.std()) == pytest.approx(0.02, rel=0.2)
    assert float(head.norm.weight.mean()) == pytest.approx(1.0, abs=0.01)
    for bias in (head.linear.bias, head.norm.bias, head.classifier.bias):
        assert not bias.any()


def test_the_published_network_has_the_parameters_that_its_log_counts():
    with torch.device("meta"):
        model = la_transformer_base(751)
    unused = 769 * 751  # the trunk's own classifier, which the released code keeps
    assert weights(model.trunk) == 85_798_656
    assert [weights(head) for head in model.heads] == [390_383] * 14
    assert weights(model) + unused == 91_841_537
    assert model.preprocess == EvalTransform((224, 224), interpolation="bicubic")


@BUILDERS
@pytest.mark.parametrize(("parts_from", "extra"), [("rows", 0), ("mean", 0), ("both", 1)])
def test_there_is_a_feature_and_logits_per_part_in_both_modes(builder, parts_from, extra):
    model = builder(7, parts_from=parts_from, **BASE)
    count = 3 + 3 * extra
    for mode in (True, False):
        found = model.train(mode)(images(4, (48, 48)))
        assert [tuple(x.shape) for x in found.features] == [(4, 16)] * count
        assert [tuple(x.shape) for x in found.logits] == [(4, 7)] * count
    assert model.embed(images(4, (48, 48))).shape == (4, 16 * count)
    assert model.num_parts == count


@BUILDERS
@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, {}),
        ({"parts_from": "both", "weight_on": "global"}, {"triplet": 1.0}),
        ({"parts_from": "mean", "head": "cosine"}, {"identity": "am-softmax"}),
    ],
)
def test_every_parameter_takes_part_and_learns(builder, settings, loss):
    model = builder(2, **BASE, **settings)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.manual_seed(0)
    torch.stack(list(la_loss(model, people((48, 48)), **loss).values())).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not [name for name in still if "linear.bias" not in name]  # a batch norm cancels these


@torch.no_grad()
def test_parts_alone_are_ranked_as_in_the_released_test():
    model = tiny()
    parts = model.parts(images()).local
    found = model.embed(images())
    for b in range(3):
        for i, part in enumerate(parts):
            expected = part[b] / part[b].norm() / 2  # the root of four parts
            torch.testing.assert_close(found[b, 16 * i : 16 * i + 16], expected)
    torch.testing.assert_close(model.embed(images(), neck="before"), found)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


@torch.no_grad()
def test_fused_parts_can_be_ranked_instead_and_what_classifiers_read():
    model, official = tiny(descriptor="fused"), tiny()
    fused = model(images()).features
    expected = torch.cat([x / x.norm(dim=1, keepdim=True) / 2 for x in fused], dim=1)
    torch.testing.assert_close(model.embed(images()), expected)
    assert not torch.allclose(official.embed(images()), expected, atol=1e-3)
    squeezed = [head.squeeze(x) for head, x in zip(model.heads, fused, strict=True)]
    expected = torch.cat([x / x.norm(dim=1, keepdim=True) / 2 for x in squeezed], dim=1)
    for each in (model, official):
        torch.testing.assert_close(each.embed(images(), neck="after"), expected)


@torch.no_grad()
def test_the_vote_adds_the_softmaxes_of_all_parts():
    model = tiny()
    model.heads[0].classifier.weight.mul_(1000)
    logits = model(images()).logits
    vote = model.vote(images())
    for b in range(3):
        for c in range(5):
            shares = [math.exp(x[b, c]) / sum(math.exp(y) for y in x[b]) for x in logits]
            assert float(vote[b, c]) == pytest.approx(sum(shares), rel=1e-4)
    torch.testing.assert_close(vote.sum(dim=1), torch.full((3,), 4.0))


@torch.no_grad()
def test_heads_of_cosines_ignore_lengths_and_vote_by_a_scale():
    model = tiny(head="cosine")
    features, cosines = model(images())
    assert all(x.abs().max() <= 1 + 1e-6 for x in cosines)
    model.heads[1].classifier.weight.mul_(7.0)
    torch.testing.assert_close(model.classify(features)[1], cosines[1])
    for vote, scale in ((model.vote(images()), 30.0), (model.vote(images(), scale=4.0), 4.0)):
        shares = torch.stack([(scale * x).softmax(dim=1) for x in cosines])
        torch.testing.assert_close(vote, shares.sum(dim=0))


@torch.no_grad()
def test_features_can_be_classified_without_their_images():
    model = tiny(parts_from="mean")
    features, logits = model(images())
    for one, other in zip(model.features(images()), features, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(model.classify(features), logits, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError):
        model.classify(features[:-1])


def test_the_desk_network_sees_eight_rows_of_four():
    model = la_transformer_small(3)
    assert model.trunk.grid == (8, 4) and model.num_parts == 8 and model.dim == 128
    assert [weights(head) for head in model.heads] == [128 * 256 + 256 + 512 + 3 * 257] * 8
    assert la_transformer_small(3, parts_from="both", **TINY).num_parts == 12
    assert model.preprocess == EvalTransform((128, 64), (0.5,) * 3, (0.5,) * 3)
    assert model.trunk.blocks[-1].drop_path == 0 and model.heads[0].dropout.p == 0.5
    assert la_transformer_small(3, drop_path=0.2, **TINY).trunk.blocks[-1].drop_path == 0.2


@pytest.mark.parametrize("builder", ["la_transformer_small", "la_transformer_base"])
def test_a_saved_network_comes_back(tmp_path, builder):
    own = {"parts_from": "both", "weight_on": "global", "fusion_weight": 2.0, "head": "cosine"}
    own |= {"descriptor": "fused", "dropout": 0.25}
    model = build(builder, num_ids=3, **own, **BASE).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess and back.origin == model.origin
    assert back.heads[0].dropout.p == 0.25
    same = images(2, (48, 48))
    assert torch.equal(back.embed(same), model.embed(same))
    for one, other in zip(back(same).logits, model(same).logits, strict=True):
        assert torch.equal(one, other)


def test_the_seed_decides_the_weights_and_a_trained_trunk_can_be_the_start(tmp_path):
    first, again, other = (tiny(seed=s) for s in (1, 1, 2))
    same = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(first.heads[0].linear.weight, other.heads[0].linear.weight)
    save_model(tmp_path / "run", first, {})
    model = la_transformer_small(
        9, seed=2, parts_from="both", pretrained=tmp_path / "run", image_size=(64, 32), **TINY
    )
    state = first.trunk.state_dict()
    assert all(torch.equal(t, state[name]) for name, t in model.trunk.state_dict().items())
    assert set(model.origin["start"]) == {"seed", "pretrained", "weights"}
    assert "pretrained" not in model.origin["arguments"] and len(model.heads) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts_from": "columns"}, "parts_from must be one of rows, mean, both, got 'columns'"),
        ({"weight_on": "class"}, "weight_on must be one of local, global, got 'class'"),
        ({"head": "arcface"}, "head must be one of linear, cosine, got 'arcface'"),
        ({"descriptor": "all"}, "descriptor must be one of official, fused, got 'all'"),
        ({"fusion_weight": -1.0}, "fusion_weight must be 0 or more and finite, got -1.0"),
        ({"fusion_weight": math.inf}, "fusion_weight must be 0 or more and finite, got inf"),
        ({"bottleneck": 0}, "expected a bottleneck of 1 or more.*got 0, 0.5"),
        ({"dropout": 1.0}, r"a dropout in \[0, 1\), got 6, 1.0"),
        ({"heads": 3}, "heads that divide the width"),
        ({"pretrained": "nowhere"}, "no trained network at nowhere"),
    ],
)
def test_wrong_arguments_name_the_choices(changes, message):
    with pytest.raises(ValueError, match=message):
        la_transformer_small(3, **(TINY | changes))


def test_wrong_calls_are_refused():
    model = tiny()
    with pytest.raises(ValueError, match="num_ids must be at least 1, got 0"):
        la_transformer_small(0, **TINY)
    with pytest.raises(ValueError, match="num_ids must be at least 1"):
        LATransformer(ViT((32, 32), width=8, depth=1, heads=1), 0, preprocess=model.preprocess)
    with pytest.raises(ValueError, match="neck must be one of before, after, got 'middle'"):
        model.embed(images(), neck="middle")
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 64, 32\)"):
        model.embed(images(2, (32, 64)))
