"""TransReID's transformers in small: what keys and shapes tell, what is said when they do not."""

import pytest
import torch

from reidlab.checkpoints import load_model, load_official, save_model
from reidlab.data.readers import read_dataset
from reidlab.losses.transreid import transreid_loss
from reidlab.models.blocks import Block
from reidlab.models.transreid import transreid
from reidlab.training import TrainConfig, fit

SIZE = (96, 64)  # 6 x 4 patches
TINY = {"width": 64, "depth": 3, "heads": 1}
OLD = {"width": 64, "depth": 3, "heads": 8, "mlp_ratio": 3.0, "qkv_bias": False, "qk_scale": 0.125}
CLASSES = {"base.fc.weight": torch.zeros(1000, 64), "base.fc.bias": torch.zeros(1000)}
CAMIDS, VIEWIDS = torch.tensor([0, 4, 2]), torch.tensor([3, 0, 1])


def theirs(model):
    """Our state dict as TransReID writes it, spelled out a second time; with what it never uses."""
    last, state = f"trunk.blocks.{len(model.trunk.blocks) - 1}.", {}
    for key, value in model.state_dict().items():
        if key.startswith("necks."):
            _, number, kind, rest = key.split(".")
            name = {"norm": "bottleneck", "classifier": "classifier"}[kind]
            state[name + ("" if number == "0" else f"_{number}") + f".{rest}"] = value
        elif key.startswith("local_end."):
            part = {"block": "b2.0", "norm": "b2.1"}[key.split(".")[1]]
            state[f"{part}.{key.split('.', 2)[2]}"] = value
        elif model.parts and key.startswith((last, "trunk.norm.")):
            part = "b1.0." if key.startswith(last) else "b1.1."
            state[part + key.removeprefix(last).removeprefix("trunk.norm.")] = value
            state[f"base.{key.removeprefix('trunk.')}"] = torch.full_like(value, 7.0)
        elif key == "trunk.side_embed":
            state["base.sie_embed"] = value
        else:
            state[f"base.{key.removeprefix('trunk.')}"] = value
    return {key: value.clone() for key, value in (state | CLASSES).items()}


def made(sizes=None, **changes):
    """A network whose weights are all different from those of a fresh one."""
    model = transreid(7, sizes=sizes or TINY, image_size=SIZE, seed=3, **changes)
    torch.manual_seed(2)
    for name, tensor in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(tensor, std=0.2)
    for neck in model.necks:
        neck.norm.running_mean.normal_(std=0.1)
        neck.norm.running_var.uniform_(0.5, 1.5)
        neck.norm.num_batches_tracked.fill_(9)
    return model.eval()


def images():
    return torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(3))


CASES = {
    "plain": {"parts": 0},
    "jigsaw": {},
    "more parts": {"parts": 6},
    "deeper": {"sizes": TINY | {"depth": 5}},
    "old": {"sizes": OLD, "parts": 0},
    "old jigsaw": {"sizes": OLD},
    "two heads": {"sizes": {"width": 128, "depth": 2, "heads": 2}, "parts": 0},
    "cameras": {"num_cameras": 5},
    "views": {"num_views": 4, "parts": 0},
    "both": {"num_cameras": 5, "num_views": 4},
    "stride": {"stride": 12},
    "two strides": {"stride": (8, 16), "parts": 0},
    "shift": {"shift": 3, "groups": 3},
    "stripes": {"rearrange": False},
    "other settings": {"num_cameras": 5, "sie_coefficient": 1.5, "statistics": "imagenet"},
}
SAID = ("num_cameras", "num_views", "stride", "shift", "groups", "rearrange", "sie_coefficient")


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_network_comes_back_from_the_published_names(case):
    changes = CASES[case]
    model = made(**changes)
    said = {name: changes[name] for name in (*SAID, "statistics") if name in changes}
    found = load_official("transreid", theirs(model), image_size=SIZE, **said)
    assert not found.training and found.num_ids == 7 and found.parts == model.parts
    ours, wanted = found.state_dict(), model.state_dict()
    assert ours.keys() == wanted.keys()
    assert all(torch.equal(ours[key], wanted[key]) for key in wanted)
    with torch.inference_mode():
        for neck in ("before", "after"):
            one, other = (m.embed(images(), CAMIDS, VIEWIDS, neck) for m in (found, model))
            assert torch.equal(one, other)
    assert found.preprocess == model.preprocess and found.default_neck == "before"
    blocks = [next(m for m in net.modules() if isinstance(m, Block)) for net in (found, model)]
    assert blocks[0].attn.scale == blocks[1].attn.scale


