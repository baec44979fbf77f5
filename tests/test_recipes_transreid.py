"""The published settings of TransReID, dataset by dataset."""

import pytest
import torch

from reidlab.data.samples import Sample, Splits
from reidlab.recipes import recipe
from reidlab.recipes.transreid import PUBLISHED, published

PEOPLE = ("market1501", "msmt17", "dukemtmc", "occluded-duke")
TABLE = [  # dataset, variant, trunk, learning rate, erasing, batch, shift, size
    ("market1501", "transreid", "vit_base", 0.008, 0.5, 64, 5, (256, 128)),
    ("market1501", "transreid", "deit_small", 0.008, 0.8, 64, 5, (256, 128)),
    ("market1501", "baseline", "vit_base", 0.008, 0.5, 64, 5, (256, 128)),
    ("msmt17", "transreid", "vit_base", 0.008, 0.5, 64, 5, (256, 128)),
    ("msmt17", "transreid", "deit_base", 0.005, 0.8, 64, 5, (256, 128)),
    ("msmt17", "baseline", "vit_small_8", 0.005, 0.8, 64, 5, (256, 128)),
    ("dukemtmc", "jpm", "vit_base", 0.008, 0.5, 64, 5, (256, 128)),
    ("occluded-duke", "sie", "vit_base", 0.008, 0.5, 64, 5, (256, 128)),
    ("veri", "transreid", "vit_base", 0.01, 0.5, 64, 8, (256, 256)),
    ("veri", "baseline", "vit_base", 0.008, 0.5, 64, 8, (256, 256)),
    ("vehicleid", "transreid", "vit_base", 0.045, 0.5, 224, 8, (256, 256)),
    ("vehicleid", "baseline", "vit_base", 0.04, 0.5, 224, 8, (256, 256)),
    ("vehicleid", "transreid", "deit_base", 0.03, 0.8, 224, 8, (256, 256)),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(map(str, row[:3])))
def test_each_dataset_has_its_published_numbers(row):
    name, variant, vit, lr, erase, batch, shift, size = row
    found = published(name, variant=variant, vit=vit)
    train = found.train
    assert (train.lr, train.transform.erase, train.batch_size) == (lr, erase, batch)
    assert train.images_per_id == 4 and train.epochs == 120 and train.bias_lr_factor == 2.0
    assert found.arguments["image_size"] == size and found.arguments["vit"] == vit
    assert found.arguments.get("shift", 5) == shift and found.arguments["pretrained"] is True
    assert found.arguments.get("parts", 4) == (0 if variant in ("baseline", "sie") else 4)
    statistics = found.arguments.get("statistics", "half")
    assert statistics == ("imagenet" if name[0] == "v" and vit[0] == "d" else "half")
    assert PUBLISHED[name].words in found.source and "another" not in found.source
    assert found.loss_arguments == {} and found.flip is False


def test_who_is_told_cameras_and_views():
    people = [Sample("a.jpg", 1, 1, viewid=1), Sample("b.jpg", 1, 3, viewid=2)]
    splits = Splits(people, query=[], gallery=[], cameras=[1, 2, 3], views=[1, 2])
    counted = published("veri").counted(splits)
    assert counted == {"num_cameras": 3, "num_views": 2, "untrained": (1,)}
    for name in PEOPLE:
        assert published(name).counted(splits) == {"num_cameras": 3, "untrained": (1,)}
        assert published(name, variant="sie").counts == published(name).counts
        for variant in ("baseline", "jpm"):
            assert published(name, variant=variant).counts == ()
    assert published("vehicleid").counts == ()


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_network_can_be_built(name):
    own = PUBLISHED[name]
    for stride in own.strides:
        for size in own.image_sizes:
            found = published(name, stride=stride, image_size=size)
            assert "another" not in found.source
            with torch.device("meta"):
                model = found.build(10, pretrained=False, num_cameras=6)
            assert model.trunk.stride == (stride, stride) and model.preprocess.size == size
            assert model.parts == 4


def test_what_was_not_published_says_so():
    assert "with another stride or size than 14" in published(stride=14).source
    assert "another" in published("market1501", image_size=(128, 64)).source
    assert published().source == recipe("transreid", "paper").source
    with pytest.raises(ValueError, match="for 'prid'; choose one of market1501, msmt17"):
        published("prid")
    with pytest.raises(
        ValueError, match="variant must be one of transreid, baseline, jpm, sie, got"
    ):
        published(variant="all")
