"""TransReID against its definition in loops: sides, one pass per local branch, necks."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reidlab.checkpoints import load_model, save_model
from reidlab.models.jigsaw import local_patches
from reidlab.models.layers import CosineClassifier
from reidlab.models.sides import SideTable
from reidlab.models.transreid import End, TransReID, transreid, transreid_small
from reidlab.models.vit import ViT

TINY = {"width": 16, "depth": 3, "heads": 2}
SIZE = (96, 64)  # 6 x 4 patches at stride 16


def tiny(num_ids=7, image_size=SIZE, seed=0, **changes):
    model = transreid(num_ids, sizes=TINY, image_size=image_size, seed=seed, **changes)
    torch.manual_seed(5)
    for name, tensor in model.named_parameters():
        if not name.startswith("necks"):
            nn.init.normal_(tensor, std=0.2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval()


def images(count=3, size=SIZE):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(3))


def slow_features(model, pixels, camids=None, viewids=None, patches=()):
    """One image at a time, one pass per local branch."""
    trunk, found = model.trunk, []
    for i, image in enumerate(pixels):
        x = trunk.patch_embed(image[None]).flatten(2).transpose(1, 2)
        x = torch.cat([trunk.cls_token, x], dim=1) + trunk.pos_embed
        if model.sides is not None:
            row = 0
            if model.sides.cameras:
                row = int(camids[i])
            if model.sides.views:
                row = row * model.sides.views + int(viewids[i])
            x = x + trunk.side_scale * trunk.side_embed[row]
        for block in trunk.blocks[:-1]:
            x = block(x)
        features = [trunk.norm(trunk.blocks[-1](x))[0, 0]]
        for own in patches:
            seen = torch.cat([x[:, :1], *(x[:, 1 + p : 2 + p] for p in own)], dim=1)
            features.append(model.local_end.norm(model.local_end.block(seen))[0, 0])
        found.append(features)
    return [torch.stack(branch) for branch in zip(*found, strict=True)]


CASES = {
    "plain": ({"parts": 0}, 24),
    "jigsaw": ({}, 24),
    "two parts": ({"parts": 2, "shift": 3, "groups": 3}, 24),
    "stripes": ({"rearrange": False}, 24),
    "patches left over": ({"stride": (14, 16)}, 24),
    "overlapping": ({"stride": 12}, 35),
    "even": ({"stride": 12, "jigsaw": "even"}, 35),
    "even stripes": ({"stride": 12, "jigsaw": "even", "rearrange": False}, 35),
    "cameras": ({"num_cameras": 5}, 24),
    "views": ({"num_views": 4, "sie_coefficient": 1.5}, 24),
    "both": ({"num_cameras": 5, "num_views": 4}, 24),
}


@pytest.mark.parametrize("case", CASES)
def test_features_match_four_separate_passes(case):
    changes, count = CASES[case]
    model = tiny(**changes)
    assert model.trunk.grid[0] * model.trunk.grid[1] == count
    how = {"shift": 5, "groups": 2, "rearrange": True, "jigsaw": "released"} | changes
    how = {name: how[name] for name in ("shift", "groups", "rearrange", "jigsaw")}
    parts = changes.get("parts", 4)
    patches = local_patches(count, parts, **how) if parts else []
    camids, viewids = torch.tensor([0, 4, 2]), torch.tensor([3, 0, 1])
    with torch.no_grad():
        found = model.features(images(), camids, viewids)
        expected = slow_features(model, images(), camids, viewids, patches)
        assert len(found) == 1 + parts
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_gradients_match_four_separate_passes():
    model = tiny(stride=12, jigsaw="even", num_cameras=3)
    camids = torch.tensor([0, 2, 1])
    weights = [torch.randn(3, 16, generator=torch.Generator().manual_seed(i)) for i in range(5)]

    def gradients(features):
        model.zero_grad()
        sum((w * f).sum() for w, f in zip(weights, features, strict=True)).backward()
        return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}

    patches = local_patches(35, 4, jigsaw="even")
    found = gradients(model.features(images(), camids))
    expected = gradients(slow_features(model, images(), camids, patches=patches))
    assert found.keys() == expected.keys()
    for key in found:
        torch.testing.assert_close(found[key], expected[key], atol=1e-4, rtol=1e-4)


def keep(sizes):
    """Note the bytes of each tensor that is kept for the gradient."""
    return lambda tensor: sizes.append(tensor.nbytes) or tensor


def test_computing_twice_needs_half_the_memory_and_gives_the_same_gradients():
    found = {}
    for recompute in ("never", "cpu", "always"):
        model, kept = tiny(recompute=recompute, drop_path=0.3).train(), []
        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(keep(kept), lambda tensor: tensor):
            total = sum(feature.square().sum() for feature in model.features(images()))
        total.backward()
        found[recompute] = sum(kept), [p.grad for p in model.parameters() if p.grad is not None]
    for recompute in ("cpu", "always"):
        assert found[recompute][0] < 0.7 * found["never"][0]
        for one, other in zip(found[recompute][1], found["never"][1], strict=True):
            assert torch.equal(one, other)
    assert "recompute" not in tiny(recompute="cpu").origin["arguments"]  # it is no other network


def test_the_embedding_holds_the_global_feature_and_a_share_of_each_local_one():
    model = tiny()
    with torch.no_grad():
        features = model.features(images())
        found = model.embed(images())
        expected = torch.cat([features[0], *(f / 4 for f in features[1:])], dim=1)
        torch.testing.assert_close(found, expected)
        after = []
        for feature, neck in zip(features, model.necks, strict=True):
            n = neck.norm
            after.append((feature - n.running_mean) / (n.running_var + n.eps).sqrt() * n.weight)
        expected = torch.cat([after[0], *(f / 4 for f in after[1:])], dim=1)
        torch.testing.assert_close(model.embed(images(), neck="after"), expected)
        own = tiny(default_neck="after").embed(images())
        torch.testing.assert_close(own, expected)
    assert found.shape == (3, 16 * 5) and tiny(parts=0).embed(images()).shape == (3, 16)
    with pytest.raises(ValueError, match="neck must be one of before, after, got 'both'"):
        model.embed(images(), neck="both")


def test_logits_are_those_of_the_normalised_features_in_both_modes():
    model = tiny()
    with torch.no_grad():
        for training in (False, True):
            model.train(training)
            for block in model.modules():
                if hasattr(block, "drop_path"):
                    block.drop_path = 0.0
            necks = copy.deepcopy(model.necks)
            out = model(images())
            features = model.features(images())
            for j, neck in enumerate(necks):
                torch.testing.assert_close(out.features[j], features[j])
                expected = neck.norm(features[j]) @ neck.classifier.weight.T
                torch.testing.assert_close(out.logits[j], expected)
    assert len(out.logits) == 5 and out.logits[0].shape == (3, 7)


def test_only_the_gain_of_a_neck_learns_and_all_else_does():
    model = tiny(num_cameras=3).train()
    out = model(images(), torch.tensor([0, 1, 2]))
    targets = torch.tensor([0, 1, 2])
    sum(F.cross_entropy(x, targets) + y.square().sum() for x, y in zip(out.logits, out.features,
        strict=True)).backward()  # fmt: skip
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert fixed == {f"necks.{j}.norm.bias" for j in range(5)}
    learned = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    assert all(p.grad is not None and bool(p.grad.any()) for _, p in learned)


def test_local_branches_start_as_copies_of_the_end_of_the_trunk_and_are_not_tied_to_it():
    model = transreid(3, sizes=TINY, image_size=SIZE)
    last, own = model.trunk.blocks[-1].state_dict(), model.local_end.block.state_dict()
    assert all(torch.equal(last[key], own[key]) for key in last)
    assert isinstance(model.local_end, End)
    with torch.no_grad():
        model.trunk.norm.weight.add_(1)
    assert not torch.equal(model.local_end.norm.weight, model.trunk.norm.weight)


def test_labels_that_are_missing_or_unknown_are_refused_where_there_is_a_table():
    model = tiny(num_cameras=3, untrained=(1,))
    with pytest.raises(ValueError, match="needs camids"):
        model(images())
    with pytest.raises(ValueError, match=r"camera 1 \(zero-based\); it has 0, 2"):
        model.embed(images(), torch.tensor([0, 1, 2]))
    with torch.no_grad():
        plain = tiny()
        assert torch.equal(plain.embed(images()), plain.embed(images(), torch.tensor([9, 9, 9])))


def test_a_camera_is_told_to_the_tokens_of_the_class_and_of_all_patches():
    model = tiny(num_cameras=3)
    with torch.no_grad():
        one, other = (model.embed(images(1), torch.tensor([c])) for c in (0, 2))
        assert not torch.allclose(one, other, atol=1e-2)
        model.trunk.side_scale = 0.0
        one, other = (model.embed(images(1), torch.tensor([c])) for c in (0, 2))
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("unseen", ["mean", "none"])
def test_a_network_forgets_cameras_where_the_dataset_is_another(unseen):
    model = tiny(num_cameras=3, num_views=2, untrained=(1,))
    camids, viewids = torch.tensor([0, 7, 1]), torch.tensor([0, 0, 9])
    model.forget_cameras(unseen)
    with torch.no_grad():
        found = model.features(images(), camids, viewids)
        table = model.trunk.side_embed
        row = table[[0, 1, 4, 5], 0].mean(0) if unseen == "mean" else torch.zeros(16)
        expected = model.trunk(images(), row.expand(3, -1))[:, 0]
        torch.testing.assert_close(found[0], expected)
        again = model.features(images())  # and asks for no labels
        torch.testing.assert_close(found[4], again[4])
    tiny().forget_cameras(unseen)  # a network without a table has nothing to forget
    with pytest.raises(ValueError, match="unseen must be one of mean, none, got 'error'"):
        model.forget_cameras("error")


def test_attention_is_that_of_the_global_branch():
    model = tiny(num_cameras=3)
    camids = torch.tensor([2, 0, 1])
    with torch.no_grad():
        tokens, maps = model.attention(images(), camids)
        torch.testing.assert_close(tokens[:, 0], model.features(images(), camids)[0])
    assert len(maps) == 3 and maps[0].shape == (3, 2, 25, 25)


def test_without_a_neck_classifiers_read_the_features_themselves():
    model = tiny(bnneck=False)
    with torch.no_grad():
        out = model(images())
        expected = out.features[2] @ model.necks[2].classifier.weight.T
        torch.testing.assert_close(out.logits[2], expected)
        model.embed(images(), neck="before")
    with pytest.raises(ValueError, match="neck 'after' needs a batch norm"):
        model.embed(images(), neck="after")


def test_a_cosine_head_gives_cosines():
    model = tiny(head="cosine")
    assert all(isinstance(neck.classifier, CosineClassifier) for neck in model.necks)
    with torch.no_grad():
        logits = model(images()).logits
    assert all(bool((x.abs() <= 1 + 1e-6).all()) for x in logits)


def test_it_is_saved_and_comes_back(tmp_path):
    model = tiny(
        stride=(12, 16), num_cameras=4, untrained=(2,), unseen="mean", sie_coefficient=2.0, shift=3,
        groups=3, parts=2, jigsaw="even", statistics="imagenet", default_neck="after",
        head="cosine", drop_path=0.2,
    )  # fmt: skip
    save_model(tmp_path, model, {})
    again, preprocess = load_model(tmp_path)
    camids = torch.tensor([0, 2, 3])
    with torch.inference_mode():
        assert torch.equal(again.embed(images(), camids), model.embed(images(), camids))
    assert preprocess == model.preprocess and preprocess.mean == (0.485, 0.456, 0.406)
    assert preprocess.size == SIZE and again.origin["arguments"] == model.origin["arguments"]
    assert again.trunk.blocks[-1].drop_path == 0.2 and again.sides.unseen == "mean"


def test_the_seed_decides_the_first_weights_and_nothing_else_does():
    one, same, other = (transreid(3, sizes=TINY, image_size=SIZE, seed=s) for s in (4, 4, 5))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.trunk.pos_embed, other.trunk.pos_embed)
    before = torch.get_rng_state()
    transreid(3, sizes=TINY, image_size=SIZE)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_published_network_has_the_published_sizes():
    with torch.device("meta"):
        model = transreid(751, num_cameras=6)
    assert (model.trunk.dim, len(model.trunk.blocks), model.trunk.grid) == (768, 12, (16, 8))
    assert model.trunk.blocks[0].attn.heads == 12 and model.trunk.side_scale == 3.0
    unused = 7_087_872 + 2 * 768 + 1000 * 768 + 1000  # last block, norm and ImageNet's classes
    count = sum(tensor.numel() for tensor in model.state_dict().values())
    assert count == 103_598_061 - unused
    assert model.preprocess.mean == (0.5, 0.5, 0.5) and model.default_neck == "before"
    assert [len(part) for part in model.patches] == [32] * 4


def test_the_desk_network_is_small_and_takes_changes():
    model = transreid_small(5, seed=3)
    assert model.trunk.grid == (8, 4) and model.embed(images(1, (128, 64))).shape == (1, 128 * 5)
    assert transreid_small(5, stride=(8, 16)).trunk.grid == (16, 4)
    assert transreid_small(5, image_size=(64, 32)).trunk.grid == (4, 2)
    assert model.origin["model"] == "transreid" and "sizes" not in model.origin["arguments"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "angular"}, "head must be one of linear, cosine, got 'angular'"),
        ({"statistics": "mean"}, "statistics must be one of half, imagenet, got 'mean'"),
        ({"default_neck": "between"}, "neck must be one of before, after"),
        ({"num_ids": 0}, "num_ids must be at least 1, got 0"),
        ({"parts": 25}, "expected 1 to 24 parts"),
        ({"groups": 7}, "7 groups cannot share 24 patches"),
        ({"num_cameras": 2, "untrained": (2,)}, "untrained cameras lie in 0 to 1"),
        ({"unseen": "zero", "num_views": 2}, "unseen must be one of error, mean, none"),
        ({"vit": "vit_huge"}, "unknown ViT 'vit_huge'"),
        ({"recompute": True}, "recompute must be one of never, cpu, always, got True"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    arguments = {"num_ids": 3, "sizes": TINY, "image_size": SIZE} | changes
    with pytest.raises(ValueError, match=message):
        transreid(**arguments)


def test_the_batched_local_branches_are_one_pass_of_the_shared_end():
    model, calls = tiny(), []
    model.local_end.register_forward_hook(lambda module, given, out: calls.append(out.shape))
    model.embed(images())
    assert calls == [(3 * 4, 1 + 6, 16)]


def test_a_trunk_built_by_hand_needs_the_rows_of_its_cameras_and_views():
    preprocess = tiny().preprocess
    trunk = ViT(SIZE, **TINY, sides=6)
    model = TransReID(trunk, 3, sides=SideTable(3, 2), preprocess=preprocess).eval()
    views = torch.tensor([0, 1, 1])
    assert model.embed(images(), torch.tensor([0, 1, 2]), views).shape == (3, 16 * 5)
    for rows, sides in ((6, SideTable(3)), (6, None), (0, SideTable(3, 2)), (2, SideTable(3))):
        wanted = len(sides) if sides else 0
        message = f"has {rows} rows, cameras and views make {wanted}; .* with sides={wanted}$"
        with pytest.raises(ValueError, match=message):
            TransReID(ViT(SIZE, **TINY, sides=rows), 3, sides=sides, preprocess=preprocess)