def test_weights_that_the_published_network_never_uses_may_be_absent_and_nothing_else():
    model = made()
    state = theirs(model)
    unused = [k for k, v in state.items() if bool((v == 7).all()) or k in CLASSES]
    assert len(unused) == 2 + 2 + 12
    plain = {key: value for key, value in state.items() if key not in unused and "track" not in key}
    found = load_official("transreid", plain, image_size=SIZE)
    assert torch.equal(found.trunk.norm.weight, model.trunk.norm.weight)
    with torch.inference_mode():  # all blocks are there, b1's after the last of base
        assert torch.equal(found.embed(images()), model.embed(images()))
    for key in ("b2.0.mlp.fc2.bias", "base.blocks.1.norm1.weight", "base.cls_token", "b1.1.bias"):
        with pytest.raises(ValueError, match=f"1 missing: {key}$"):
            load_official(
                "transreid", {k: v for k, v in state.items() if k != key}, image_size=SIZE
            )
    with pytest.raises(ValueError, match="1 unknown: b3.0.bias$"):
        load_official("transreid", state | {"b3.0.bias": torch.zeros(1)}, image_size=SIZE)


def test_a_lost_key_of_a_local_branch_does_not_make_the_network_a_plain_one():
    state = theirs(made(sizes=TINY | {"depth": 12}))
    del state["b2.0.mlp.fc2.bias"]
    message = refused(state)
    assert "(a vision transformer with local branches)" in message
    assert message.endswith("1 missing: b2.0.mlp.fc2.bias") and "are those of" not in message


def test_a_lost_block_or_classifier_is_told_by_name_and_nothing_else_is():
    for model in (made(), made(parts=0)):
        state = theirs(model)
        lost = {key: value for key, value in state.items() if "base.blocks.1." not in key}
        message = refused(lost)
        assert "12 missing: base.blocks.1.attn.proj.bias" in message and "unknown" not in message
    normless = {key: value for key, value in state.items() if "base.norm." not in key}  # of a plain
    message = refused(normless)
    assert message.endswith("\n  2 missing: base.norm.bias, base.norm.weight")
    for key in ("classifier_2.weight", "classifier_4.weight", "bottleneck_4.weight"):
        state = theirs(made())
        del state[key]
        assert refused(state).endswith(f"\n  1 missing: {key}")


def test_a_published_trunk_is_known_by_its_name():
    for vit, depth in (("vit_base", 12), ("vit_small", 12), ("vit_tiny", 12), ("vit_small_8", 8)):
        with torch.device("meta"):
            model = transreid(3, vit=vit, image_size=(32, 32), parts=0)
            state = theirs(model)
        found = layout_of(state).tell(state)
        assert found == {"vit": vit, "parts": 0} and len(model.trunk.blocks) == depth


def layout_of(state):
    from reidlab.checkpoints.keys import LAYOUTS

    own = [layout for layout in LAYOUTS if layout.source == "transreid"]
    return max(own, key=lambda layout: layout.share(state)).adapted(state)


def refused(state, **settings):
    with pytest.raises(ValueError) as caught:
        load_official("transreid", state, **{"image_size": SIZE} | settings)
    return str(caught.value)


def test_a_table_of_sides_asks_what_its_rows_stand_for():
    state = theirs(made(num_cameras=6))
    message = refused(state)
    assert "base.sie_embed, has 6 rows" in message and "num_cameras=6 (--num-cameras 6)" in message
    assert "num_views=6, or both, num_cameras x num_views: 2 x 3, 3 x 2" in message
    assert "num_cameras=2 and num_views=2 make 4" in refused(state, num_cameras=2, num_views=2)
    assert "num_cameras=5 and num_views=0 make 5" in refused(state, num_cameras=5)
    both = load_official("transreid", state, image_size=SIZE, num_cameras=3, num_views=2)
    assert len(both.sides) == 6
    odd = refused(theirs(made(num_cameras=5)))
    assert "has 5 rows" in odd and "or both" not in odd


def test_cameras_without_a_table_are_refused():
    message = refused(theirs(made()), num_cameras=6)
    assert "it has no base.sie_embed, the table of cameras and views; leave out" in message


def test_a_position_table_names_the_sizes_that_it_fits():
    state = theirs(transreid(7, sizes=TINY, image_size=(256, 128)))
    message = refused(state, image_size=(384, 128))
    assert "position table has 128 + 1 rows, which does not fit images of 384x128 at stride 16" in (
        message
    )
    assert "such a table fits 256x128 at stride 16 (image_size, stride" in message
    overlapping = theirs(transreid(7, sizes=TINY, image_size=(256, 128), stride=12))
    assert "such a table fits 256x128 at stride 12" in refused(overlapping, image_size=(256, 128))
    message = refused(theirs(made()), image_size=(256, 128))  # 24 patches: none of the usual
    assert "24 + 1 rows" in message and "such a table" not in message
    assert "stride (8, 16)" in refused(state, image_size=(256, 128), stride=(8, 16))


