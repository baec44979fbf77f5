import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from reidlab.calibration import (
    CameraPairs,
    DistanceHistogram,
    choose_threshold,
    open_set,
    worst_queries,
)
from reidlab.embedding import Embeddings
from reidlab.evaluation import evaluate
from reidlab.plots.heatmap import camera_heatmap
from reidlab.plots.histogram import distance_histogram
from reidlab.plots.openset import open_set_curve
from reidlab.plots.page import BLUE, VERMILLION
from reidlab.plots.worst import failure_strip


@pytest.fixture(autouse=True)
def pyplot_is_left_alone():
    before = plt.get_fignums(), dict(matplotlib.rcParams)
    yield
    assert plt.get_fignums() == before[0]
    assert dict(matplotlib.rcParams) == before[1]


def crowd(seed, people, images=4, paths=()):
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(people), images)
    features = rng.normal(size=(people, 8))[pids] + 0.6 * rng.normal(size=(len(pids), 8))
    return Embeddings(features, pids + 1, np.tile([1, 2, 3, 4], len(pids))[: len(pids)], paths)


@pytest.fixture
def histogram():
    same, different = np.zeros((2, 1024), np.int64)
    same[[10, 100, 300]] = 5, 10, 5
    different[[90, 400, 500]] = 1, 500, 499
    return DistanceHistogram(np.arange(1025) / 256, same, different)


def words(figure):
    figure.canvas.draw()
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " | ".join([*found, *legends])


@pytest.mark.parametrize("log", [False, True])
def test_the_histogram_names_the_share_of_both_errors(histogram, log):
    figure = distance_histogram(histogram, threshold=200 / 256, log=log, title="here")
    text = words(figure)
    assert "different people, 1,000 pairs, about 0.1% accepted" in text
    assert "same person, 20 pairs, about 25.0% refused" in text
    assert "threshold 0.781" in text
    axes = figure.axes[0]
    assert axes.get_yscale() == ("log" if log else "linear")
    (line,) = axes.lines
    assert line.get_xdata()[0] == 200 / 256
    wrong, missed = axes.collections
    assert to_hex(wrong.get_facecolor()[0]) == VERMILLION.lower()
    assert to_hex(missed.get_facecolor()[0]) == BLUE.lower()
    for area, side in ((wrong, -1), (missed, 1)):
        for path in area.get_paths():
            across = path.vertices[:, 0]
            assert (side * (across - 200 / 256) >= -1e-9).all()


def test_outlines_show_every_pair_and_differ_in_dashes(histogram):
    figure = distance_histogram(histogram, log=True)
    outlines = figure.axes[0].patches
    assert [np.nansum(o.get_data().values) for o in outlines] == [1000, 20]
    assert len({str(o.get_linestyle()) for o in outlines}) == 2
    shares = distance_histogram(histogram).axes[0].patches
    assert [o.get_data().values.sum() for o in shares] == pytest.approx([1, 1])
    assert "threshold" not in words(figure)


def test_a_histogram_takes_a_threshold_record(histogram):
    threshold = choose_threshold(crowd(0, 12), crowd(1, 12), resamples=10)
    figure = distance_histogram(histogram, threshold=threshold)
    assert figure.axes[0].lines[0].get_xdata()[0] == threshold.distance


def test_an_empty_histogram_is_refused():
    nothing = np.zeros(4, np.int64)
    with pytest.raises(ValueError, match="with pairs, got an empty one"):
        distance_histogram(DistanceHistogram(np.arange(5) / 2, nothing, nothing))


@pytest.fixture
def cameras():
    scores = np.array([[np.nan, 0.5, 0.9], [0.25, np.nan, 0.75]])
    first = np.array([[np.nan, 0.1, 0.9], [0.25, np.nan, 0.75]])
    counts = np.array([[0, 1234, 7], [5, 0, 3]])
    return CameraPairs(np.array([1, 2]), np.array([1, 2, 8]), scores, first, counts)


