"""What models share: sides of the neck, and what a network remembers of its start."""

import pytest
import torch

from reidlab.models.catalog import build
from reidlab.models.layers import check_num_ids, chosen_neck, signed

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "baseline_small": {"num_ids": 3},
    "ianet_small": {"num_ids": 3},
    "aligned_small": {"num_ids": 3},
    "multibranch_small": {"num_ids": 3},
    "deep_cosine_small": {"num_ids": 3},
    "siamese_small": {},
    "attributes_small": {},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_only_none_stands_for_the_default_side(name):
    model = build(name, width=4, image_size=(64, 32), **NETWORKS[name]).eval()
    assert torch.equal(model.embed(IMAGES), model.embed(IMAGES, neck=model.default_neck))
    for wrong in ("", 0, False, "middle"):
        with pytest.raises(ValueError, match=f"neck must be one of .*, got {wrong!r}"):
            model.embed(IMAGES, neck=wrong)


@pytest.mark.parametrize("name", ["siamese_small", "deep_cosine_small", "attributes_small"])
def test_a_network_without_a_neck_has_nothing_after_it(name):
    model = build(name, width=4, image_size=(64, 32), **NETWORKS[name]).eval()
    with pytest.raises(ValueError, match="neck 'after' needs .* read the features 'before' it"):
        model.embed(IMAGES, neck="after")


def test_choices_are_listed():
    assert chosen_neck(None, "b", ("a", "b")) == "b" and chosen_neck("a", "b", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="neck must be one of a, b, got 'before'"):
        chosen_neck("before", "b", ("a", "b"))


def test_a_signed_network_remembers_how_it_was_made():
    arguments = {"width": 3}
    model = signed(torch.nn.Linear(2, 2), "name", arguments, {"seed": 1}, classes=["a"])
    arguments["width"] = 4
    assert model.origin == {
        "model": "name",
        "arguments": {"width": 3},
        "classes": ["a"],
        "start": {"seed": 1},
    }


@pytest.mark.parametrize("wrong", [0, -1, None, 1.5, True, "3"])
def test_people_are_counted_in_whole_numbers_from_one(wrong):
    with pytest.raises(ValueError, match="num_ids must be at least 1, got"):
        check_num_ids(wrong)
