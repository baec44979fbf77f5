"""One trunk, two last stages: shapes, counts, how branches start, what is ranked."""

import pytest
import torch

from reidlab.checkpoints import load_model, save_model
from reidlab.data.samples import Batch
from reidlab.losses.multibranch import multibranch_loss
from reidlab.models.baseline import baseline_small
from reidlab.models.catalog import build
from reidlab.models.multibranch import MultiBranch, multibranch_resnet50, multibranch_small
from reidlab.models.resnet import resnet10, resnet50
from reidlab.recipes import recipe

TINY = {"width": 4, "image_size": (64, 32)}
BUILDERS = pytest.mark.parametrize("builder", [multibranch_small, multibranch_resnet50])


def images(count=4, size=(64, 32), seed=0):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def triplets(size=(64, 32)):
    pids = torch.tensor([0, 0, 1, 1, 1, 0])
    return Batch(images(6, size), pids, pids, pids)


def weights(module):
    return sum(p.numel() for p in module.parameters())


@BUILDERS
def test_there_is_a_feature_and_logits_per_branch_in_both_modes(builder):
    model = builder(7, **TINY)
    for mode in (True, False):
        found = model.train(mode)(images())
        assert [tuple(x.shape) for x in found.features] == [(4, model.dim)] * 2
        assert [tuple(x.shape) for x in found.logits] == [(4, 7)] * 2
    assert model.embed(images()).shape == (4, 2 * model.dim)


def test_resnet50_has_the_parameters_that_the_report_implies():
    trunk, stage = weights(resnet50()), weights(resnet50().layer4)
    wide, narrow = 2048, 512
    extra = wide * narrow + 9 * narrow * narrow + narrow * wide + 2 * (narrow + narrow + wide)
    heads = 2 * (2 * wide + wide * 751 + 751)
    assert weights(multibranch_resnet50(751)) == trunk + stage + extra + heads == 46_021_150
    assert weights(multibranch_resnet50(751, classifier_bias=False)) == 46_021_150 - 2 * 751
    assert weights(multibranch_resnet50(0)) == trunk + stage + extra
    assert weights(multibranch_resnet50(branches=("average",))) == trunk
    assert weights(multibranch_resnet50(branches=("max",))) == trunk + extra


def test_the_average_branch_has_three_bottlenecks_and_the_other_one_more():
    model = multibranch_resnet50(5, **TINY)
    assert {name: len(stage) for name, stage in model.stages.items()} == {"average": 3, "max": 4}
    last = model.stages["max"][3]
    assert (last.conv1.in_channels, last.conv1.out_channels, last.conv3.out_channels) == (
        128,
        32,
        128,
    )


@BUILDERS
def test_branches_start_alike_but_for_their_pool(builder):
    model = builder(7, **TINY).eval()
    maps = model.maps(images())
    torch.testing.assert_close(maps["average"], maps["max"], rtol=0, atol=0)
    features = model(images()).features
    torch.testing.assert_close(features[0], maps["average"].flatten(2).mean(2))
    torch.testing.assert_close(features[1], maps["max"].flatten(2).max(2).values)


@BUILDERS
def test_branches_have_weights_of_their_own(builder):
    model = builder(7, **TINY)
    for one, other in zip(
        model.stages["average"].parameters(), model.stages["max"].parameters(), strict=False
    ):
        assert torch.equal(one, other) and one is not other
        assert one.data_ptr() != other.data_ptr()


@BUILDERS
def test_the_block_more_starts_as_the_identity_with_convolutions_that_are_not_zero(builder):
    block = builder(7, **TINY).stages["max"][-1]
    x = torch.rand(2, block.conv1.in_channels, 3, 2)
    for mode in (True, False):
        torch.testing.assert_close(block.train(mode)(x), x)
    for module in (block.conv1, block.conv2):
        fan_out = module.out_channels * module.kernel_size[0] ** 2
        assert float(module.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.25)


@BUILDERS
@pytest.mark.parametrize("num_ids", [2, None])
def test_every_parameter_takes_part_and_learns_within_two_steps(builder, num_ids):
    """The block more passes gradients to its convolutions once its last scale has left zero."""
    model = builder(num_ids, **TINY)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        torch.stack(list(multibranch_loss(model, triplets()).values())).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not still


@pytest.mark.parametrize("num_ids", [None, 0])
def test_without_identities_nothing_of_a_classifier_remains(num_ids):
    model = multibranch_small(num_ids, **TINY)
    assert model(images()).logits == [] and model.num_ids is None
    assert not any("classifier" in name for name, _ in model.named_parameters())
    with pytest.raises(ValueError, match="neck 'after' needs the batch norm of a classifier"):
        model.embed(images(), neck="after")
    with pytest.raises(ValueError, match="neck 'after' needs"):
        multibranch_small(num_ids, default_neck="after", **TINY)


def test_the_descriptor_is_both_branches_side_by_side_or_one_of_them():
    model = multibranch_small(3, **TINY).eval()
    average, largest = model(images()).features
    torch.testing.assert_close(model.embed(images()), torch.cat([average, largest], dim=1))
    for name, feature in (("average", average), ("max", largest)):
        one = multibranch_small(3, descriptor=name, **TINY).eval()
        torch.testing.assert_close(one.embed(images()), feature)
        alone = multibranch_small(3, branches=(name,), **TINY).eval()
        torch.testing.assert_close(alone.embed(images()), feature)
        assert list(alone.stages) == [name] and len(alone(images()).logits) == 1


