import numpy as np
import pytest
import torch

from reidlab.embedding import Embeddings
from reidlab.evaluation import ScoreTable, compare_protocols, evaluate, pool_queries
from reidlab.ranking import distance_blocks

LABELS = [
    "market",
    "market",
    "no-camera-filter",
    "top-10, AP over hits found",
    "top-80, AP over all images",
    "single-gallery-shot, 10 repeats, seed 0",
]


def people(count, seed, source="toy", first=-1):
    """Random features near their person's own, with junk and distractors."""
    generator = np.random.default_rng(seed)
    pids, camids = generator.integers(first, 9, count), generator.integers(0, 3, count)
    centres = np.random.default_rng(99).standard_normal((10, 6))
    features = centres[pids] + generator.standard_normal((count, 6))
    return Embeddings(features.astype(np.float32), pids, camids, source=source)


@pytest.fixture(scope="module")
def sides():
    return people(30, 0, first=1), people(150, 1)


def same(row, alone):
    assert row.label == alone.label and row.ap == alone.ap and row.source == alone.source
    assert (row.mean_ap, row.mean_inp) == (alone.mean_ap, alone.mean_inp)
    assert row.num_valid_queries == alone.num_valid_queries
    np.testing.assert_array_equal(row.cmc, alone.cmc)
    np.testing.assert_array_equal(row.per_query.ap, alone.per_query.ap)


@pytest.mark.parametrize("ap", ["plain", "trapezoid"])
def test_every_row_is_what_evaluate_gives_alone(sides, ap):
    options = {"ranks": 20}
    table = compare_protocols(*sides, ap=ap, k=(5, 70), repeats=4, seed=3, **options)
    single = {"protocol": "single-gallery-shot", "repeats": 4, "seed": 3}
    alone = [
        evaluate(*sides, ap="plain", **options),
        evaluate(*sides, ap="trapezoid", **options),
        evaluate(*sides, protocol="no-camera-filter", ap=ap, **options),
        evaluate(*sides, protocol="top-k", k=5, ap=ap, **options),
        evaluate(*sides, protocol="top-k", k=70, relevant="all", ap=ap, **options),
        evaluate(*sides, **single, ap=ap, **options),
    ]
    assert len(table) == len(alone) and not table.notes
    for row, expected in zip(table, alone, strict=True):
        same(row, expected)


def test_a_distance_matrix_replaces_the_features(sides):
    query, gallery = sides
    blocks = [block for _, block in distance_blocks(query, gallery)]
    distance = -torch.cat(blocks)  # the worst first
    worst, best = compare_protocols(*sides, distance=distance), compare_protocols(*sides)
    assert [row.label for row in worst] == [row.label for row in best] == LABELS
    assert all(a.mean_ap < b.mean_ap for a, b in zip(worst, best, strict=True))
    same(worst[0], evaluate(*sides, distance=distance))


def test_more_images_per_query_add_a_row(sides):
    query, gallery = sides
    extra = people(200, 7)
    table = compare_protocols(query, gallery, extra=extra, ap="trapezoid")
    pooled = evaluate(pool_queries(query, extra), gallery, ap="trapezoid")
    assert [row.label for row in table] == [*LABELS, "market, multi-query"]
    assert (table[-1].mean_ap, table[-1].ap) == (pooled.mean_ap, "trapezoid")
    assert table[-1].source == "toy" and pooled.source == "toy, multi-query / toy"
    assert table[-1].mean_ap > table[1].mean_ap
    with pytest.raises(ValueError, match="give one of the two"):
        compare_protocols(query, gallery, extra=extra, distance=np.zeros((30, 150)))


def test_lists_longer_than_the_gallery_are_shortened_with_a_note(sides):
    query, gallery = sides[0], sides[1][:60]
    table = compare_protocols(query, gallery)
    assert [row.k for row in table if row.k] == [10, 60]
    assert table.notes == ("top-80 shortened to top-60, the size of the gallery",)
    assert str(table).endswith("top-80 shortened to top-60, the size of the gallery")
    assert not compare_protocols(query, gallery, k=(10, 60)).notes
    tiny = compare_protocols(
        Embeddings(torch.ones(1, 2), [1], [0]), Embeddings(torch.ones(1, 2), [1], [1])
    )
    assert [row.k for row in tiny if row.k] == [1, 1] and all(row.mean_ap == 1 for row in tiny)


