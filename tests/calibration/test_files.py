import json

import pytest

from reidlab.calibration import choose_threshold, load_threshold, save_threshold


@pytest.fixture
def threshold(people):
    options = {"false_accept_rate": 0.05, "resamples": 20, "fingerprint": "ab12", "model": "run é"}
    return choose_threshold(*people(0, 10), **options)


def test_a_threshold_survives_a_file(threshold, tmp_path):
    path = save_threshold(tmp_path / "new" / "threshold.json", threshold)
    assert load_threshold(path) == threshold
    assert load_threshold(str(path)).model == "run é"


def test_the_same_threshold_gives_the_same_bytes(threshold, tmp_path):
    paths = [save_threshold(tmp_path / name, threshold) for name in ("a.json", "b.json")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_a_loaded_threshold_works_like_the_first(threshold, people, tmp_path):
    loaded = load_threshold(save_threshold(tmp_path / "t.json", threshold))
    assert loaded.apply(*people(1, 10)) == threshold.apply(*people(1, 10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("distance"), "expected the fields"),
        (lambda c: c.update(extra=1), "expected the fields .* extra"),
        (lambda c: c.update(distance="far"), "expected distance to be a float, got 'far'"),
        (lambda c: c.update(distance=float("nan")), "expected distance to be a float, got nan"),
        (lambda c: c.update(target=True), "expected target to be a float, got True"),
        (lambda c: c.update(source=3), "expected source to be a str, got 3"),
        (lambda c: c.update(place=None), "place: expected the fields"),
        (lambda c: c["place"].update(people=2.5), "place: expected people to be a int, got 2.5"),
        (lambda c: c["place"].update(centre=["x"]), "place: expected centre to be a tuple"),
        (lambda c: c["place"].update(centre=3.0), "place: expected centre to be a tuple"),
        (lambda c: c["false_accept"].pop("low"), "false_accept: expected the fields"),
        (lambda c: c["false_accept"].update(value=0.0), "out of range in false_accept"),
        (lambda c: c.update(confidence=1.5), "out of range in confidence"),
        (lambda c: c.update(target=7.0), "out of range in target"),
        (lambda c: c.update(distance=-3.0), "out of range in distance, low and high"),
        (lambda c: c.update(low=3.0, high=2.0), "out of range in distance, low and high"),
        (lambda c: c.update(distance=10**400), "expected distance to be a float"),
        (lambda c: c["place"].update(people=0), "out of range in place"),
        (lambda c: c["place"].update(share_spread=0.0), "out of range in place"),
        (lambda c: c["false_accept"].update(people=-3), "out of range in false_accept"),
        (lambda c: c["true_accept"].update(deviation=-1.0), "out of range in true_accept"),
        (lambda c: c["true_accept"].update(low=0.9, high=0.1), "out of range in true_accept"),
        (lambda c: c.update(reidlab_threshold=True), "'reidlab_threshold': 1"),
        (lambda c: c.update(reidlab_threshold=99), "'reidlab_threshold': 1"),
        (lambda c: c.pop("reidlab_threshold"), "'reidlab_threshold': 1"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(threshold, tmp_path, change, message):
    path = save_threshold(tmp_path / "t.json", threshold)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        load_threshold(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.json: expected a"):
        load_threshold(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.json"):
        load_threshold(tmp_path / "none.json")
