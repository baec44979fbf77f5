import pytest

from reidlab.data.benchmarks.facts import BENCHMARKS, MARKET, benchmark_called, compare_counts
from reidlab.data.readers import NAMES, read_dataset, scan_dataset
from reidlab.data.samples import Sample


def samples(*pids):
    return [Sample(f"{i}.jpg", pid, 1) for i, pid in enumerate(pids)]


def test_the_names_are_those_of_the_contract():
    assert NAMES == (
        "synthetic", "market1501", "dukemtmc", "msmt17", "cuhk03", "occluded-duke", "veri776",
        "vehicleid", "luperson",
    )  # fmt: skip


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("call", [read_dataset, scan_dataset])
def test_an_absent_benchmark_says_where_to_obtain_and_to_put_it(name, call, tmp_path):
    benchmark = BENCHMARKS[name]
    with pytest.raises(ValueError) as error:
        call(name, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{benchmark.title} is not in {tmp_path}: expected a folder")
    assert benchmark.folders[0] in message
    for sentence in (
        benchmark.where,
        benchmark.terms,
        "not downloaded",
        "root= (--root) or $REIDLAB_DATA",
    ):
        assert sentence in message


@pytest.mark.parametrize("name", ["dukemtmc", "occluded-duke"])
def test_withdrawn_data_are_not_offered(name, tmp_path):
    with pytest.raises(ValueError, match="withdrew .* 2019 .*privacy.* does not help") as error:
        read_dataset(name, tmp_path)
    assert "http" not in str(error.value)


@pytest.mark.parametrize("name", ["msmt17", "veri776", "luperson"])
def test_what_is_given_on_request_says_whom_to_ask(name, tmp_path):
    with pytest.raises(ValueError, match="by e-mail"):
        read_dataset(name, tmp_path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_unknown_options_list_the_valid_ones(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} has no option cams; .*: validation_ids, seed, p"):
        read_dataset(name, tmp_path, cams=3)


@pytest.mark.parametrize(("name", "option"), [("msmt17", "with_validation"), ("cuhk03", "variant")])
def test_benchmarks_have_options_of_their_own(name, option, tmp_path):
    with pytest.raises(ValueError, match=f"no option cams; .*{option}"):
        read_dataset(name, tmp_path, cams=3)
    with pytest.raises(ValueError, match=f"no option {option}"):
        read_dataset("market1501", tmp_path, **{option: "x"})


def test_every_benchmark_is_described():
    for key, benchmark in BENCHMARKS.items():
        assert benchmark.key == key
        assert benchmark.folders and benchmark.counts and benchmark.source
        assert benchmark.where.endswith(".") and benchmark.terms.endswith(".")


def test_published_counts_fit_each_other():
    train, query, gallery = BENCHMARKS["market1501"].counts[""].values()
    assert (train[0], query[0], gallery[0]) == (12936, 3368, 19732 - 3819)
    msmt = BENCHMARKS["msmt17"].counts
    assert msmt["with validation"]["train"][0] == msmt["without validation"]["train"][0] + 2373
    for size, images in ((800, 6493), (1600, 13377), (2400, 19777)):
        counts = BENCHMARKS["vehicleid"].counts[str(size)]
        assert (counts["query"][0] or 0) + (counts["gallery"][0] or 0) == images


def test_counts_that_differ_are_named(monkeypatch):
    monkeypatch.setitem(MARKET.counts, "", {"train": (3, 2), "query": (1, 1), "gallery": (3, None)})
    good = {"train": samples(1, 1, 2), "query": samples(7), "gallery": samples(7, 0, 0, -1)}
    assert compare_counts(MARKET, "", good) == []
    assert compare_counts(None, "", good) == []
    notes = compare_counts(MARKET, "", good | {"train": samples(1, 2, 3), "gallery": samples(7)})
    assert notes == [
        "Market-1501: train has 3 images of 3, expected 3 of 2 as published",
        "Market-1501: gallery has 1 images, expected 3 as published",
    ]


def test_a_folder_is_recognised_by_its_name(tmp_path):
    known = list(BENCHMARKS.values())
    found = benchmark_called(tmp_path / "dukemtmc-REID", known)
    assert found is BENCHMARKS["dukemtmc"]
    assert benchmark_called(tmp_path / "own", known) is None
