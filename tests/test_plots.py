import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from reidlab.data.samples import Sample
from reidlab.embedding import Embeddings
from reidlab.evaluation import PerQuery, Scores
from reidlab.plots import (
    cmc_curve,
    contact_sheet,
    gallery_strip,
    training_curves,
    tsne,
    tsne_beside,
)
from reidlab.plots.page import BLUE, GREY, VERMILLION, new_page, reduce_colours
from reidlab.plots.scatter import choose_points
from reidlab.ranking import rank

# One query (person 7, camera 1) and its gallery, in the order of rising distance.
GALLERY = [(7, 1), (7, 2), (9, 1), (-1, 3), (7, 4), (0, 2), (8, 5)]  # (pid, camid)


@pytest.fixture(autouse=True)
def pyplot_is_left_alone():
    before = plt.get_fignums(), dict(matplotlib.rcParams)
    yield
    assert plt.get_fignums() == before[0]
    assert dict(matplotlib.rcParams) == before[1]


def save_crop(folder, name, size=(64, 32), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


@pytest.fixture
def ranking(tmp_path):
    paths = [save_crop(tmp_path, f"{i}.png", seed=i) for i in range(len(GALLERY) + 1)]
    labels = np.array([(7, 1), *GALLERY])
    angle = torch.linspace(0, 1.5, len(labels))
    features = torch.stack([angle.cos(), angle.sin()], dim=1)
    everyone = Embeddings(features, labels[:, 0], labels[:, 1], paths)
    query, gallery = everyone[[0, 0]], everyone[1:]
    return rank(query, gallery, len(gallery))


@pytest.fixture
def samples(tmp_path):
    people = [(pid, camid) for pid in (3, 5, 0, -1) for camid in (1, 2, 6) for _ in range(3)]
    return [
        Sample(save_crop(tmp_path, f"s{i}.png", seed=i), pid, camid)
        for i, (pid, camid) in enumerate(people)
        if (pid, camid) != (5, 2)
    ]


def clusters(people=12, each=8, extra=(0, -1)):
    pids = np.repeat([*range(1, people + 1), *extra], each)
    centres = np.random.default_rng(0).normal(size=(people + 2, 16))
    noise = np.random.default_rng(1).normal(scale=0.1, size=(len(pids), 16))
    return Embeddings(centres[pids] + noise, pids, np.arange(len(pids)) % 6 + 1)


def frame(axes):
    spine = axes.spines["left"]
    return to_hex(spine.get_edgecolor()).upper(), spine.get_linestyle()


def row_of(figure, row, columns):
    return figure.axes[row * columns : (row + 1) * columns]


def test_gallery_frames_tell_right_wrong_and_ignored_apart(ranking):
    figure = gallery_strip(ranking, queries=[0], k=7)
    colours = [frame(axes)[0] for axes in figure.axes[1:]]
    right, wrong, ignored = BLUE.upper(), VERMILLION.upper(), GREY.upper()
    assert colours == [ignored, right, wrong, ignored, right, wrong, wrong]
    dashes = {frame(axes) for axes in figure.axes[1:]}
    assert len({style for _, style in dashes}) == 3  # colour is not the only cue


def test_gallery_numbers_only_what_the_protocol_keeps(ranking):
    figure = gallery_strip(ranking, queries=[0], k=7)
    heads = [axes.get_title() for axes in figure.axes]
    assert heads == ["query", "– same cam", "✓ 1", "✗ 2", "– junk", "✓ 3", "✗ 4", "✗ 5"]


@pytest.mark.parametrize("protocol", ["no-camera-filter", "top-k"])
def test_gallery_without_camera_filter_keeps_the_same_camera(ranking, protocol):
    figure = gallery_strip(ranking, queries=[0], k=7, protocol=protocol)
    heads = [axes.get_title() for axes in figure.axes[1:]]
    assert heads == ["✓ 1", "✓ 2", "✗ 3", "– junk", "✓ 4", "✗ 5", "✗ 6"]


def test_gallery_greys_out_ignored_images_only(ranking):
    figure = gallery_strip(ranking, queries=[0], k=3)
    colourful = [np.ptp(axes.images[0].get_array(), axis=2).max() > 0 for axes in figure.axes]
    assert colourful == [True, False, True, True]


def test_gallery_captions_name_camera_and_distance(ranking):
    figure = gallery_strip(ranking, queries=[0], k=7)
    captions = [axes.get_xlabel() for axes in figure.axes]
    assert captions[0] == "person 7\ncam 1"
    for caption, (_, camid), distance in zip(
        captions[1:], GALLERY, ranking.distance[0].tolist(), strict=True
    ):
        assert caption == f"cam {camid}\nd = {distance:.3f}"


def test_gallery_has_one_axes_per_image(ranking):
    assert len(gallery_strip(ranking, queries=[0, 1], k=4).axes) == 2 * (4 + 1)
    assert len(gallery_strip(ranking, queries=[1], k=50).axes) == 1 + len(GALLERY)


def test_gallery_shows_the_files_of_the_images(ranking):
    figure = gallery_strip(ranking, queries=[0], k=2)
    with Image.open(ranking.gallery.paths[1]) as image:
        expected = np.asarray(image.resize(figure.axes[2].images[0].get_array().shape[1::-1]))
    shown = figure.axes[2].images[0].get_array()
    assert np.abs(shown.astype(int) - expected).mean() < 25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "marked"}, "market, single-gallery-shot"),
        ({"queries": [2]}, "from 0 to 1, got 2"),
        ({"queries": [-1]}, "from 0 to 1, got -1"),
        ({"queries": []}, "at least one query"),
        ({"k": 0}, "k=0"),
    ],
)
def test_gallery_refuses_bad_input(ranking, options, message):
    with pytest.raises(ValueError, match=message):
        gallery_strip(ranking, **{"queries": [0], **options})


