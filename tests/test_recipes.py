import dataclasses

import pytest
import torch

from reidlab.data.heads import HEADS, labels_of
from reidlab.data.samples import Batch, Sample
from reidlab.data.targets import weights_of
from reidlab.data.transforms import TrainTransform
from reidlab.data.variants import VARIANTS
from reidlab.recipes import RECIPES, recipe
from reidlab.training.objective import Objective, Optimizers

LABELS = [labels_of(dict.fromkeys(HEADS, c)) for c in (0, 1)]


ROWS = {"pairs": [0, 0, 0, 1], "triplets": [0, 0, 1, 1, 1, 0]}  # what a tuple sampler gives


def is_large(chosen):
    """Whether one step of the network takes seconds."""
    return chosen.profile == "paper" and chosen.method not in ("baseline", "attributes")


@pytest.mark.parametrize(
    "key",
    [pytest.param(k, marks=pytest.mark.slow) if is_large(r) else k for k, r in RECIPES.items()],
    ids="-".join,
)
def test_every_recipe_builds_its_network_and_takes_a_step(key):
    chosen = recipe(*key)
    changes = {"pretrained": False} if "pretrained" in chosen.arguments else {}
    model = chosen.build(6, **changes)
    height, width = model.preprocess.size
    pids = torch.tensor(ROWS.get(chosen.train.sampler, [0, 0, 1, 1]))
    images = torch.randint(0, 256, (len(pids), 3, height, width), dtype=torch.uint8)
    samples = [
        Sample(f"{i}.jpg", i + 1, 1, attributes=LABELS[pid]) for i, pid in enumerate(pids.tolist())
    ]
    codes = {n: torch.tensor([s.attributes[n] for s in samples]) for n in LABELS[0]}
    batch = Batch(
        chosen.train.transform(images, model.preprocess, torch.Generator().manual_seed(0)),
        pids, pids, pids, attributes=codes,
    )  # fmt: skip
    objective = Objective(model, chosen.bound_loss(model, samples=samples))
    optimizers = Optimizers(objective, chosen.train)
    learned = [p for p in objective.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in learned]
    for _ in range(2):  # a block that starts as the identity learns inside from the second on
        optimizers.schedule(0, 1.0)
        optimizers.zero_grad()
        torch.stack(list(objective(batch).values())).sum().backward()
        optimizers.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, learned, strict=True))


def test_the_paper_recipe_holds_the_published_numbers():
    chosen = recipe("baseline", "paper")
    train = chosen.train
    assert (train.epochs, train.batch_size, train.images_per_id) == (120, 64, 4)
    assert (train.optimizer, train.lr, train.weight_decay) == ("adam", 3.5e-4, 5e-4)
    assert (train.milestones, train.warmup_epochs, train.gamma) == ((40, 70), 10, 0.1)
    assert chosen.arguments["image_size"] == (256, 128)
    settings = {"margin": 0.3, "smoothing": 0.1, "center_weight": 5e-4}
    assert dict(chosen.loss_arguments) == settings
    assert train.loss_lr == 0.5
    augment = train.transform
    assert (augment.erase_fill, augment.erase_aspect, augment.erase_tries) == (
        "mean",
        "linear",
        100,
    )


