"""ImageNet weights by name and by file; the fetchers of both libraries are played."""

import threading
import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reidlab.models import pretrained
from reidlab.models.baseline import baseline_resnet50
from reidlab.models.pretrained import load_imagenet, unreachable
from reidlab.models.resnet import resnet50

V1 = "resnet50-0676ba61.pth"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(pretrained, "unreachable", lambda address: "no connection: played")
    return tmp_path


@pytest.fixture(scope="module")
def source():
    return resnet50(width=4)


@pytest.fixture
def state(source):
    return source.state_dict() | {"fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}


def filled(trunk, source):
    wanted = source.state_dict()
    return all(torch.equal(value, wanted[key]) for key, value in trunk.state_dict().items())


@pytest.mark.parametrize(
    ("name", "write"),
    [("resnet50.pth", torch.save), ("model.safetensors", save_file)],
)
def test_a_file_fills_the_trunk(tmp_path, source, state, name, write):
    write(state, tmp_path / name)
    model = baseline_resnet50(3, width=4, pretrained=tmp_path / name)
    assert filled(model.trunk, source)
    assert model.origin["start"]["pretrained"].endswith(name)
    assert filled(baseline_resnet50(3, width=4, pretrained=str(tmp_path / name)).trunk, source)


def test_a_wrapped_file_without_counters_fills_the_trunk(tmp_path, source, state):
    plain = {f"module.{k}": v for k, v in state.items() if not k.endswith("tracked")}
    torch.save({"state_dict": plain, "ema": {"decay": torch.zeros(1)}}, tmp_path / "w.pth")
    trunk = resnet50(width=4)
    load_imagenet(trunk, tmp_path / "w.pth")
    assert filled(trunk, source)


def test_weights_of_another_network_are_listed(tmp_path, state):
    del state["bn1.bias"]
    torch.save(state | {"head": torch.zeros(1), "conv1.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="x.pth holds other weights") as caught:
        load_imagenet(resnet50(width=4), tmp_path / "x.pth")
    message = str(caught.value)
    assert "1 missing: bn1.bias" in message and "1 unknown: head" in message
    assert "conv1.weight is (1,), expected (4, 3, 7, 7)" in message and "fc." not in message


def test_torchvisions_weights_come_through_its_own_cache(caches, monkeypatch, source, state):
    asked = []

    def download(url, model_dir=None, **options):
        place = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
        place.parent.mkdir(parents=True)
        torch.save(state, place)
        asked.append((url, options))
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    monkeypatch.setattr(pretrained, "unreachable", lambda address: None)
    assert filled(baseline_resnet50(3, width=4, pretrained=True).trunk, source)
    [(url, options)] = asked
    assert url.endswith(V1) and options["check_hash"] and options["weights_only"]
    assert options["progress"] is False
    assert (caches / "torch" / "hub" / "checkpoints" / V1).is_file()
    monkeypatch.setattr(pretrained, "unreachable", lambda address: "no connection: played")
    trunk = resnet50(width=4)  # what is kept needs no network
    load_imagenet(trunk, "torchvision:resnet50.IMAGENET1K_V1")
    assert filled(trunk, source) and len(asked) == 1


def test_timms_weights_come_through_the_hubs_cache(caches, monkeypatch, source, state):
    import huggingface_hub as hub

    asked = []

    def download(repo_id, filename):
        assert hub.utils.are_progress_bars_disabled()
        asked.append((repo_id, filename))
        save_file(state, caches / "fetched.safetensors")
        return str(caches / "fetched.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(pretrained, "unreachable", lambda address: None)
    trunk = resnet50(width=4)
    load_imagenet(trunk, "timm:resnet50.a1_in1k")
    assert filled(trunk, source) and asked == [("timm/resnet50.a1_in1k", "model.safetensors")]
    assert not hub.utils.are_progress_bars_disabled()


def test_what_the_hub_keeps_needs_no_network(caches, source, state):
    folder = caches / "hub" / "models--timm--resnet50.a1_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    save_file(state, folder / "snapshots" / "abc" / "model.safetensors")
    trunk = resnet50(width=4)
    load_imagenet(trunk, "timm:resnet50.a1_in1k")
    assert filled(trunk, source)


def test_without_a_network_the_message_says_what_to_fetch(caches):
    with pytest.raises(ValueError) as caught:
        baseline_resnet50(3, width=4, pretrained=True)
    message = str(caught.value)
    place = caches / "torch" / "hub" / "checkpoints" / V1
    for part in ("torchvision:resnet50.IMAGENET1K_V1 (no connection: played)", f"fetch {V1} from"):
        assert part in message
    for part in (str(place), "--pretrained FILE", "--pretrained none", "pretrained=False"):
        assert part in message
    assert "://" not in message
    with pytest.raises(ValueError, match="fetch model.safetensors of timm/resnet50.a1_in1k from"):
        load_imagenet(resnet50(width=4), "timm:resnet50.a1_in1k")


def test_a_failed_download_says_why(monkeypatch):
    def download(*_, **__):
        raise urllib.error.URLError("certificate expired")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    monkeypatch.setattr(pretrained, "unreachable", lambda address: None)
    with pytest.raises(ValueError, match="URLError.*certificate expired.*--pretrained FILE"):
        load_imagenet(resnet50(width=4))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet50.V9", "torchvision:resnet50.IMAGENET1K_V1, torchvision:resnet50.IM"),
        ("torchvision:resnet101.IMAGENET1K_V1", "no weights 'resnet101.IMAGENET1K_V1' that fit"),
        ("timm:vit_base_patch16_224", "choose one of .*timm:resnet50.a1_in1k"),
        ("tim:resnet50", "no ImageNet weights at tim:resnet50; expected a file, or a name such"),
        ("none.pth", "no ImageNet weights at none.pth.*--pretrained none"),
    ],
)
def test_unknown_names_are_answered_with_the_choices(name, message):
    with pytest.raises(ValueError, match=message):
        load_imagenet(resnet50(width=4), name)


def test_a_damaged_file_is_called_so(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="x.pth is a web page"):
        load_imagenet(resnet50(width=4), tmp_path / "x.pth")


@pytest.fixture
def asked(monkeypatch):
    """Plays the network: `asked(answer)` decides what opening an address does."""

    def play(answer):
        def urlopen(request, timeout):
            assert request.get_method() == "HEAD" and timeout > 0
            return answer(request.full_url)

        monkeypatch.setattr("urllib.request.urlopen", urlopen)

    return play


def fails(error):
    def answer(address):
        raise error

    return answer


def http(code):
    return fails(urllib.error.HTTPError("address", code, "words", None, None))  # type: ignore


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fails(urllib.error.URLError("name unknown")), "no connection: name unknown"),
        (fails(TimeoutError("timed out")), "no connection: timed out"),
        (http(503), "the server answers 503"),
        (http(403), None),
        (lambda address: threading.Lock(), None),  # anything that opens and closes
    ],
)
def test_a_server_is_asked_once(asked, answer, reason):
    asked(answer)
    assert unreachable("https://example.org/x") == reason


def test_a_server_that_never_answers_does_not_hold_us(asked):
    forever = threading.Event()
    asked(lambda address: forever.wait() and threading.Lock())
    assert unreachable("https://example.org", 0.01) == "no connection within 0.01 seconds"
    forever.set()