def test_images_of_one_camera_leave_the_camera_protocols_out_with_a_note():
    query, gallery = people(10, 0, first=1), people(100, 1)
    query, gallery = (
        Embeddings(side.features, side.pids, side.pids * 0) for side in (query, gallery)
    )
    table = compare_protocols(query, gallery, extra=gallery)
    assert {row.protocol for row in table} == {"no-camera-filter", "top-k"}
    assert table.notes == (
        "market left out: no query has a match under another camera",
        "single-gallery-shot left out: no query has a match under another camera",
        "multi-query left out as well, for it follows market",
    )
    assert compare_protocols(query, gallery).notes == table.notes[:2]


def test_bad_input_is_refused(sides):
    query, gallery = sides
    stranger = Embeddings(gallery.features, gallery.pids + 100, gallery.camids)
    for arguments, options, message in (
        ((query, stranger), {}, "of 30 queries, 30 have no image"),
        ((query, gallery[:0]), {}, "gallery images, got none"),
        ((query[:0], gallery), {}, "expected queries, got none"),
        (sides, {"k": (0, 80)}, "k from 1 to 150, the size of the gallery, got 0"),
        (sides, {"k": (10, 20, 30)}, "over hits found, over all images"),
        (sides, {"k": 10}, r"two lengths such as \(10, 80\), got 10"),
        (sides, {"k": (10, 200.5)}, "k to be a whole number, got 200.5"),
        (sides, {"k": (True, 80)}, "k to be a whole number, got True"),
        (sides, {"seed": -1}, "seed of at least 0, got -1"),
        (sides, {"ranks": 2.5}, "ranks to be a whole number, got 2.5"),
        (sides, {"ap": "other"}, "ap to be one of"),
        (sides, {"ranks": 0}, "ranks of at least 1"),
        (sides, {"repeats": 0}, "repeats of at least 1"),
        (sides, {"extra": stranger}, "found none among 150"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_protocols(*arguments, **options)
    with pytest.raises(ValueError, match="at least one row"):
        ScoreTable(())


def test_the_table_prints_aligned_columns(sides):
    header, *rows, once = str(compare_protocols(*sides)).splitlines()
    assert header.split("  ")[0] == "protocol" and "what is ranked" in header
    assert [row.split("  ")[0] for row in rows] == LABELS
    for name in ("what is ranked", "AP", "rank-1", "mAP", "mINP"):
        at = header.index(name)
        assert all(row[at - 2 : at] == "  " and row[at] != " " for row in rows)
    assert "all cameras and junk" in rows[3]
    assert once == "data: toy, valid queries: 30 of 30"  # said once for all rows
    assert repr(compare_protocols(*sides)).splitlines()[0] == header


def test_notebooks_get_html_with_the_same_cells_escaped(sides):
    query, gallery = (Embeddings(s.features, s.pids, s.camids, source="<a&b>") for s in sides)
    table = compare_protocols(query, gallery, k=(10, 1000))
    text = table._repr_html_()
    assert "<a&b>" not in text and text.count("&lt;a&amp;b&gt;") == 1  # said once for all rows
    assert [f"<tr><td>{label}</td>" in text for label in LABELS[:4]] == [True] * 4
    assert "<th>data</th>" not in text and "<p>data: &lt;a&amp;b&gt;" in text
    assert text.count("<tr>") == 7 and text.count("<th>") == text.count("<td>") / 6
    assert text.endswith("<p>top-1000 shortened to top-150, the size of the gallery</p>")


def test_the_frame_holds_figures_and_settings(sides):
    table = compare_protocols(*sides, ranks=7)
    frame = table.frame()
    assert frame["label"].tolist() == LABELS and frame["mAP"].tolist() == [s.mean_ap for s in table]
    assert frame["rank-5"].tolist() == [scores.rank(5) for scores in table]
    assert frame["rank-10"].isna().all()  # beyond the curve
    assert frame["k"].dropna().tolist() == [10, 80]
    assert frame["relevant"].dropna().tolist() == ["found", "all"]
    assert frame["repeats"].dropna().tolist() == [10] and frame["seed"].dropna().tolist() == [0]
    assert frame["source"].unique().tolist() == ["toy"]
    assert frame["queries"].tolist() == [30] * 6
    assert frame["counts"].tolist()[:3] == ["other cameras", "other cameras", "all cameras"]


def test_a_table_is_a_sequence_of_scores(sides):
    table = compare_protocols(*sides)
    assert table[0].protocol == "market" and table[-1].protocol == "single-gallery-shot"
    assert [row.label for row in table[2:4]] == LABELS[2:4] and isinstance(table[2:4], ScoreTable)
    assert table[2] in table and len(list(table)) == len(table) == 6
