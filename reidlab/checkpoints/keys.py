"""Key tables: how other projects name the weights of networks that reidlab has, too.

A new source is one more `Layout` in `LAYOUTS`. Networks that are known by their keys, but cannot be
filled from them, are in `LOOKS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from reidlab.checkpoints import la_transformer, transreid
from reidlab.checkpoints.layouts import Layout, Setting


@dataclass(frozen=True)
class Look:
    """A network that keys betray: all of `present` are there, none of `absent`."""

    words: str
    present: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def fits(self, keys: Collection[str]) -> bool:
        """Whether these are the keys of such a network."""
        return all(k in keys for k in self.present) and not any(k in keys for k in self.absent)


_RESNET50: dict[str, Any] = {
    "network": "a ResNet-50 with a batch-norm neck",
    "model": "baseline_resnet50",
    "keys": {
        "trunk.*": "base.*",
        "neck.norm.*": "bottleneck.*",
        "neck.classifier.weight": "classifier.weight",
    },
    "sizes": {
        "num_ids": (("classifier.weight", 0),),
        "width": (("base.conv1.weight", 0), ("base.bn1.weight", 0), ("base.bn1.bias", 0)),
    },
    "settings": {"image_size": Setting((256, 128)), "last_stride": Setting(1, (1, 2))},
    "ignored": ("base.fc.weight", "base.fc.bias"),  # ImageNet's classes, where a copy keeps them
}

_IANET: dict[str, Any] = {
    "network": "a ResNet-50 with interaction-and-aggregation blocks",
    "model": "ianet_resnet50",
    "keys": {
        "blocks.2.spatial_norm.*": "layer2.4.W1.*",
        "blocks.2.channel_norm.*": "layer2.4.W2.*",
        "blocks.3.spatial_norm.*": "layer3.6.W1.*",
        "blocks.3.channel_norm.*": "layer3.6.W2.*",
        "neck.norm.*": "bn.*",
        "neck.classifier.*": "classifier.*",
        "trunk.*": "*",
    },
    "sizes": {
        "num_ids": (("classifier.weight", 0), ("classifier.bias", 0)),
        "width": (("conv1.weight", 0), ("bn1.weight", 0), ("bn1.bias", 0)),
    },
    "settings": {"image_size": Setting((256, 128)), "last_stride": Setting(1, (1, 2))},
}

_ALIGNED: dict[str, Any] = {
    "network": "a ResNet-50 with a local branch",
    "model": "aligned_resnet50",
    "keys": {  # the trunk is a plain sequence there; 2 and 3 are ReLU and pooling
        "trunk.conv1.*": "base.0.*",
        "trunk.bn1.*": "base.1.*",
        "trunk.layer1.*": "base.4.*",
        "trunk.layer2.*": "base.5.*",
        "trunk.layer3.*": "base.6.*",
        "trunk.layer4.*": "base.7.*",
        "local.norm.*": "bn.*",
        "local.project.*": "conv1.*",
        "classifier.*": "classifier.*",
    },
    "sizes": {
        "num_ids": (("classifier.weight", 0), ("classifier.bias", 0)),
        "width": (("base.0.weight", 0), ("base.1.weight", 0), ("base.1.bias", 0)),
        "local_dim": (("conv1.weight", 0), ("conv1.bias", 0)),
    },
    "settings": {"image_size": Setting((256, 128)), "last_stride": Setting(2, (1, 2))},
}

LAYOUTS = (
    Layout(
        source="strong-baseline",
        arguments={"pool": "3x3"},
        released="The strong baseline's released files are state dicts, or whole pickled networks",
        **_RESNET50,
    ),
    Layout(source="transreid", arguments={"pool": "2x2"}, **_RESNET50),
    transreid.PLAIN,
    transreid.JIGSAW,
    Layout(
        source="alignedreid",
        arguments={"local": "max"},
        released="The published code saves a checkpoint whose 'state_dict' holds the weights",
        **_ALIGNED,
    ),
    Layout(source="ianet", **_IANET),
    la_transformer.LAYOUT,
)

SOURCES = tuple(dict.fromkeys(layout.source for layout in LAYOUTS))

_FIRST, _SECOND = "base.layer1.0.", "base.layer2.0."
LOOKS = (  # the first that fits counts
    Look(
        "a vision transformer without a re-identification head: a start for training, as "
        "pretrained=FILE",
        ("cls_token", "pos_embed", "patch_embed.proj.weight"),
    ),
    Look(
        "ImageNet weights of a ResNet: a start for training, as pretrained=FILE",
        ("conv1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight"),
        ("layer2.4.W1.weight", "layer3.6.W1.weight", "bn.weight"),  # those of IANet
    ),
    Look(
        "a network of reidlab itself, which load_model reads with its card",
        ("trunk.conv1.weight", "neck.norm.weight", "neck.classifier.weight"),
    ),
    Look(
        "a network of reidlab itself, which load_model reads with its card",
        ("trunk.cls_token", "trunk.pos_embed"),
    ),
    Look("a ResNet-50 or deeper with instance norm (IBN)", (f"{_FIRST}bn1.IN.weight",)),
    Look(
        "a ResNet with squeeze and excitation (SE)",
        (f"{_FIRST}se_module.fc1.weight", f"{_SECOND}se_module.fc1.weight"),
    ),
    Look("a ResNet-152", ("base.layer3.35.conv1.weight", "base.layer2.7.conv1.weight")),
    Look("a ResNet-101", ("base.layer3.22.conv1.weight", "base.layer3.21.conv1.weight")),
    Look(
        "a ResNet-34",
        (f"{_FIRST}conv2.weight", "base.layer3.5.conv2.weight"),
        (f"{_FIRST}conv3.weight", f"{_SECOND}conv3.weight"),
    ),
    Look(
        "a ResNet-18",
        (f"{_FIRST}conv2.weight", "base.layer4.1.conv2.weight"),
        (f"{_FIRST}conv3.weight", f"{_SECOND}conv3.weight"),
    ),
)


def look_of(keys: Iterable[str]) -> str | None:
    """What network these keys betray, when it is one that no layout reads."""
    known = set(keys)
    return next((look.words for look in LOOKS if look.fits(known)), None)
