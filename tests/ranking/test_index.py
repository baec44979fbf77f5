import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlab.data.heads import HEADS, labels_of
from reidlab.embedding import Embeddings
from reidlab.ranking import rank
from reidlab.ranking.index import Index, attribute_values, tiles


def make(features, camids=None, paths=()):
    n = len(features)
    camids = torch.arange(n) % 3 + 1 if camids is None else camids
    return Embeddings(features, torch.arange(n), camids, paths)


def random(n, width=16, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.float64).to(dtype)


def corners(n, seed=0):
    """Rows of +-1: all cosines are multiples of 1/4 and exact, so that there are many ties."""
    return torch.from_numpy(np.random.default_rng(seed).choice([-1.0, 1.0], (n, 4))).float()


def slow_search(query, gallery, k, allowed=lambda q, g: True):
    """Positions by (distance, position) in loops, float64."""
    orders, distances = [], []
    for q, a in enumerate(query.double().tolist()):
        found = []
        for g, b in enumerate(gallery.double().tolist()):
            if allowed(q, g):
                dot = sum(x * y for x, y in zip(a, b, strict=True))
                lengths = sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
                found.append((2 - 2 * (dot / lengths if lengths else 0.0), g))
        found.sort()
        orders.append([g for _, g in found[:k]])
        distances.append([d for d, _ in found[:k]])
    return orders, torch.tensor(distances).float()


@pytest.fixture
def small_tiles(monkeypatch):
    """Blocks of one query and tiles of few rows, so that small galleries have many."""

    def shrink(tile=64, group=4, entries=1):
        monkeypatch.setattr(tiles, "TILE", tile)
        monkeypatch.setattr(tiles, "GROUP", group)
        monkeypatch.setitem(tiles.ENTRIES, "cpu", entries)

    return shrink


@st.composite
def tied_galleries(draw):
    queries, gallery = draw(st.integers(1, 5)), draw(st.integers(1, 70))
    seed = draw(st.integers(0, 10**6))
    return corners(queries, seed), corners(gallery, seed + 1), draw(st.integers(1, gallery))


@settings(max_examples=150, deadline=None)
@given(tied_galleries(), st.sampled_from([1, 5, 16, 64]), st.sampled_from([1, 2, 3, 32]))
def test_search_matches_a_plain_sort_with_ties_in_gallery_order(case, tile, group):
    query, gallery, k = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", tile)
        patch.setattr(tiles, "GROUP", group)
        patch.setitem(tiles.ENTRIES, "cpu", 1)
        found = Index(make(gallery)).search(make(query), k)
    order, distance = slow_search(query, gallery, k)
    assert found.order.tolist() == order
    torch.testing.assert_close(found.distance, distance, atol=1e-6, rtol=0)
    assert rank(make(query), make(gallery), k).order.tolist() == order


@pytest.mark.parametrize("k", [1, 5, 40, 700])
@pytest.mark.parametrize(
    ("tile", "group", "entries"), [(8, 4, 1), (256, 8, 2000), (4096, 32, 2**21)]
)
def test_search_is_that_of_rank_whatever_the_tiles(k, tile, group, entries, small_tiles):
    query, gallery = make(random(13)), make(random(700, seed=1))
    expected = rank(query, gallery, k)
    small_tiles(tile, group, entries)
    found = Index(gallery).search(query, k)
    assert found.order.tolist() == expected.order.tolist()
    torch.testing.assert_close(found.distance, expected.distance, atol=1e-6, rtol=0)
    assert found.query is query and found.gallery is gallery


def test_search_does_not_depend_on_the_order_in_which_the_near_ones_come(small_tiles):
    query, gallery = random(3), random(900, seed=1)
    by_distance = rank(make(query[:1]), make(gallery), 900).order[0]
    small_tiles(32, 4)
    for order in (by_distance, by_distance.flip(0)):  # each tile nearer, each tile farther
        rows = gallery[order]
        expected = rank(make(query), make(rows), 6).order
        assert Index(make(rows)).search(make(query), 6).order.tolist() == expected.tolist()


@pytest.mark.parametrize("width", [3, 100, 511])
@pytest.mark.parametrize("queries", [1, 2, 7, 40])
def test_copies_of_an_image_stay_in_gallery_order(width, queries, small_tiles):
    small_tiles(64, 4, 640)
    rows = random(5, width)[torch.arange(333) % 5]
    found = Index(make(rows)).search(make(random(queries, width, seed=3)), 200)
    for order, distance in zip(found.order, found.distance, strict=True):
        for a, b in zip(range(199), range(1, 200), strict=True):
            assert distance[a] <= distance[b]
            assert order[a] < order[b] or order[a] % 5 != order[b] % 5
    assert (found.order[:, :66] % 5 == found.order[:, :1] % 5).all()
    assert found.distance[:, 0].tolist() == found.distance[:, 65].tolist()