def test_gallery_without_paths_says_what_to_do(ranking):
    bare = Embeddings(ranking.gallery.features, ranking.gallery.pids, ranking.gallery.camids)
    with pytest.raises(ValueError, match="gallery embeddings know no image files.*paths="):
        gallery_strip(rank(ranking.query, bare, 3), queries=[0])


def test_tsne_shows_ten_people_and_leaves_out_distractors_and_junk():
    embeddings = clusters()
    rows = choose_points(embeddings, people=10, max_points=1000, seed=0)
    shown = embeddings.pids[rows].unique().tolist()
    assert len(shown) == 10 and min(shown) > 0
    figure = tsne(embeddings, people=10)
    assert len(figure.axes) == 1
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 80
    assert {text.get_text() for text in figure.axes[0].texts} == {str(pid) for pid in shown}


def test_tsne_has_a_marker_per_camera_and_says_so():
    figure = tsne(clusters(people=3), people=3)
    assert len(figure.axes[0].collections) == 6
    who, where = figure.legends
    assert [text.get_text() for text in who.get_texts()] == ["1", "2", "3"]
    assert [text.get_text() for text in where.get_texts()] == ["1", "2", "3", "4", "5", "6"]


def test_tsne_points_are_limited_and_depend_on_the_seed():
    embeddings = clusters()
    first, again, other = (choose_points(embeddings, 5, 20, seed) for seed in (0, 0, 1))
    assert len(first) == 20
    assert first.tolist() == again.tolist() != other.tolist()


def test_tsne_adapts_to_few_images():
    figure = tsne(clusters(people=2, each=3), people=10)
    offsets = np.concatenate([points.get_offsets() for points in figure.axes[0].collections])
    assert len(offsets) == 6 and np.isfinite(offsets).all()


@pytest.mark.parametrize("embeddings", [clusters(people=2, each=2), clusters(people=0, extra=(0,))])
def test_tsne_refuses_too_few_images(embeddings):
    with pytest.raises(ValueError, match="at least five images"):
        tsne(embeddings)


def test_two_maps_side_by_side_show_the_same_people_and_share_a_legend():
    first, second = clusters(), clusters()
    figure = tsne_beside({"before": first, "after": second}, people=4)
    names = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert names[0] == names[1] and len(names[0]) == 4
    assert [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes] == [
        "before",
        "after",
    ]
    assert len(figure.legends) == 2


def test_two_maps_need_two_networks_and_the_same_images():
    first = clusters()
    with pytest.raises(ValueError, match="two networks, got 1"):
        tsne_beside({"one": first})
    with pytest.raises(ValueError, match="same images"):
        tsne_beside({"one": first, "other": first[::2]})


class Log:
    rows = [
        {"epoch": 1.0, "loss": 3.0, "id": 2.0, "triplet": 1.0, "lr": 1e-3, "seconds": 9.0},
        {"epoch": 2.0, "loss": 2.0, "id": 1.5, "triplet": 0.5, "lr": 1e-4, "val_mAP": 0.4},
    ]


def labels(axes):
    return [line.get_label() for line in axes.lines]


def test_training_curves_separate_losses_scores_and_learning_rate():
    losses, scores, rate = training_curves(Log()).axes
    assert labels(losses) == ["total", "id", "triplet"]
    assert losses.lines[1].get_ydata().tolist() == [2.0, 1.5]
    assert labels(scores) == ["mAP"]
    assert scores.lines[0].get_xdata().tolist() == [2.0]  # the epoch without a score is no point
    assert rate.lines[0].get_ydata().tolist() == [1e-3, 1e-4]