def test_after_the_neck_is_what_the_classifiers_read():
    model = multibranch_small(3, default_neck="after", **TINY).eval()
    with torch.no_grad():
        for head in model.classifiers.values():
            head.norm.running_mean.fill_(0.5)
            head.norm.running_var.fill_(4.0)
            head.norm.bias.fill_(0.25)
    features = model(images()).features
    expected = torch.cat([(x - 0.5) / 2 + 0.25 for x in features], dim=1)
    torch.testing.assert_close(model.embed(images()), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.embed(images(), neck="before"), torch.cat(features, dim=1))
    logits = model(images()).logits[1]
    linear = model.classifiers["max"].linear
    torch.testing.assert_close(logits, linear(expected[:, model.dim :]), rtol=1e-4, atol=1e-5)


def test_the_last_stride_decides_the_size_of_the_maps():
    shapes = {
        stride: tuple(multibranch_small(last_stride=stride).maps(images(1, (128, 64)))["max"].shape)
        for stride in (1, 2)
    }
    assert shapes == {1: (1, 256, 8, 4), 2: (1, 256, 4, 2)}


def test_one_image_is_embedded_as_in_a_batch():
    model = multibranch_small(3, **TINY).eval()
    torch.testing.assert_close(model.embed(images())[:1], model.embed(images()[:1]))


def test_a_trained_trunk_is_given_to_both_branches(tmp_path):
    trained = baseline_small(3, seed=5, **TINY)
    save_model(tmp_path / "run", trained, {})
    model = multibranch_small(2, pretrained=tmp_path / "run", **TINY)
    state = trained.trunk.state_dict()
    for name, tensor in model.shared.state_dict().items():
        assert torch.equal(tensor, state[name])
    for stage in model.stages.values():
        for name, tensor in stage[:1].state_dict().items():
            assert torch.equal(tensor, state[f"layer4.{name}"])
    assert set(model.origin["start"]) == {"seed", "pretrained", "weights"}
    assert model.origin["arguments"]["branches"] == ["average", "max"]
    assert model.origin["start"]["weights"] and "pretrained" not in model.origin["arguments"]


def test_imagenet_weights_fill_the_shared_stages_and_both_branches(tmp_path):
    source = resnet50(width=4)
    torch.save(source.state_dict(), tmp_path / "imagenet.pth")
    model = multibranch_resnet50(2, pretrained=tmp_path / "imagenet.pth", seed=3, **TINY)
    state = source.state_dict()
    assert all(torch.equal(t, state[name]) for name, t in model.shared.state_dict().items())
    for stage in model.stages.values():
        for name, tensor in stage[:3].state_dict().items():
            assert torch.equal(tensor, state[f"layer4.{name}"])


@pytest.mark.parametrize("num_ids", [3, None])
def test_a_saved_network_comes_back(tmp_path, num_ids):
    model = multibranch_small(num_ids, descriptor="max", classifier_bias=False, **TINY).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess and back.origin == model.origin
    assert torch.equal(back.embed(images()), model.embed(images()))


def test_the_seed_decides_the_weights_and_the_catalogue_knows_the_network():
    first, again, other = (build("multibranch_small", num_ids=3, seed=s, **TINY) for s in (1, 1, 2))
    same = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(first.shared.conv1.weight, other.shared.conv1.weight)


def test_wrong_arguments_name_the_choices():
    with pytest.raises(ValueError, match="branches must be some of average, max, got mean"):
        multibranch_small(3, branches=("mean",), **TINY)
    with pytest.raises(ValueError, match="branches must be some of average, max, got none"):
        multibranch_small(3, branches=(), **TINY)
    with pytest.raises(ValueError, match="branches must be a list of names, .*'max'"):
        multibranch_small(3, branches="max", **TINY)
    with pytest.raises(ValueError, match="descriptor must be one of both, average, got 'max'"):
        multibranch_small(3, branches=("average",), descriptor="max", **TINY)
    with pytest.raises(ValueError, match="num_ids must be 1 or more, or None"):
        multibranch_small(-1, **TINY)
    model = multibranch_small(3, **TINY)
    with pytest.raises(ValueError, match="neck must be one of before, after, got 'middle'"):
        model.embed(images(), neck="middle")
    with pytest.raises(ValueError, match="neck must be one of"):
        MultiBranch(resnet10(width=4), 3, default_neck="x", preprocess=model.preprocess)


def test_the_paper_recipe_holds_the_reported_numbers():
    chosen = recipe("multibranch", "paper")
    train = chosen.train
    assert (train.optimizer, train.lr, train.weight_decay) == ("adam", 1e-4, 5e-4)
    assert (train.sampler, train.batch_size, train.epochs) == ("triplets", 32, 25)
    assert (train.patience, train.monitor, train.schedule) == (5, "val_loss", "constant")
    assert train.warmup_epochs == 0 and chosen.arguments["pretrained"] is True
    assert dict(chosen.loss_arguments) == {"margin": 10.0, "weight": 0.5}


@pytest.mark.slow
def test_the_paper_network_takes_a_step_at_its_own_size():
    chosen = recipe("multibranch", "paper")
    model = chosen.build(751, pretrained=False)
    terms = chosen.bound_loss(model)(model, triplets((256, 128)))
    torch.stack(list(terms.values())).sum().backward()
    assert model.preprocess.size == (256, 128) and set(terms) == {"triplet", "id"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