def test_a_gallery_of_equal_images_comes_in_its_order(small_tiles):
    small_tiles(32, 4)
    rows = torch.ones(500, 6)
    found = Index(make(rows)).search(make(random(3, 6)), 20)
    assert found.order.tolist() == [list(range(20))] * 3


def test_one_query_and_one_image():
    found = Index(make(random(1))).search(make(random(1)), 1)
    assert found.order.tolist() == [[0]]
    torch.testing.assert_close(found.distance, torch.zeros(1, 1), atol=1e-6, rtol=0)
    assert Index(make(random(4))).search(make(random(0)), 2).order.shape == (0, 2)


def test_images_without_direction_are_at_distance_2():
    gallery = torch.cat([torch.zeros(1, 4), -torch.ones(1, 4), torch.ones(1, 4)])
    found = Index(make(gallery)).search(make(torch.ones(2, 4)), 3)
    assert found.order.tolist() == [[2, 0, 1]] * 2
    assert found.distance.tolist() == [[0.0, 2.0, 4.0]] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_features_of_all_kinds_are_searched(dtype):
    query, gallery = make(random(4, dtype=dtype)), make(random(50, seed=1, dtype=dtype))
    found = Index(gallery).search(query, 5)
    order, distance = slow_search(query.features, gallery.features, 5)
    assert found.order.tolist() == order
    exact = dtype == torch.float64
    assert found.distance.dtype == (torch.float64 if exact else torch.float32)
    tolerance = 1e-7 if exact else 1e-6
    torch.testing.assert_close(found.distance.float(), distance, atol=tolerance, rtol=0)


def test_lengths_of_features_do_not_matter():
    query, gallery = random(4), random(60, seed=1)
    scale = torch.rand(60, 1, generator=torch.Generator().manual_seed(2)) * 1e6 + 1e-6
    expected = Index(make(gallery)).search(make(query), 9)
    found = Index(make(gallery * scale)).search(make(query * 1e-20), 9)
    assert found.order.tolist() == expected.order.tolist()


# --- filters ---

HATS = ["yes", "no", None, "no", "maybe"]


@pytest.fixture
def filtered():
    gallery = make(corners(60, 5), torch.arange(60) % 4 + 1)
    attributes = {"hat": HATS * 12, "age": list(range(3)) * 20, "bag": [True, False] * 30}
    return Index(gallery, attributes=attributes)


def passes(g, cameras=None, where=None):
    values = {"hat": HATS[g % 5], "age": g % 3, "bag": g % 2 == 0}
    return (cameras is None or g % 4 + 1 in cameras) and all(
        values[name] in wanted for name, wanted in (where or {}).items()
    )


@pytest.mark.parametrize(
    ("filters", "cameras", "where"),
    [
        ({"cameras": 2}, [2], None),
        ({"cameras": [1, 4]}, [1, 4], None),
        ({"cameras": torch.tensor([1, 4])}, [1, 4], None),
        ({"cameras": np.int64(3)}, [3], None),
        ({"where": {"hat": "no"}}, None, {"hat": ["no"]}),
        ({"where": {"hat": ["yes", "maybe"]}}, None, {"hat": ["yes", "maybe"]}),
        ({"where": {"age": {0, 2}, "bag": True}}, None, {"age": [0, 2], "bag": [True]}),
        ({"where": {"hat": "no"}, "cameras": {1, 2, 3}}, [1, 2, 3], {"hat": ["no"]}),
        ({"where": {}}, None, {}),
    ],
)
@pytest.mark.parametrize("others", [False, True])
def test_filters_match_their_definition(filtered, filters, cameras, where, others, small_tiles):
    small_tiles(8, 2)
    query = make(corners(7, 9), torch.tensor([1, 2, 3, 4, 9, 2, 1]))

    def allowed(q, g):
        own = int(query.camids[q]) == g % 4 + 1
        return passes(g, cameras, where) and not (others and own)

    fewest = min(sum(allowed(q, g) for g in range(60)) for q in range(7))
    if fewest == 0:
        with pytest.raises(ValueError, match="0 of 60 gallery images pass"):
            filtered.search(query, 1, other_cameras=others, **filters)
        return
    found = filtered.search(query, fewest, other_cameras=others, **filters)
    order, distance = slow_search(query.features, filtered.gallery.features, fewest, allowed)
    assert found.order.tolist() == order
    torch.testing.assert_close(found.distance, distance, atol=1e-6, rtol=0)


