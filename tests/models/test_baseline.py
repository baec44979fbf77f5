import pytest
import torch

from reidlab.models.baseline import baseline_resnet50, baseline_small
from reidlab.models.catalog import build
from reidlab.models.resnet import resnet10, resnet50


@pytest.mark.parametrize("builder", [baseline_small, baseline_resnet50])
def test_every_parameter_gets_a_gradient_and_forward_looks_the_same_in_both_modes(builder):
    torch.manual_seed(0)
    model = builder(7, image_size=(64, 32))
    images = torch.randn(4, 3, 64, 32)
    out = model(images)
    (out.features[0].sum() + out.logits[0].square().sum()).backward()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not silent
    evaluated = model.eval()(images)
    shapes = [tuple(t.shape) for t in (*evaluated.features, *evaluated.logits)]
    assert shapes == [tuple(t.shape) for t in (*out.features, *out.logits)]
    assert shapes == [(4, model.trunk.dim), (4, 7)]


def test_the_last_stride_decides_the_size_of_the_map():
    images = torch.zeros(1, 3, 256, 128)
    with torch.inference_mode():
        assert resnet50()(images).shape == (1, 2048, 16, 8)
        assert resnet50(last_stride=2)(images).shape == (1, 2048, 8, 4)
        assert resnet10()(images[:, :, :128, :64]).shape == (1, 256, 8, 4)


def test_the_desk_network_has_about_a_million_weights():
    weights = sum(p.numel() for p in baseline_small(150).parameters())
    assert 1.1e6 < weights < 1.4e6


def test_one_image_is_embedded_as_in_a_batch():
    model = baseline_small(5).eval()
    images = torch.randn(3, 3, 128, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model.embed(images)[:1], model.embed(images[:1]))


def test_wrong_arguments_name_the_choices():
    with pytest.raises(ValueError, match="neck must be one of before, after"):
        baseline_small(5).embed(torch.zeros(1, 3, 128, 64), neck="middle")
    with pytest.raises(ValueError, match="num_ids"):
        baseline_small(0)
    with pytest.raises(ValueError, match="pool must be one of 3x3, 2x2"):
        resnet50(pool="max")
    with pytest.raises(ValueError, match="choose one of baseline_small"):
        build("resnet")
    with pytest.raises(ValueError, match="cannot construct baseline_small"):
        build("baseline_small", num_ids=3, colour="red")


def test_initial_weights_follow_their_seed_alone():
    torch.manual_seed(1)
    one = baseline_small(5, seed=4).trunk.conv1.weight
    torch.manual_seed(2)
    assert torch.equal(one, baseline_small(5, seed=4).trunk.conv1.weight)
    assert not torch.equal(one, baseline_small(5, seed=5).trunk.conv1.weight)
