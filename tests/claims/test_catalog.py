import pytest

from reidlab.claims import (
    StaleClaims,
    claims_file,
    find_experiment,
    load_claims,
    run_experiment,
)
from reidlab.claims.catalog import EXPERIMENTS
from reidlab.claims.experiment import Experiment
from reidlab.data.synthetic.plan import SyntheticOptions


@pytest.fixture
def catalog(fake, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "fake", fake)
    return fake


def test_claims_travel_with_the_package(catalog, tmp_path, monkeypatch):
    monkeypatch.setattr("reidlab.claims.catalog.shipped", lambda name: tmp_path / name)
    run_experiment(catalog(), out=tmp_path / "claims")
    assert claims_file("fake") == tmp_path / "claims" / "fake.json"
    assert load_claims("fake").claim("better").verdict == "holds"


def test_a_folder_of_ones_own_is_read_instead(catalog, tmp_path):
    run_experiment(catalog(), out=tmp_path)
    assert len(load_claims("fake", folder=tmp_path).runs) == 9
    with pytest.raises(ValueError, match=r"no claims on fake are stored in .*none.*fake --run"):
        load_claims("fake", folder=tmp_path / "none")
    with pytest.raises(ValueError, match="unknown experiment 'fakes', did you mean 'fake'"):
        load_claims("fakes")


def test_stale_claims_are_refused_with_what_differs(catalog, fake, tmp_path, monkeypatch):
    run_experiment(catalog(), out=tmp_path)
    monkeypatch.setitem(EXPERIMENTS, "fake", lambda: fake(version=2))
    with pytest.raises(StaleClaims, match=r"version: 1 then, 2 now(.|\n)*reidlab claims fake"):
        load_claims("fake", folder=tmp_path)
    assert load_claims("fake", folder=tmp_path, check=False).version == 1
    assert issubclass(StaleClaims, ValueError)


def test_many_reasons_are_cut(catalog, fake, made_arm, tmp_path, monkeypatch):
    run_experiment(catalog(), out=tmp_path)
    arms = {name: made_arm(name[::-1], 0.1, 3.3) for name in ("with", "without", "odd")}
    monkeypatch.setitem(EXPERIMENTS, "fake", lambda: fake(arms=arms, version=2))
    with pytest.raises(StaleClaims, match="and 2 more"):
        load_claims("fake", folder=tmp_path)


def test_data_are_compared_when_they_are_given(with_recipes, made_people, tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "fake", with_recipes)
    run_experiment(with_recipes(), out=tmp_path)
    assert load_claims("fake", folder=tmp_path, splits=made_people())
    for check in (True, False):
        with pytest.raises(StaleClaims, match="fingerprint of the data"):
            load_claims("fake", folder=tmp_path, splits=made_people(shift=3), check=check)


def test_an_incomplete_file_loads(catalog, tmp_path):
    run_experiment(catalog(), out=tmp_path, seeds=[0])
    assert load_claims("fake", folder=tmp_path).claim("better").verdict == "not measured"


def test_every_experiment_of_the_course_has_the_name_that_it_is_found_by():
    for name in EXPERIMENTS:
        experiment = find_experiment(name)
        assert isinstance(experiment, Experiment) and experiment.name == name
        assert set(experiment.settings) == set(experiment.arms)


def test_the_fingerprint_of_a_cached_dataset_needs_no_rendering(fake, tmp_path, monkeypatch):
    from reidlab.data.readers import read_dataset

    monkeypatch.setenv("REIDLAB_DATA", str(tmp_path))
    options = {
        "ids": 2, "validation_ids": 0, "test_ids": 2, "images_per_id": 2, "cameras": 2,
        "size": (32, 16), "difficulty": "smoke", "distractors": 0, "junk": 0,
    }  # fmt: skip
    experiment = fake(dataset="synthetic", options=options)
    assert experiment.cached_fingerprint() is None
    assert not (tmp_path / "cache").exists()
    splits = read_dataset("synthetic", **options)
    assert experiment.cached_fingerprint() == splits.fingerprint
    assert fake(dataset="market1501").cached_fingerprint() is None
    splits.query[0].path.unlink()  # now it would be rendered again
    assert experiment.cached_fingerprint() is None
    assert SyntheticOptions(**options).size == (32, 16)
