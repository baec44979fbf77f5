"""What a vision transformer starts from: timm's names, files of others, networks of our own."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from reidlab.checkpoints import save_model
from reidlab.models import pretrained
from reidlab.models.transreid import transreid
from reidlab.models.vit import ViT, make_vit, resize_positions
from reidlab.models.vit_weights import FAMILIES, USUAL, start_vit

TINY = {"width": 16, "depth": 2, "heads": 2}
SQUARE = (64, 64)  # 4 x 4 patches


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(pretrained, "unreachable", lambda address: "no connection: played")
    return tmp_path


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(7)
    return ViT(SQUARE, **TINY)


@pytest.fixture
def state(source):
    heads = {"head.weight": torch.zeros(1000, 16), "head.bias": torch.zeros(1000)}
    return {key: value.clone() for key, value in source.state_dict().items()} | heads


def fresh(size=SQUARE, **changes):
    torch.manual_seed(1)
    return ViT(size, **(TINY | changes))


def same(trunk, source, but=("pos_embed", "side_embed")):
    ours, wanted = trunk.state_dict(), source.state_dict()
    return all(torch.equal(ours[key], wanted[key]) for key in wanted if key not in but)


def written(state, folder, name="w.pth"):
    torch.save(state, folder / name)
    return folder / name


def test_without_weights_the_first_ones_stay():
    trunk, other = fresh(), fresh()
    assert start_vit(trunk, False, 3) == {"seed": 3} and same(trunk, other, ())


WRAPPED = {
    "plain": lambda s: s,
    "model": lambda s: {"model": s, "epoch": 3},
    "state_dict": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "half": lambda s: {key: value.half().float() for key, value in s.items()},
    "pre_logits": lambda s: s | {"pre_logits.fc.weight": torch.zeros(2, 2)},
    "flat patches": lambda s: s | {
        "patch_embed.proj.weight": s["patch_embed.proj.weight"].flatten(1)
    },
}  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPED)
def test_a_file_in_timms_names_fills_the_trunk(tmp_path, source, state, wrap):
    trunk = fresh()
    file = written(WRAPPED[wrap](state), tmp_path)
    start = start_vit(trunk, file, 0)
    if wrap == "half":
        assert torch.allclose(trunk.norm.bias, source.norm.bias, atol=1e-3)
    else:
        assert same(trunk, source, ())
    assert start["pretrained"] == str(file) and len(start["weights"]) == 12


def test_safetensors_are_read_too(tmp_path, source, state):
    save_file(state, tmp_path / "w.safetensors")
    trunk = fresh()
    start_vit(trunk, str(tmp_path / "w.safetensors"), 0)
    assert same(trunk, source, ())


def test_of_a_distilled_network_the_second_token_is_dropped(tmp_path, source, state):
    table = state["pos_embed"]
    state["pos_embed"] = torch.cat([table[:, :1], torch.full((1, 1, 16), 9.0), table[:, 1:]], 1)
    state |= {"dist_token": torch.zeros(1, 1, 16), "head_dist.weight": torch.zeros(1000, 16)}
    trunk = fresh()
    start_vit(trunk, written(state, tmp_path), 0)
    assert same(trunk, source, ())


@pytest.mark.parametrize(("size", "grid"), [((96, 64), (6, 4)), ((64, 48), (4, 3))])
def test_a_square_position_table_is_resized(tmp_path, source, state, size, grid):
    trunk = fresh(size)
    start_vit(trunk, written(state, tmp_path), 0)
    assert same(trunk, source)
    assert torch.equal(trunk.pos_embed, resize_positions(source.pos_embed, grid, (4, 4)))


def test_what_does_not_fit_is_listed(tmp_path, state):
    del state["blocks.1.norm1.weight"]
    state["norm.bias"] = torch.zeros(3)
    file = written(state | {"blocks.1.ls1.gamma": torch.zeros(16)}, tmp_path)
    with pytest.raises(ValueError, match="w.pth has another trunk than this network") as caught:
        start_vit(fresh(), file, 0)
    message = str(caught.value)
    assert "1 missing: blocks.1.norm1.weight" in message and "head" not in message
    assert "1 unknown: blocks.1.ls1.gamma" in message and "norm.bias is (3,)" in message
    with pytest.raises(ValueError, match="13 missing: .*blocks.2.attn"):
        start_vit(fresh(depth=3), written(state, tmp_path), 0)


def test_the_table_of_side_information_is_never_taken_over(tmp_path, source, state):
    trunk = fresh(sides=3)
    before = trunk.side_embed.detach().clone()
    state["side_embed"] = torch.ones(5, 1, 16)
    start_vit(trunk, written(state, tmp_path), 0)
    assert torch.equal(trunk.side_embed, before) and same(trunk, source)


@pytest.mark.parametrize("parts", [0, 4])
def test_a_network_of_our_own_gives_its_trunk(tmp_path, parts):
    theirs = transreid(5, sizes=TINY, image_size=(96, 64), num_cameras=2, parts=parts, seed=9)
    save_model(tmp_path / "run", theirs, {})
    ours = transreid(3, sizes=TINY, image_size=(96, 64), num_cameras=4, pretrained=tmp_path / "run")
    assert same(ours.trunk, theirs.trunk, ("side_embed",))
    assert ours.origin["start"]["pretrained"] == str(tmp_path / "run")
    last = ours.local_end.block.state_dict()
    assert all(torch.equal(last[k], v) for k, v in ours.trunk.blocks[-1].state_dict().items())
    file = tmp_path / "run" / "model.safetensors"
    by_file = transreid(3, sizes=TINY, image_size=(96, 64), pretrained=str(file))
    assert same(by_file.trunk, theirs.trunk, ("side_embed",))


@pytest.mark.parametrize(("stride", "grid"), [((16, 16), (8, 4)), ((8, 16), (16, 4)), (8, (16, 8))])
@pytest.mark.parametrize("begun", [((16, 16), (8, 4)), ((8, 16), (16, 4))])
def test_positions_of_our_own_network_are_resized_from_the_grid_of_its_card(
    tmp_path, stride, grid, begun
):
    small = {"vit": "desk", "sizes": {"width": 16, "heads": 2}, "image_size": (128, 64)}
    theirs = transreid(5, **small, stride=begun[0], seed=9)
    save_model(tmp_path / "run", theirs, {})
    ours = transreid(3, **small, stride=stride, pretrained=tmp_path / "run")
    expected = resize_positions(theirs.trunk.pos_embed, grid, begun[1])
    assert torch.equal(ours.trunk.pos_embed, expected) and same(ours.trunk, theirs.trunk)


def test_a_card_may_leave_the_usual_stride_out(tmp_path):
    theirs = transreid(5, sizes=TINY, image_size=(256, 64), seed=9)  # 16 x 4: also a square of 8
    save_model(tmp_path / "run", theirs, {})
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    del card["origin"]["arguments"]["stride"]
    (tmp_path / "run" / "model.json").write_text(json.dumps(card))
    ours = transreid(3, sizes=TINY, image_size=(128, 64), pretrained=tmp_path / "run")
    assert torch.equal(
        ours.trunk.pos_embed, resize_positions(theirs.trunk.pos_embed, (8, 4), (16, 4))
    )


def test_without_a_card_a_table_that_is_no_square_has_the_shape_of_the_images(tmp_path):
    theirs = transreid(5, sizes=TINY, image_size=(128, 64), seed=9)  # 8 x 4
    file = written(theirs.state_dict(), tmp_path)
    ours = transreid(3, sizes=TINY, image_size=(256, 128), pretrained=file)
    assert torch.equal(
        ours.trunk.pos_embed, resize_positions(theirs.trunk.pos_embed, (16, 8), (8, 4))
    )


def test_another_trunk_of_our_own_is_refused(tmp_path):
    save_model(tmp_path / "run", transreid(5, sizes=TINY, image_size=SQUARE), {})
    with pytest.raises(ValueError, match="run has another trunk than this network:\n"):
        transreid(3, sizes=TINY | {"depth": 3}, image_size=SQUARE, pretrained=tmp_path / "run")


def test_every_usual_name_is_one_of_timms_that_fits():
    known = timm.list_models("*", pretrained=True)
    for trunk, name in USUAL.items():
        size = trunk.partition("_")[2]
        architecture = name.removeprefix("timm:").partition(".")[0]
        assert name.removeprefix("timm:") in known
        assert architecture in [family.format(size) for family in FAMILIES]
    published = timm.get_pretrained_cfg(USUAL["vit_base"].removeprefix("timm:"))
    assert published.url.endswith("jx_vit_base_p16_224-80ecf9dd.pth")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_timms_has_the_keys_and_shapes_of_our_trunk(family):
    size = next(s for s in ("tiny", "base") if timm.list_models(family.format(s)))
    side = int(family.rpartition("_")[2])
    with torch.device("meta"):
        theirs = timm.create_model(family.format(size), pretrained=False).state_dict()
        ours = make_vit(f"vit_{size}", (side, side)).state_dict()
    found = {k: v.shape for k, v in theirs.items() if not k.startswith(("head", "dist"))}
    extra = int("distilled" in family)
    assert found.pop("pos_embed")[1] == ours.pop("pos_embed").shape[1] + extra
    assert found == {k: v.shape for k, v in ours.items()}


def played(monkeypatch, state, folder, asked):
    def download(repo_id, filename):
        save_file(state, folder / "fetched.safetensors")
        asked.append(repo_id)
        return str(folder / "fetched.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(pretrained, "unreachable", lambda address: None)


def test_timms_weights_come_by_name_and_fill_a_real_trunk(caches, monkeypatch):
    torch.manual_seed(0)
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    asked: list[str] = []
    played(monkeypatch, theirs.state_dict(), caches, asked)
    for name in (True, "timm:vit_tiny_patch16_224.augreg_in21k", "timm:vit_tiny_patch16_224"):
        model = transreid(3, vit="vit_tiny", image_size=(64, 32), pretrained=name, parts=0)
        assert same(model.trunk, theirs_trunk(theirs))
    usual = USUAL["vit_tiny"].replace("timm:", "timm/")
    assert asked == [usual, "timm/vit_tiny_patch16_224.augreg_in21k", usual]
    assert model.origin["start"]["pretrained"] == "timm:vit_tiny_patch16_224"


def theirs_trunk(theirs):
    """timm's network as one of ours, for comparison."""
    trunk = make_vit("vit_tiny", (224, 224))
    own = {key: value for key, value in theirs.state_dict().items() if not key.startswith("head")}
    trunk.load_state_dict(own)
    return trunk