def test_too_few_images_are_counted_and_the_filter_is_named(filtered):
    query = make(corners(3), torch.tensor([2, 2, 9]))
    with pytest.raises(ValueError, match=r"6 of 60 .*=1 or 2 and hat=yes, fewer than the 7"):
        filtered.search(query, 7, cameras=[1, 2], where={"hat": "yes"})
    assert filtered.search(query, 6, cameras=[1, 2], where={"hat": "yes"}).order.shape == (3, 6)
    with pytest.raises(ValueError, match=r"45 of 60 .* a camera other than the query's \(2\)"):
        filtered.search(query, 46, other_cameras=True)


def test_wrong_filters_list_what_there_is(filtered):
    query = make(corners(1))
    for filters, message in (
        ({"cameras": [2, 7]}, "camera 7; the cameras here are 1, 2, 3, 4"),
        ({"cameras": "2"}, "camera '2'"),
        ({"cameras": []}, "expected one camera or more"),
        ({"cameras": [[1]]}, r"camera \[1\]; the cameras here are 1, 2, 3, 4"),
        ({"cameras": [{1}]}, r"camera \{1\}; the cameras here"),
        ({"cameras": [np.array([1, 2])]}, r"camera \[1, 2\]; the cameras here"),
        ({"where": {"hat": [["yes"]]}}, r"hat \['yes'\]; its values"),
        ({"where": {"cap": "yes"}}, "no attribute 'cap'; it knows hat, age, bag"),
        ({"where": {"hat": "Yes"}}, "hat 'Yes'; its values here are 'maybe', 'no', 'yes'"),
        ({"where": {"hat": ["yes", None]}}, "hat None"),
        ({"where": {"hat": []}}, "hat: expected one value or more"),
        ({"where": {"age": True}}, "age True; its values here are 0, 1, 2"),
        ({"where": {"bag": 1}}, "bag 1; its values here are False, True"),
    ):
        with pytest.raises(ValueError, match=message):
            filtered.search(query, 1, **filters)
    with pytest.raises(ValueError, match="give Index"):
        Index(make(corners(3))).search(query, 1, where={"hat": "yes"})


def test_attributes_are_checked_on_construction():
    gallery = make(corners(3))
    for values, message in (
        (["a", "b"], "'x' has 2 values for 3 gallery images"),
        (["a", 1, None], "'x': expected values .* got int, str"),
        ([True, 1, 0], "got bool, int"),
        ([(1,), (2,), (3,)], "got tuple"),
    ):
        with pytest.raises(ValueError, match=message):
            Index(gallery, attributes={"x": values})
    query = make(corners(1))
    for values in (np.array(["a", "b", "a"]), torch.tensor([5, 6, 5]), [None, "b", None]):
        wanted = values[1].item() if isinstance(values, torch.Tensor) else values[1]
        index = Index(gallery, attributes={"x": values})
        assert index.search(query, 1, where={"x": wanted}).order.tolist() == [[1]]


def test_nan_and_none_are_unknown():
    nan = float("nan")
    for values in (["a", nan, None], np.array([2.5, nan, nan]), [np.float32("nan"), 7, None]):
        index = Index(make(corners(3)), attributes={"x": values})
        (known,) = index.attributes["x"].values
        with pytest.raises(ValueError, match="1 of 3 gallery images pass"):
            index.search(make(corners(1)), 2, where={"x": known})


def test_values_that_cannot_be_compared_are_refused():
    for values in ([[1], [2], [3]], [{}, {}, {}], np.ones((3, 2)), [None, {1}, None]):
        with pytest.raises(ValueError, match="expected values that are all texts, .* got "):
            Index(make(corners(3)), attributes={"x": values})


def test_numbers_of_arrays_are_wanted_like_plain_ones(filtered):
    query = make(corners(2))
    for numbers, plain in (
        ({"age": [np.int64(0), np.int32(2)]}, {"age": [0, 2]}),
        ({"age": [torch.tensor(1)]}, {"age": 1}),
        ({"bag": [np.True_]}, {"bag": True}),
        ({"hat": [np.str_("no")]}, {"hat": "no"}),
    ):
        expected = filtered.search(query, 5, where=plain)
        assert torch.equal(filtered.search(query, 5, where=numbers).order, expected.order)


