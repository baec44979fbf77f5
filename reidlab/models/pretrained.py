"""ImageNet weights that a network starts from: by name from torchvision or timm, or from a file.

Both libraries use the same names of parameters. What they fetch lies in their own caches.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reidlab.models.resnet import ResNet
from reidlab.models.states import COUNTER, find_state, mismatch
from reidlab.models.weights import read_weights

DEFAULT = "torchvision:resnet50.IMAGENET1K_V1"
CLASSIFIER = ("fc.weight", "fc.bias")  # of the 1,000 classes of ImageNet
PATIENCE = 8.0  # seconds until a server that does not answer counts as out of reach


@dataclass(frozen=True)
class Remote:
    """A file with weights that a library fetches and keeps.

    Args:
        name: what the user asked for.
        words: the file, as a person would look for it.
        address: where the library fetches it.
        kept: the file in the library's cache, None when it is not there.
        fetch: puts it there; the file.
        place: where a file fetched by hand would be found, if the cache allows that.
    """

    name: str
    words: str
    address: str
    kept: Path | None
    fetch: Callable[[], Path]
    place: Path | None = None


def load_imagenet(trunk: ResNet, weights: bool | str | Path = True) -> None:
    """Fill `trunk` with ImageNet weights; the classifier of its 1,000 classes is left out.

    Args:
        trunk: the network to fill.
        weights: a name ("torchvision:resnet50.IMAGENET1K_V2", "timm:resnet50.a1_in1k", ...), the
            path of such a file, or True for "torchvision:resnet50.IMAGENET1K_V1".

    Raises:
        ValueError: no such weights, they cannot be fetched or read, or keys do not fit.
    """
    asked = DEFAULT if weights is True else str(weights)
    file = library_file(asked, ("resnet50",)) or _own_file(asked)
    wanted = trunk.state_dict()
    given = find_state(read_weights(file), _fits(wanted), str(file))
    if problems := mismatch(wanted, given, CLASSIFIER):
        listed = "\n  ".join(problems)
        raise ValueError(
            f"{asked} holds other weights than those of this ResNet; expected torchvision's or "
            f"timm's names (the layer 'fc' is ignored):\n  {listed}"
        )
    trunk.load_state_dict(wanted | {key: given[key] for key in wanted.keys() & given.keys()})


def library_file(
    asked: str, architectures: Sequence[str], libraries: Sequence[str] = ("torchvision", "timm")
) -> Path | None:
    """The file of the weights that a library calls `asked`, fetched when it is not there yet.

    Args:
        asked: "LIBRARY:NAME"; anything else gives None.
        architectures: of the library, those that the network has.
        libraries: that know them.

    Raises:
        ValueError: the library has no such weights, or they cannot be fetched.
    """
    library, separator, name = asked.partition(":")
    if not separator or library not in libraries:
        return None
    return _fetch(LIBRARIES[library](name, architectures))


def _fits(wanted: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether most of the keys wanted are there."""
    needed = {key for key in wanted if not key.endswith(COUNTER)}
    return lambda state: 2 * len(needed & state.keys()) > len(needed)


def _own_file(path: str) -> Path:
    file = Path(path).expanduser()
    if file.exists():
        return file
    raise ValueError(
        f"no ImageNet weights at {file}; expected a file, or a name such as {DEFAULT} or "
        f"timm:resnet50.a1_in1k. {_other_ways()}"
    )


def _fetch(remote: Remote) -> Path:
    """The file, fetched unless its library keeps it already.

    Raises:
        ValueError: the network is out of reach, or the download failed.
    """
    if remote.kept is not None:
        return remote.kept
    problem = unreachable(remote.address)
    if problem is None:
        try:
            return remote.fetch()
        except Exception as error:  # whatever a network may answer
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
    place = f", put it here as {remote.place}" if remote.place else ""
    raise ValueError(
        f"cannot fetch the ImageNet weights {remote.name} ({problem}). On a machine with a "
        f"network, fetch {remote.words}{place}, or name the file. {_other_ways()}"
    )


def _other_ways() -> str:
    return (
        "A file is named by pretrained=FILE (--pretrained FILE); pretrained=False "
        "(--pretrained none) starts from random weights"
    )


def unreachable(address: str, patience: float = PATIENCE) -> str | None:
    """Why the server of `address` cannot be reached, None when it answers.

    It is asked once, in a thread of its own, since looking up a name may hang for minutes.
    """
    outcome: list[str | None] = []

    def ask() -> None:
        request = urllib.request.Request(address, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=patience):
                outcome.append(None)
        except urllib.error.HTTPError as answer:  # it can be reached; what it says comes later
            outcome.append(None if answer.code < 500 else f"the server answers {answer.code}")
        except (OSError, ValueError) as error:
            outcome.append(f"no connection: {getattr(error, 'reason', error)}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience)
    return outcome[0] if outcome else f"no connection within {patience:g} seconds"


def _torchvision(name: str, architectures: Sequence[str]) -> Remote:
    """Weights by torchvision's names: "resnet50.IMAGENET1K_V1"."""
    from torchvision.models import get_model_weights

    known: dict[str, Any] = {
        f"{each}.{weights.name}": weights
        for each in architectures
        for weights in get_model_weights(each)
    }
    weights = known[_choose("torchvision", name, known)]
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name

    def fetch() -> Path:
        weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return place

    return Remote(
        name=f"torchvision:{name}",
        words=f"{place.name} from torchvision's download server (its weights {weights})",
        address=weights.url,
        kept=place if place.is_file() else None,
        fetch=fetch,
        place=place,
    )


def _timm(name: str, architectures: Sequence[str]) -> Remote:
    """Weights by timm's names: "resnet50.a1_in1k"; timm keeps them on the Hugging Face hub."""
    import huggingface_hub as hub
    import timm

    known = [
        weights
        for each in architectures
        for weights in timm.list_models(f"{each}.*", pretrained=True)
    ]
    if name in architectures and (usual := timm.get_pretrained_cfg(name)) is not None:
        name = f"{name}.{usual.tag}"
    found: Any = timm.get_pretrained_cfg(_choose("timm", name, known))
    where = {"repo_id": found.hf_hub_id, "filename": "model.safetensors"}
    kept = hub.try_to_load_from_cache(**where)

    def fetch() -> Path:
        shown = not hub.utils.are_progress_bars_disabled()
        hub.utils.disable_progress_bars()
        try:
            return Path(hub.hf_hub_download(**where))
        finally:
            if shown:
                hub.utils.enable_progress_bars()

    return Remote(
        name=f"timm:{name}",
        words=f"{where['filename']} of {where['repo_id']} from the Hugging Face hub",
        address=hub.hf_hub_url(**where),
        kept=Path(kept) if isinstance(kept, str) else None,
        fetch=fetch,
    )


def _choose(library: str, name: str, known: Iterable[str]) -> str:
    """`name` when the library has it, else an error that lists what it has."""
    if name in known:
        return name
    choices = ", ".join(f"{library}:{choice}" for choice in known)
    raise ValueError(
        f"{library} has no weights {name!r} that fit this network; choose one of {choices}"
    )


LIBRARIES: dict[str, Callable[[str, Sequence[str]], Remote]] = {
    "torchvision": _torchvision,
    "timm": _timm,
}