def test_true_means_what_belongs_to_the_name_of_the_trunk(caches, monkeypatch):
    state = timm.create_model("deit_tiny_distilled_patch16_224", pretrained=False).state_dict()
    asked: list[str] = []
    played(monkeypatch, state, caches, asked)
    transreid(3, vit="deit_tiny", image_size=(64, 32), pretrained=True, parts=0)
    assert asked == ["timm/deit_tiny_distilled_patch16_224.fb_in1k"]


def test_without_a_network_the_message_says_what_to_fetch():
    with pytest.raises(ValueError) as caught:
        transreid(3, vit="vit_tiny", image_size=(64, 32), pretrained=True)
    message = str(caught.value)
    for part in (
        f"{USUAL['vit_tiny']} (no connection: played)",
        "model.safetensors of timm/vit_tiny",
    ):
        assert part in message
    assert "--pretrained FILE" in message and "--pretrained none" in message


@pytest.mark.parametrize(
    ("vit", "name", "message"),
    [
        (
            "vit_tiny",
            "timm:resnet50.a1_in1k",
            "fit this network; choose one of timm:vit_tiny_patch",
        ),
        ("vit_tiny", "nowhere", "no trained network at nowhere.*timm:vit_tiny_patch16_224.augreg"),
        ("vit_tiny", "torchvision:vit_b_16", "no trained network at torchvision:vit_b_16"),
        ("desk", True, "no library has weights of this trunk .width 128, 4 blocks, ConvStem."),
        ("vit_small_8", True, "no library has weights of this trunk .width 768, 8 blocks, Patch"),
        (
            "desk",
            "timm:vit_tiny_patch16_224",
            "no trained network at timm:vit_tiny.*--pretrained n",
        ),
    ],
)
def test_names_that_mean_nothing_for_a_trunk_are_refused(vit, name, message):
    with pytest.raises(ValueError, match=message):
        start_vit(make_vit(vit, (128, 64)), name, 0)


def test_a_file_that_is_no_transformer_is_refused(tmp_path):
    file = written({"conv1.weight": torch.zeros(1)}, tmp_path)
    with pytest.raises(ValueError, match="1 unknown: conv1.weight"):
        start_vit(fresh(), file, 0)
    written({"epoch": 3}, tmp_path)
    with pytest.raises(ValueError, match="holds no state dict"):
        start_vit(fresh(), file, 0)