def test_texts_stand_for_the_numbers_that_are_written_so(filtered):
    query = make(corners(2))
    for text, plain in (
        ({"age": ["0", "2"]}, {"age": [0, 2]}),
        ({"bag": "True"}, {"bag": True}),
        ({"age": ["1", 2]}, {"age": [1, 2]}),
    ):
        expected = filtered.search(query, 5, where=plain)
        assert torch.equal(filtered.search(query, 5, where=text).order, expected.order)
    names = Index(make(corners(2)), attributes={"x": ["1", "2"]})
    for index, where in ((filtered, {"age": "01"}), (filtered, {"bag": "1"}), (names, {"x": 1})):
        with pytest.raises(ValueError, match="no gallery image has"):
            index.search(query, 1, where=where)


def test_a_gallery_that_knows_nothing_says_so():
    query, unknown = make(corners(1)), torch.full((3,), -2)
    with pytest.raises(ValueError, match=r"camera 1; nobody knows the cameras .*\(--camera\)"):
        Index(make(corners(3), unknown)).search(query, 1, cameras=1)
    some = Index(make(corners(3), torch.tensor([-2, 4, 5])))
    with pytest.raises(ValueError, match="camera 1; the cameras here are 4, 5$"):
        some.search(query, 1, cameras=1)
    with pytest.raises(ValueError, match=r"no attribute 'hat'; .* none at all.* \(--where\)"):
        some.search(query, 1, where={"hat": "yes"})


def test_labels_of_people_become_attributes():
    people = [
        dict.fromkeys(HEADS, 0),
        dict.fromkeys(HEADS, 0)
        | {"hat": 1, "up_color": 2, "down_color": len(HEADS["down_color"]) - 1},
    ]
    table = {7: labels_of(people[0]), 9: labels_of(people[1])}
    values = attribute_values(table.get(pid) for pid in [9, 0, 7])
    assert set(values) == set(HEADS)
    assert values["hat"] == ["yes", None, "no"] and values["up_color"] == ["red", None, "black"]
    assert values["down_color"] == ["multi", None, "black"]
    index = Index(make(corners(3)), attributes=values)
    assert index.search(make(corners(1)), 1, where={"up_color": "red"}).order.tolist() == [[0]]


# --- mistakes ---


def test_mistakes_are_named():
    gallery = make(random(6))
    index = Index(gallery, metadata={"model": {"weights": "ab12", "path": "runs/one"}})
    for call, message in (
        (lambda: index.search(make(random(2, 8)), 1), "width 16 .* got 8; .*runs/one"),
        (lambda: index.search(make(random(2)), 0), "k from 1 to 6, the size of the gallery, got 0"),
        (lambda: index.search(make(random(2)), 7), "got 7"),
        (lambda: index.search(make(random(2)), 2.5), "expected k as a whole number .* got 2.5"),
        (lambda: index.search(make(random(2)), "3"), "expected k as a whole number .* got '3'"),
        (lambda: index.search(make(random(2)), True), "expected k as a whole number .* got True"),
        (lambda: Index(make(random(0))), "without images"),
        (lambda: Index(make(torch.empty(2, 0))), "width 0"),
        (lambda: Index(gallery, backend="annoy"), "'torch' or 'faiss', got 'annoy'"),
        (
            lambda: index.check_model("cd34", "runs/two"),
            "runs/one .weights ab12., not with runs/two",
        ),
        (lambda: Index(gallery).check_model("ab12"), "does not say which model"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    index.check_model("ab12")
    assert index.search(make(random(2)), np.int64(3)).order.shape == (2, 3)


def test_an_index_says_what_it_holds(filtered):
    assert repr(filtered) == "Index(60 images x 4, 4 cameras, attributes hat, age, bag)"
    assert repr(Index(make(random(3)))) == "Index(3 images x 16, 3 cameras)"
    assert len(filtered) == 60 and filtered.cameras == [1, 2, 3, 4]


def test_the_gallery_is_left_as_it_was():
    gallery = make(random(5) * 3)
    before = gallery.features.clone()
    Index(gallery).search(make(random(2)), 2)
    assert torch.equal(gallery.features, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_finds_the_same_also_in_a_gallery_on_the_cpu():
    query, gallery = make(random(5)), make(random(10_000, seed=1))
    expected = Index(gallery).search(query, 8)
    for side in (gallery, gallery.to("cuda")):
        found = Index(side).search(query.to("cuda"), 8)
        assert found.order.is_cuda and found.order.tolist() == expected.order.tolist()
    with pytest.raises(ValueError, match="move the query"):
        Index(gallery.to("cuda")).search(query, 8)