def test_training_curves_accept_columns_and_leave_out_what_is_not_logged():
    figure = training_curves({"loss": [3, 2, 1]})
    assert [labels(axes) for axes in figure.axes] == [["total"]]
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]
    assert len(training_curves({"id": [3, 2], "lr": [1, 1]}).axes) == 2


@pytest.mark.parametrize(
    "history", [{}, {"loss": []}, {"lr": [1.0]}, {"loss": [1.0, 2.0], "lr": [1.0]}]
)
def test_training_curves_refuse_a_history_without_losses(history):
    with pytest.raises(ValueError, match="expected"):
        training_curves(history)


def some_scores(first):
    cmc = np.linspace(first, 1.0, 30)
    return Scores(cmc, 0.5, 0.25, 4, PerQuery(np.ones(4), np.ones(4)), "market")


def test_cmc_curve_draws_a_line_per_system():
    (axes,) = cmc_curve({"a": some_scores(0.2), "b": some_scores(0.6)}, ranks=10).axes
    assert labels(axes) == ["a  rank-1 20.0%, mAP 50.0%", "b  rank-1 60.0%, mAP 50.0%"]
    assert axes.lines[0].get_xdata().tolist() == list(range(1, 11))
    np.testing.assert_allclose(axes.lines[1].get_ydata(), some_scores(0.6).cmc[:10])
    assert labels(cmc_curve(some_scores(0.3)).axes[0]) == ["rank-1 30.0%, mAP 50.0%"]


@pytest.mark.parametrize(("scores", "ranks"), [({}, 10), ({"a": some_scores(0.1)}, 0)])
def test_cmc_curve_refuses_nothing(scores, ranks):
    with pytest.raises(ValueError, match="expected scores"):
        cmc_curve(scores, ranks=ranks)


def pixels_of(figure):
    (axes,) = figure.axes
    return np.asarray(axes.images[0].get_array())


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_contact_sheet_puts_a_tensor_in_reading_order():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 20, 10) * 40
    sheet = pixels_of(contact_sheet(images, columns=4))
    assert [sheet[10, x, 0] for x in (5, 15, 26, 36)] == [0, 40, 80, 120]
    assert [sheet[30, x, 0] for x in (5, 15, 26)] == [160, 200, 255]  # the second row is shorter


def test_contact_sheet_of_samples_has_people_as_rows_and_cameras_as_columns(samples):
    figure = contact_sheet(samples, columns=6)
    assert texts(figure) == [
        *("person 3", "person 5", "distractor", "junk"),
        *("camera 1", "camera 2", "camera 6"),
    ]
    sheet = pixels_of(figure)
    with Image.open(samples[0].path) as first:
        np.testing.assert_array_equal(sheet[:64, :32], np.asarray(first))
    step = (sheet.shape[0] - 64) // 3
    unseen = sheet[step + 4 : step + 60, 75:100]  # person 5 was not seen by camera 2
    assert (unseen == 238).all()


def test_contact_sheet_limits_people_but_names_everybody_shown(samples):
    assert texts(contact_sheet(samples, rows=1, columns=2))[:3] == [
        "person 3",
        "distractor",
        "junk",
    ]


def test_contact_sheet_writes_captions(samples):
    figure = contact_sheet(samples[:3], captions=["a", "b\nc", "d"])
    assert texts(figure) == ["a", "b\nc", "d"]


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (torch.rand(2, 3, 8, 8), {}, r"uint8 images \(N, 3, H, W\)"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), {}, "uint8 images"),
        ([], {}, "at least one image"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), {"captions": ["a"]}, "2 captions"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), {"columns": 0}, "columns=0"),
    ],
)
def test_contact_sheet_refuses_bad_input(images, options, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(images, **options)


def test_a_figure_shows_itself_once_at_900_pixels(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    page = new_page(2.0)
    page._ipython_display_()
    ((bundle,), options) = shown[0]
    assert len(shown) == 1 and options["raw"]
    assert options["metadata"]["image/png"] == {"width": 900, "height": 200}
    assert Image.open(io.BytesIO(bundle["image/png"])).size == (1800, 400)


def test_reduced_colours_keep_frames_and_paper_exact():
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    picture.paste(BLUE, (0, 0, 10, 10))
    picture.paste("white", (20, 0, 30, 10))
    reduced = reduce_colours(picture).convert("RGB")
    assert to_hex(np.array(reduced.getpixel((5, 5))) / 255).upper() == BLUE.upper()
    assert reduced.getpixel((25, 5)) == (255, 255, 255)


def test_validation_loss_is_drawn_beside_the_loss_and_not_among_scores():
    columns = {"loss": [3.0, 2.0], "val_loss": [3.5, 3.0], "val_accuracy": [0.5, 0.6]}
    left, right = training_curves(columns).axes
    assert [line.get_label() for line in left.lines] == ["total", "validation"]
    assert [line.get_label() for line in right.lines] == ["accuracy"]
