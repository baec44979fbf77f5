"""The cosine network: its published size, TensorFlow's padding, norms that only shift."""

import math

import pytest
import torch
from torch.nn import functional as F

from reidlab.checkpoints import load_model, save_model
from reidlab.data.samples import Batch
from reidlab.losses.deep_cosine import cosine_softmax_loss
from reidlab.models.catalog import build
from reidlab.models.deep_cosine import (
    Residual,
    SameConv,
    SamePool,
    deep_cosine,
    deep_cosine_small,
    same_padding,
)
from reidlab.recipes import recipe

TINY = {"width": 4, "dim": 6, "image_size": (32, 16)}


def images(count=4, size=(32, 16)):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_it_has_the_published_number_of_weights():
    assert trainable(deep_cosine()) == 2_800_864
    assert trainable(deep_cosine(1502)) == 2_800_864 + 128 * 1502 + 1


def test_maps_halve_and_channels_double_as_in_the_published_table():
    sizes = []
    model = deep_cosine(width=4, dim=6).eval()
    for layer in model.trunk:
        layer.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert model.embed(images(1, (128, 64))).shape == (1, 6)
    assert sizes[5:] == [(4, 128, 64), (4, 64, 32), *[(4, 64, 32)] * 2, *[(8, 32, 16)] * 2,
                         *[(16, 16, 8)] * 2]  # fmt: skip


def slow_same(x, weight, stride):
    """A convolution by loops; TensorFlow puts the odd row and column of zeros last."""
    (count, _, height, width), (wide, _, kernel, _) = x.shape, weight.shape
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    top = max((rows - 1) * stride + kernel - height, 0) // 2
    left = max((columns - 1) * stride + kernel - width, 0) // 2
    out = torch.zeros(count, wide, rows, columns)
    for i in range(rows):
        for j in range(columns):
            for a in range(kernel):
                for b in range(kernel):
                    y, z = i * stride + a - top, j * stride + b - left
                    if 0 <= y < height and 0 <= z < width:
                        out[:, :, i, j] += x[:, :, y, z] @ weight[:, :, a, b].T
    return out


@pytest.mark.parametrize("size", [(6, 4), (5, 7), (1, 2)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_convolutions_pad_as_tensorflow_does(size, kernel, stride):
    conv = SameConv(2, 3, kernel, stride)
    x = torch.randn(2, 2, *size)
    torch.testing.assert_close(conv(x), slow_same(x, conv.weight, stride), rtol=1e-4, atol=1e-5)


def test_an_even_size_is_padded_at_the_right_and_at_the_bottom_only():
    assert same_padding((8, 4), 3, 2) == (0, 1, 0, 1)
    assert same_padding((7, 5), 3, 2) == (1, 1, 1, 1)
    assert same_padding((7, 4), 3, 2) == (0, 1, 1, 1)  # left, right, top, bottom
    assert same_padding((8, 4), 1, 2) == (0, 0, 0, 0)


def test_the_pool_takes_windows_from_the_first_pixel_and_padding_never_wins():
    x = -torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    assert SamePool()(x).flatten().tolist() == [-1, -3, -9, -11]


def test_a_block_adds_to_the_input_as_it_came():
    block = Residual(4, 4, 1, first=False, dropout=0.0).eval()
    x = torch.randn(2, 4, 5, 3)
    with torch.no_grad():
        for norm, value in ((block.before[0], 0.3), (block.norm, -0.2)):
            norm.bias.fill_(value)
        block.conv2.bias.fill_(0.5)
        scale = 1 / (1 + 1e-3) ** 0.5
        y = block.conv1(F.elu(x * scale + 0.3))
        y = block.conv2(F.elu(y * scale - 0.2))
        torch.testing.assert_close(block(x), x + y)
        first = Residual(4, 8, 2, first=True, dropout=0.0).eval()
        y = first.conv2(F.elu(first.conv1(x) * scale))
        torch.testing.assert_close(first(x), first.shortcut(x) + y)
        assert first.shortcut(x).shape == (2, 8, 3, 2) and first.shortcut.bias is None


def test_norms_shift_and_never_scale():
    model = deep_cosine_small(3, **TINY)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 2 + 1 + 5 * 2 + 1
    for norm in norms:
        assert not norm.weight.requires_grad and bool((norm.weight == 1).all())
        assert norm.bias.requires_grad and norm.eps == 1e-3


def test_weights_start_small_and_cut_off_and_the_scale_at_ln_two():
    model = deep_cosine(50, width=8, image_size=(32, 16))
    for module in (model.trunk[0], model.trunk[-1].conv2, model.dense, model.classifier):
        values = module.weight.detach()
        assert float(values.abs().max()) <= 2e-3
        assert 0.7e-3 < float(values.std()) < 1.1e-3
    assert model.trunk[-1].conv2.bias.abs().sum() == 0
    assert (
        model.classifier.t.item() == 0 and deep_cosine(3, t=2.5, **TINY).classifier.t.item() == 2.5
    )
    feature = F.normalize(torch.randn(4, 128))
    cosine = feature @ F.normalize(model.classifier.weight).T
    torch.testing.assert_close(model.classifier(feature), math.log(2) * cosine)


def test_features_are_unit_vectors_and_logits_scaled_cosines():
    model = deep_cosine_small(3, **TINY).eval()
    with torch.no_grad():
        model.classifier.t.fill_(1.5)
    found = model(images())
    torch.testing.assert_close(found.features[0].norm(dim=1), torch.ones(4))
    torch.testing.assert_close(model.embed(images(), neck="before"), found.features[0])
    directions = model.classifier.weight / model.classifier.weight.norm(dim=1, keepdim=True)
    expected = math.log(1 + math.exp(1.5)) * found.features[0] @ directions.T
    torch.testing.assert_close(found.logits[0], expected)


def test_dropout_works_in_training_alone():
    still = deep_cosine(3, dropout=0.0, **TINY)
    torch.testing.assert_close(still.embed(images()), still.embed(images()))
    model = deep_cosine(3, std=0.1, **TINY)
    assert not torch.allclose(model.embed(images()), model.embed(images()))
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.4}
    assert sum(isinstance(m, torch.nn.Dropout) for m in model.modules()) == 7
    model.eval()
    torch.testing.assert_close(model.embed(images()), model.embed(images()))


def test_every_parameter_gets_a_gradient():
    model = deep_cosine_small(3, dropout=0.0, std=0.1, **TINY)
    with torch.no_grad():
        model.classifier.t.fill_(0.1)
    pids = torch.tensor([0, 1, 2, 0])
    terms = cosine_softmax_loss(model, Batch(images(), pids, pids, pids))
    torch.stack(list(terms.values())).sum().backward()
    learned = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learned)