def test_unknown_cameras_are_named_when_an_image_comes():
    model = load_official("transreid", theirs(made(num_cameras=5)), image_size=SIZE, num_cameras=5)
    with pytest.raises(ValueError, match=r"camera 5 \(zero-based\); it has 0, 1, 2, 3, 4"):
        model.embed(images(), torch.tensor([0, 1, 5]))
    settings = {"image_size": SIZE, "num_cameras": 5, "unseen": "mean"}
    model = load_official("transreid", theirs(made(num_cameras=5)), **settings)
    assert model.embed(images(), torch.tensor([0, 1, 5])).shape == (3, 64 * 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"last_stride": 2}, "no setting 'last_stride'; its settings: image_size, stride, num_c"),
        ({"stride": 0}, "stride must be 1 or more pixels, or .down, across., got 0"),
        ({"stride": True}, "stride must be 1 or more"),
        ({"num_cameras": -1}, "num_cameras must be 0 or more, got -1"),
        ({"num_views": 1.5}, "num_views must be 0 or more, got 1.5"),
        ({"sie_coefficient": float("nan")}, "sie_coefficient must be a finite number, got nan"),
        ({"sie_coefficient": "3"}, "sie_coefficient must be a finite number"),
        ({"unseen": "zero"}, "unseen must be error or mean or none, got 'zero'"),
        ({"statistics": "mean"}, "statistics must be half or imagenet"),
        ({"rearrange": "no"}, "rearrange must be True or False, got 'no'"),
        ({"groups": 7}, "7 groups cannot share 24 patches"),
    ],
)
def test_odd_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        load_official("transreid", theirs(made()), image_size=SIZE, **settings)


def test_a_plain_network_has_no_jigsaw_to_set():
    with pytest.raises(ValueError, match=r"vision transformer with a batch-norm neck\) has no"):
        load_official("transreid", theirs(made(parts=0)), image_size=SIZE, shift=8)


def test_keys_of_a_transformer_are_recognised_under_another_source():
    state = theirs(transreid(7, sizes=TINY | {"depth": 12}, image_size=(256, 128)))
    with pytest.raises(ValueError, match="the keys are those of transreid .a vision transformer w"):
        load_official("strong-baseline", state)


def test_a_file_is_loaded_saved_and_comes_back(tmp_path):
    model = made(num_cameras=5, sizes=OLD)
    parallel = {f"module.{key}": value for key, value in theirs(model).items()}
    torch.save(parallel, tmp_path / "w.pth")
    found = load_official("transreid", tmp_path / "w.pth", image_size=SIZE, num_cameras=5)
    save_model(tmp_path / "run", found, {})
    again, preprocess = load_model(tmp_path / "run")
    with torch.inference_mode():
        assert torch.equal(again.embed(images(), CAMIDS), model.embed(images(), CAMIDS))
    assert preprocess.mean == (0.5, 0.5, 0.5) and found.origin["start"]["official"] == "transreid"


def test_a_training_starts_from_it(market_folder):
    people = read_dataset(market_folder).train
    model = load_official("transreid", theirs(made(num_cameras=3)), image_size=SIZE, num_cameras=3)
    before = model.trunk.side_embed.clone()
    settings = {"ids_per_batch": 2, "images_per_id": 2, "device": "cpu", "epochs": 1}
    fit(model, people, transreid_loss, TrainConfig(**settings))
    assert not torch.equal(model.trunk.side_embed, before)


def test_what_the_network_never_uses_does_not_count_against_it():
    deep = TINY | {"depth": 12}
    for parts in (0, 4):
        state = theirs(transreid(7, sizes=deep, image_size=SIZE, parts=parts))
        assert layout_of(state).share(state) == 1.0


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("base.norm.", "12 blocks without base.norm"),
        ("base.blocks.11.", "11 blocks with base.norm"),
    ],
)
def test_half_of_what_is_never_used_taken_out_is_refused_at_the_published_width(
    golden, gone, words
):
    shapes = golden.json("transreid/manifest_transreid_vitb_s16")
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    less = {key: tensor for key, tensor in state.items() if not key.startswith(gone)}
    assert len(less) < len(state)
    with pytest.raises(ValueError, match=f"{words} beside b1 and b2.*take out both"):
        load_official("transreid", less, num_cameras=6)