TRIMMED = TrainTransform(flip=0.5, pad=10, erase=0.0)  # mirror and crop
TUPLES = {
    "optimizer": "adam", "lr": 1e-4, "weight_decay": 5e-4, "epochs": 25, "schedule": "constant",
    "warmup_epochs": 0, "patience": 5, "monitor": "val_loss", "ids_per_batch": 8,
    "images_per_id": 4, "transform": TRIMMED,
}  # fmt: skip
SIZED = {"image_size": (256, 128), "pretrained": True}
PUBLISHED = {
    "ianet": (
        {
            "optimizer": "adam", "lr": 3.5e-4, "weight_decay": 5e-4, "epochs": 60,
            "schedule": "multistep", "schedule_by": "epoch", "milestones": (20, 40), "gamma": 0.1,
            "warmup_epochs": 0, "sampler": "groups", "ids_per_batch": 16, "images_per_id": 4,
            "patience": None,
            "transform": TrainTransform(
                flip=0.5, pad=10, erase=0.5, erase_area=(0.02, 0.4), erase_fill="mean",
                interpolation="bilinear", erase_aspect="linear", erase_tries=100,
            ),
        },
        {
            "classification": "cross-entropy", "pairwise": "triplet", "smoothing": 0.0,
            "pair_margin": 0.3,
        },
        SIZED | {"last_stride": 1},
        True,
    ),
    "transreid": (
        {
            "optimizer": "sgd", "lr": 0.008, "weight_decay": 1e-4, "momentum": 0.9, "epochs": 120,
            "bias_lr_factor": 2.0, "schedule": "cosine", "schedule_by": "epoch",
            "warmup_epochs": 5, "warmup_factor": 0.01, "min_lr_factor": 0.002, "sampler": "pk",
            "ids_per_batch": 16, "images_per_id": 4, "patience": None, "clip_norm": None,
            "transform": TrainTransform(
                flip=0.5, pad=10, erase=0.5, erase_area=(0.02, 1 / 3), erase_fill="noise",
                interpolation="bicubic", erase_aspect="log", erase_tries=10,
            ),
        },
        {},
        SIZED | {"vit": "vit_base", "recompute": "cpu"},
        False,
    ),
    "siamese": (TUPLES | {"sampler": "pairs"}, {"margin": 10.0}, SIZED, False),
    "multibranch": (
        TUPLES | {"sampler": "triplets"}, {"margin": 10.0, "weight": 0.5}, SIZED, False,
    ),
    "alignedreid": (
        {
            "optimizer": "adam", "lr": 2e-4, "weight_decay": 5e-4, "epochs": 300,
            "schedule": "multistep", "schedule_by": "epoch", "milestones": (150,), "gamma": 0.1,
            "warmup_epochs": 0, "sampler": "pk", "ids_per_batch": 8, "images_per_id": 4,
            "patience": None, "transform": TRIMMED,
        },
        {"margin": 0.3, "smoothing": 0.0},
        SIZED | {"last_stride": 2, "local": "max", "local_dim": 128},
        False,
    ),
    "la-transformer": (
        {
            "optimizer": "adam", "lr": 3e-4, "weight_decay": 5e-4, "epochs": 30,
            "schedule": "multistep", "schedule_by": "epoch", "milestones": tuple(range(0, 30, 2)),
            "gamma": 0.8, "warmup_epochs": 0, "sampler": "shuffle", "batch_size": 32,
            "unfreeze_every": 2, "patience": None,
            "transform": TrainTransform(flip=0.5, pad=0, erase=0.0, interpolation="bicubic"),
        },
        {},
        {"image_size": (224, 224), "pretrained": True},
        False,
    ),
    "deep-cosine": (
        {
            "optimizer": "adam", "lr": 1e-3, "weight_decay": 1e-8, "epochs": 200,
            "schedule": "constant", "warmup_epochs": 0, "sampler": "pk", "ids_per_batch": 32,
            "images_per_id": 4, "patience": None,
            "transform": TrainTransform(flip=0.5, pad=0, erase=0.0),
        },
        {"scale_weight": 0.1},
        {},
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_paper_recipes_hold_every_published_number(method):
    train, loss, network, flip = PUBLISHED[method]
    chosen = recipe(method, "paper")
    assert {name: getattr(chosen.train, name) for name in train} == train
    assert dict(chosen.loss_arguments) == loss
    assert dict(chosen.arguments) == network
    assert chosen.flip is flip
    assert chosen.learns == ("distances" if method == "siamese" else "people")


def test_sources_say_what_erasing_writes_and_what_patience_watches():
    assert "into the normalised image" in recipe("ianet", "paper").source
    assert "watches the triplet term alone" in recipe("multibranch", "paper").source


@pytest.mark.parametrize("method", ["multibranch", "deep-cosine"])
def test_no_people_build_a_network_without_classifiers(method):
    changes = {} if method == "deep-cosine" else {"pretrained": False}
    assert recipe(method).build(0, **changes).num_ids is None
    with pytest.raises(ValueError, match="say how many.*0 builds a network without classifiers"):
        recipe(method).build(**changes)
    with pytest.raises(ValueError, match="num_ids must be at least 1, got 0"):
        recipe("ianet").build(0)


def test_settings_and_seed_reach_a_loss_that_learns():
    chosen = dataclasses.replace(recipe("baseline", "paper"), loss_arguments={"center_weight": 0.1})
    model = recipe("baseline").build(3)
    one, other = (chosen.bound_loss(model, seed=seed) for seed in (0, 1))
    assert one.center_weight == 0.1 and one.centers.shape == (3, 256)
    assert not torch.equal(one.centers, other.centers)


def test_a_loss_that_learns_asks_for_its_network():
    with pytest.raises(ValueError, match="ReidCenterLoss has parameters that fit a network"):
        recipe("baseline", "paper").bound_loss()


def test_unknown_methods_and_profiles_list_the_known_ones():
    with pytest.raises(
        ValueError, match="methods: .*attributes, baseline.*; profiles: desk, paper"
    ):
        recipe("baseline", "laptop")


def test_a_recipe_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        recipe("baseline").loss_arguments["margin"] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe("baseline").flip = False


def test_the_paper_recipe_of_attributes_holds_the_reported_numbers():
    chosen = recipe("attributes", "paper")
    train = chosen.train
    assert (train.optimizer, train.lr, train.weight_decay) == ("adam", 1e-4, 5e-4)
    assert (train.batch_size, train.epochs, train.patience) == (128, 100, 5)
    assert (train.schedule, train.warmup_epochs, train.sampler) == ("constant", 0, "shuffle")
    assert train.monitor == "val_loss" and train.lower_is_better
    assert chosen.prepare is weights_of and dict(chosen.loss_arguments) == {"reduction": "sum"}
    assert chosen.model == "attributes_resnet50" and chosen.arguments["pretrained"] is True
    model = chosen.build(pretrained=False)
    sizes = {head: layers[1].out_features for head, layers in model.heads.items()}
    assert sizes == {head: len(names) for head, names in HEADS.items()}
    assert {layers[0].p for layers in model.heads.values()} == {0.2}


def test_class_weights_come_from_the_people_who_train():
    samples = [Sample(f"{i}.jpg", 1, 1, attributes=LABELS[0]) for i in range(9)]
    samples += [Sample(f"x{i}.jpg", 2 + i, 1, attributes=LABELS[1]) for i in range(3)]
    loss = recipe("attributes").bound_loss(samples=samples)
    assert loss.keywords["weights"]["hat"] == [3.0, 1.0] and loss.keywords["reduction"] == "sum"
    plain = dataclasses.replace(recipe("attributes"), prepare=None)
    assert "weights" not in plain.bound_loss().keywords
    with pytest.raises(ValueError, match="attribute_loss weighs the training samples; pass them"):
        recipe("attributes").bound_loss()


def test_a_network_of_people_asks_how_many_and_one_of_attributes_does_not():
    with pytest.raises(ValueError, match="baseline_small learns people; say how many"):
        recipe("baseline").build()
    assert recipe("attributes").variant in VARIANTS
    changed = recipe("attributes").build(99, pretrained=False, joint=True)
    assert changed.origin["arguments"]["joint"] is True