def test_the_desk_network_starts_so_that_few_steps_suffice():
    model = deep_cosine_small(150)
    assert model.preprocess.size == (64, 32) and trainable(model) < 1.2e6
    assert model.classifier.t.item() == 10 and model.dropout.p == 0.1
    assert 0.04 < model.trunk[0].weight.detach().std().item() < 0.05  # two deviations cut off


def test_pixels_are_only_divided_by_255():
    model = deep_cosine(3, **TINY)
    pixels = torch.randint(0, 256, (2, 3, 32, 16), dtype=torch.uint8)
    torch.testing.assert_close(model.preprocess(pixels), pixels / 255)


def test_without_identities_there_is_no_classifier():
    for num_ids in (None, 0):
        model = deep_cosine_small(num_ids, **TINY)
        assert model(images()).logits == [] and model.num_ids is None
        assert not any("classifier" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("num_ids", [3, None])
def test_a_saved_network_comes_back(tmp_path, num_ids):
    model = deep_cosine_small(num_ids, std=0.1, **TINY).eval()
    save_model(tmp_path, model, {})
    back, preprocess = load_model(tmp_path)
    assert preprocess == model.preprocess and back.origin == model.origin
    assert torch.equal(back.embed(images()), model.embed(images()))


def test_the_seed_decides_the_weights_and_the_catalogue_knows_the_network():
    first, again, other = (build("deep_cosine", num_ids=3, seed=s, **TINY) for s in (1, 1, 2))
    assert torch.equal(first.dense.weight, again.dense.weight)
    assert not torch.equal(first.dense.weight, other.dense.weight)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="num_ids must be 1 or more, or None"):
        deep_cosine(-1, **TINY)
    with pytest.raises(ValueError, match=r"dropout in \[0, 1\) and std above 0, got 1 and 0.001"):
        deep_cosine(3, dropout=1, **TINY)
    with pytest.raises(ValueError, match="std above 0"):
        deep_cosine(3, std=0.0, **TINY)
    with pytest.raises(ValueError, match="neck must be one of"):
        deep_cosine(3, **TINY).embed(images(), neck="middle")
    with pytest.raises(ValueError, match="neck 'after' needs a batch norm behind the feature"):
        deep_cosine(3, **TINY).embed(images(), neck="after")


@pytest.mark.parametrize("size", [(64, 32), (16, 32), (31, 16)])
def test_images_of_another_size_are_refused(size):
    model = deep_cosine(3, **TINY)  # (16, 32) and (31, 16) would fill the last layer as well
    for call in (model, model.embed):
        with pytest.raises(ValueError, match=r"images \(B, 3, 32, 16\), got .*image_size"):
            call(images(2, size))


def test_features_keep_double_precision_and_are_never_less_than_single():
    model = deep_cosine_small(3, **TINY).eval()
    single = model(images())
    half = model.bfloat16().embed(images().bfloat16())
    assert half.dtype == torch.float32
    model = deep_cosine_small(3, **TINY).eval().double()
    double = model(images().double())
    assert double.features[0].dtype == double.logits[0].dtype == torch.float64
    torch.testing.assert_close(double.features[0].float(), single.features[0])
    length = double.features[0].norm(dim=1)
    torch.testing.assert_close(length, torch.ones_like(length), rtol=0, atol=1e-14)


def test_the_paper_recipe_holds_the_published_numbers():
    chosen = recipe("deep-cosine", "paper")
    train = chosen.train
    assert (train.optimizer, train.lr, train.weight_decay) == ("adam", 1e-3, 1e-8)
    assert (train.ids_per_batch, train.images_per_id, train.sampler) == (32, 4, "pk")
    assert (train.transform.flip, train.transform.pad, train.transform.erase) == (0.5, 0, 0.0)
    assert dict(chosen.loss_arguments) == {"scale_weight": 0.1} and not chosen.arguments


@pytest.mark.slow
def test_the_paper_network_takes_a_step_at_its_own_size():
    chosen = recipe("deep-cosine", "paper")
    model = chosen.build(1502)
    pids = torch.tensor([0, 0, 1501, 1501])
    batch = Batch(images(4, (128, 64)), pids, pids, pids)
    torch.stack(list(chosen.bound_loss(model)(model, batch).values())).sum().backward()
    learned = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learned)
