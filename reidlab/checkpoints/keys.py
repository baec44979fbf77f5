"""Key tables: how other projects name the weights of networks that reidlab has, too.

A new source is one more `Layout` in `LAYOUTS`. Networks that are known by their keys, but cannot be
filled from them, are in `LOOKS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.models.catalog import build
from reidlab.models.states import COUNTER


@dataclass(frozen=True)
class Setting:
    """A keyword of `load_official`: what shapes cannot tell.

    Args:
        default: as published.
        choices: allowed values; empty for (H, W) in pixels.
    """

    default: Any
    choices: tuple[Any, ...] = ()

    def check(self, name: str, value: Any) -> Any:
        """`value`, or a `ValueError` that says what is expected."""
        if self.choices:
            if value not in self.choices:
                listed = " or ".join(map(str, self.choices))
                raise ValueError(f"{name} must be {listed}, got {value!r}")
            return value
        if not (
            isinstance(value, list | tuple)
            and len(value) == 2
            and all(isinstance(side, int) and side > 0 for side in value)
        ):
            raise ValueError(f"{name} must be (height, width) in whole pixels, got {value!r}")
        return tuple(value)


@dataclass(frozen=True)
class Layout:
    """One network of one project: how its keys are called, and how ours is constructed.

    Args:
        source: name of the project.
        network: the network, in words.
        model: our constructor's name in the catalogue.
        keys: our key -> their key; `*` stands for the same words on both sides.
        sizes: argument of the constructor -> (their key, axis) that tell it; most votes win, so
            that one odd tensor is named instead of all others.
        arguments: arguments of the constructor that belong to the project.
        settings: keywords that the user may give.
        ignored: their keys that play no part in what the network computes.
        released: what the project's published files are, for messages.
    """

    source: str
    network: str
    model: str
    keys: Mapping[str, str]
    sizes: Mapping[str, tuple[tuple[str, int], ...]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    released: str = ""

    def theirs(self, key: str) -> str:
        """What the project calls our `key`."""
        return translate(key, self.keys)

    def ours(self, key: str) -> str:
        """What we call their `key`."""
        return translate(key, {theirs: ours for ours, theirs in self.keys.items()})

    def construct(self, state: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
        """Our network in the sizes that the shapes in `state` tell."""
        sizes = {name: _elected(state, places) for name, places in self.sizes.items()}
        return build(self.model, **sizes, **self.arguments, **settings)

    def expected(self, state: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Tensor]:
        """Their keys with tensors of the right shapes, which hold no numbers."""
        with torch.device("meta"):
            model = self.construct(state, settings)
        return {self.theirs(key): tensor for key, tensor in model.state_dict().items()}

    @cached_property
    def needed(self) -> frozenset[str]:
        """Their keys that must be there."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return frozenset(key for key in self.expected({}, defaults) if not key.endswith(COUNTER))

    def share(self, keys: Collection[str]) -> float:
        """Share of the keys needed that are among `keys`, 0 to 1."""
        return sum(key in keys for key in self.needed) / len(self.needed)


def translate(key: str, table: Mapping[str, str]) -> str:
    """`key` under the first template of `table` that it fits.

    Raises:
        ValueError: it fits none.
    """
    for template, other in table.items():
        pattern = re.escape(template).replace(r"\*", "(.+)")
        if match := re.fullmatch(pattern, key):
            return other.replace("*", "{}").format(*match.groups())
    raise ValueError(f"the table has no template for {key}")


def _elected(state: Mapping[str, Any], places: Iterable[tuple[str, int]]) -> int:
    """The commonest length among (key, axis) `places`; 1 when no tensor there has any."""
    tensors = ((state.get(key), axis) for key, axis in places)
    votes = Counter(
        tensor.shape[axis]
        for tensor, axis in tensors
        if isinstance(tensor, Tensor) and tensor.ndim > axis and tensor.shape[axis]
    )
    return votes.most_common(1)[0][0] if votes else 1


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
    Layout(
        source="alignedreid",
        arguments={"local": "max"},
        released="The published code saves a checkpoint whose 'state_dict' holds the weights",
        **_ALIGNED,
    ),
    Layout(source="ianet", **_IANET),
)

SOURCES = tuple(dict.fromkeys(layout.source for layout in LAYOUTS))

_FIRST, _SECOND = "base.layer1.0.", "base.layer2.0."
LOOKS = (  # the first that fits counts
    Look(
        "a vision transformer of TransReID, and this version reads no vision transformers",
        ("base.cls_token", "base.pos_embed", "base.patch_embed.proj.weight"),
    ),
    Look(
        "a vision transformer without a re-identification head, and this version reads none",
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