def test_the_heatmap_numbers_its_cells_and_frames_the_worst(cameras):
    figure = camera_heatmap(cameras, title="t")
    text = words(figure)
    assert "50.0 | 1,234" in text and "75.0 | 3" in text and "nan" not in text
    (frame,) = figure.axes[0].patches
    assert (frame.get_x(), frame.get_y()) == (0, 1)
    assert figure.get_supxlabel().startswith("framed: the worst pair, camera 2 to 1;")
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["1", "2", "8"]
    rank1 = camera_heatmap(cameras, score="rank1")
    assert "10.0 | 1,234" in words(rank1)
    assert "camera 1 to 2" in rank1.get_supxlabel()


def test_many_cameras_have_no_figures_in_their_cells():
    size = 15
    scores = np.full((size, size), 0.5)
    pairs = CameraPairs(
        np.arange(size), np.arange(size), scores, scores, np.ones((size, size), int)
    )
    figure = camera_heatmap(pairs)
    assert words(figure) == ""
    assert "small" not in figure.get_supxlabel()


def test_an_unknown_score_is_refused(cameras):
    with pytest.raises(ValueError, match="'mean_ap' or 'rank1', got 'mAP'"):
        camera_heatmap(cameras, score="mAP")


def test_the_open_set_curve_marks_the_points_asked_for():
    result = open_set(crowd(0, 20), crowd(1, 20), unknown=0.4, false_positive_rates=(0.1, 0.5))
    figure = open_set_curve({"one": result, "two": result}, title="t")
    axes = figure.axes[0]
    curve = axes.lines[0]
    assert curve.get_ydata()[-1] == result.detected[-1]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] == pytest.approx(0.5 / result.without_mate)
    assert len(axes.texts) == 4
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == (
        f"one  {result.with_mate} queries with a mate, {result.without_mate} without"
    )
    assert len(open_set_curve(result).axes[0].texts) == 2
    with pytest.raises(ValueError, match="result of open_set, got none"):
        open_set_curve({})


def test_failures_are_shown_with_their_precision(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (32, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    paths = [tmp_path / "x.png"] * 12
    query, gallery = crowd(0, 3, paths=paths), crowd(1, 3, paths=paths)
    failures = worst_queries(evaluate(query, gallery), 2, query=query, gallery=gallery)
    figure = failure_strip(failures, query, gallery, k=5, title="t")
    cells = {axes.get_gid(): axes for axes in figure.axes}
    assert len(cells) == 2 * 6
    for row, failure in enumerate(failures):
        cell = cells[f"row {row} column 0"]
        assert cell.get_title(loc="center") == f"AP {failure.ap:.1%}"
        camera = int(query.camids[failure.query])
        assert cell.get_xlabel() == f"cam {camera}\nmatch at {failure.match_place}"
    assert len(failure_strip(failures, query, gallery, k=50).axes) == 2 * 13
    with pytest.raises(ValueError, match="expected failures to show, got none"):
        failure_strip(failures[:0], query, gallery)
    with pytest.raises(ValueError, match="failures of these 0 queries"):
        failure_strip(failures, query[:0], gallery)
    with pytest.raises(ValueError, match="at least one gallery image"):
        failure_strip(failures, query, gallery, k=0)


def test_a_threshold_inside_a_bin_counts_part_of_it(histogram):
    low, high = (
        words(distance_histogram(histogram, threshold=at)) for at in (100 / 256, 100.5 / 256)
    )
    assert low != high


@pytest.mark.parametrize("at", [-0.1, 4.1, float("nan")])
def test_a_threshold_outside_all_distances_is_refused(histogram, at):
    with pytest.raises(ValueError, match="expected a threshold from 0 to 4"):
        distance_histogram(histogram, threshold=at)


def test_a_threshold_beyond_the_last_pair_is_drawn(histogram):
    figure = distance_histogram(histogram, threshold=3.9)
    assert figure.axes[0].get_xlim()[1] > 3.9


def test_failures_of_swapped_sides_are_refused():
    generator = np.random.default_rng(0)
    sides = [
        Embeddings(generator.normal(size=(12, 4)), np.arange(12) // k + 1, np.full(12, k))
        for k in (2, 3)
    ]
    failures = worst_queries(evaluate(*sides), 3, query=sides[0], gallery=sides[1])
    with pytest.raises(ValueError, match="in this order"):
        failure_strip(failures, sides[1], sides[0])
