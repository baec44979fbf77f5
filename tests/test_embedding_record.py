import numpy as np
import pytest
import torch

from reidlab.embedding import Embeddings


def make(n=4, width=3, **fields):
    features = torch.arange(n * width, dtype=torch.float32).reshape(n, width) + 1
    return Embeddings(features, list(range(n)), [0] * n, **fields)


def test_arrays_and_lists_become_tensors():
    e = Embeddings(np.ones((2, 3), np.float32), np.array([4, 5], np.int32), [0, 1])
    assert e.features.dtype == torch.float32 and e.features.shape == (2, 3)
    assert e.pids.dtype == e.camids.dtype == torch.int64
    assert e.pids.tolist() == [4, 5] and e.camids.tolist() == [0, 1]
    assert len(e) == 2 and e.paths == () and e.source == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floating_features_keep_their_type_and_values(dtype):
    features = torch.tensor([[3.0, 4.0]], dtype=dtype)
    e = Embeddings(features, [1], [1])
    assert e.features.dtype == dtype
    assert e.features.tolist() == [[3.0, 4.0]]  # not normalised


def test_integer_features_become_float32():
    assert Embeddings([[1, 2]], [1], [1]).features.dtype == torch.float32


def test_read_only_and_reversed_arrays_are_accepted(recwarn):
    features = np.arange(6, dtype=np.float32).reshape(3, 2)
    features.flags.writeable = False
    assert Embeddings(features, [0, 1, 2], [0, 0, 0]).features.tolist() == features.tolist()
    e = Embeddings(features[::-1], np.arange(3)[::-1], np.zeros(3, int))
    assert e.features[0].tolist() == [4, 5] and e.pids.tolist() == [2, 1, 0]
    assert not recwarn.list


def test_features_leave_the_graph_of_gradients():
    assert not Embeddings(torch.ones(1, 2, requires_grad=True), [1], [1]).features.requires_grad


def test_width_zero_and_no_images_are_allowed():
    assert len(Embeddings(torch.empty(3, 0), [1, 2, 3], [0, 0, 0])) == 3
    assert len(Embeddings(torch.empty(0, 5), [], [])) == 0


@pytest.mark.parametrize(
    ("features", "pids", "camids", "message"),
    [
        (torch.ones(3), [1], [1], r"\(N, D\), got \(3,\)"),
        (torch.ones(2, 3, 4), [1, 2], [1, 2], r"\(N, D\), got \(2, 3, 4\)"),
        (torch.ones(2, 3), [1], [1, 2], r"pids of shape \(2,\).*got \(1,\)"),
        (torch.ones(2, 3), [1, 2], [[1], [2]], r"camids of shape \(2,\).*got \(2, 1\)"),
        (torch.ones(2, 3), [1.0, 2.0], [1, 2], "integers in pids, got torch.float32"),
        (torch.ones(2, 3), [1, 2], [True, False], "integers in camids, got torch.bool"),
        (torch.ones(1, 3, dtype=torch.complex64), [1], [1], "real features"),
    ],
)
def test_wrong_shapes_and_types_are_refused(features, pids, camids, message):
    with pytest.raises(ValueError, match=message):
        Embeddings(features, pids, camids)


def test_labels_on_another_device_are_refused():
    with pytest.raises(ValueError, match="expected camids on meta|got meta"):
        Embeddings(torch.ones(1, 2), [1], torch.ones(1, dtype=torch.int64, device="meta"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused_with_count_and_first_row(bad):
    features = torch.ones(5, 2)
    features[2, 1] = features[4, 0] = bad
    with pytest.raises(ValueError, match="in 2 of 5 rows, the first is row 2;"):
        Embeddings(features, [1] * 5, [1] * 5)
    with pytest.raises(ValueError, match=r"the first is row 2 \(c.jpg\)"):
        Embeddings(features, [1] * 5, [1] * 5, paths=[f"{c}.jpg" for c in "abcde"])


def test_paths_are_none_or_one_per_image():
    assert make(paths=list("abcd")).paths == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="no paths or 4.*got 2"):
        make(paths=["a", "b"])


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        ([2, 0], [2, 0]),
        (np.array([1, 1]), [1, 1]),
        (torch.tensor([3]), [3]),
        ([True, False, False, True], [0, 3]),
        (torch.tensor([False, True, False, False]), [1]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (slice(0, 0), []),
        (2, [2]),
        (-1, [3]),
    ],
)
def test_indexing_takes_features_labels_and_paths_together(index, kept):
    e = make(paths=list("abcd"), source="here")
    part = e[index]
    assert isinstance(part, Embeddings) and part.source == "here"
    assert part.pids.tolist() == kept
    assert part.features.tolist() == e.features[kept].tolist()
    assert part.paths == tuple("abcd"[i] for i in kept)


def test_indexing_outside_raises_index_error():
    for index in (4, [0, 9], [True, False]):
        with pytest.raises(IndexError):
            make()[index]


def test_normalized_rows_have_length_one_at_any_scale():
    rows = [[3.0, 4.0, 0.0], [3e30, -4e30, 0.0], [3e-30, 4e-30, 0.0], [0.0, 0.0, 0.0]]
    unit = Embeddings(torch.tensor(rows), [1] * 4, [1] * 4).normalized().features
    expected = torch.tensor([[0.6, 0.8, 0], [0.6, -0.8, 0], [0.6, 0.8, 0], [0, 0, 0]])
    torch.testing.assert_close(unit, expected)


def test_normalized_half_precision_is_computed_in_float32():
    unit = Embeddings(torch.full((1, 1000), 60.0).half(), [1], [1]).normalized().features
    assert unit.dtype == torch.float32
    torch.testing.assert_close(unit.norm(), torch.tensor(1.0))


def test_normalized_keeps_width_zero():
    assert Embeddings(torch.empty(2, 0), [1, 2], [1, 1]).normalized().features.shape == (2, 0)


def test_to_keeps_everything():
    e = make(paths=list("abcd"), source="here").to("cpu")
    assert e.features.device.type == "cpu" and e.paths == tuple("abcd") and e.source == "here"


def test_the_record_is_frozen_and_prints_one_short_line():
    e = make(source="market1501")
    with pytest.raises(AttributeError):
        e.source = "other"
    assert "4 images x 3" in repr(e) and "market1501" in repr(e) and "\n" not in repr(e)
