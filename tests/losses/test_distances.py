import pytest
import torch
from torch.nn import functional as F

from reidlab.losses import distance_matrix, paired_distance, pairwise_distance
from reidlab.losses.distances import METRICS, same_person


def tables(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, 7, generator=generator, dtype=dtype) for n in (5, 4))


def slow_distance(a, b, metric):
    if metric == "cosine":
        return 1 - sum(a * b) / (sum(a * a) * sum(b * b)) ** 0.5
    squared = sum((a[i] - b[i]) ** 2 for i in range(len(a)))
    return squared if metric == "squared" else squared**0.5


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("normalize", [False, True])
def test_each_entry_is_the_distance_of_two_rows(metric, normalize):
    x, y = tables()
    found = distance_matrix(x, y, metric, normalize=normalize)
    if normalize:
        x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    wanted = torch.stack([torch.stack([slow_distance(a, b, metric) for b in y]) for a in x])
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("normalize", [False, True])
def test_paired_distances_are_the_diagonal(metric, normalize):
    x, y = tables()
    whole = distance_matrix(x[:4], y, metric, normalize=normalize)
    torch.testing.assert_close(paired_distance(x[:4], y, metric, normalize=normalize), whole.diag())


def test_squared_distance_of_unit_vectors_is_two_minus_two_cosines():
    x, y = tables()
    torch.testing.assert_close(
        distance_matrix(x, y, "squared", normalize=True), 2 * distance_matrix(x, y, "cosine")
    )


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_agree_with_finite_differences(metric):
    x, y = tables(dtype=torch.float64)
    for function, rows in ((distance_matrix, 5), (paired_distance, 4)):
        inputs = x[:rows].clone().requires_grad_(), y.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda a, b, f=function: f(a, b, metric), inputs)


@pytest.mark.parametrize("metric", METRICS)
def test_an_image_and_its_duplicate_have_no_distance_and_a_finite_gradient(metric):
    x = torch.ones(3, 4, requires_grad=True)
    for distance in (distance_matrix(x, x, metric), paired_distance(x, x, metric)):
        assert distance.abs().max() < 1e-6
        (gradient,) = torch.autograd.grad(distance.sum(), x)
        assert gradient.isfinite().all() and gradient.abs().max() < 1e-5


def test_the_metric_alone_decides_what_the_length_of_features_means():
    x, y = tables()
    long = distance_matrix(3 * x, 3 * y, "euclidean")
    torch.testing.assert_close(long, 3 * distance_matrix(x, y))
    torch.testing.assert_close(
        distance_matrix(3 * x, 5 * y, "cosine"), distance_matrix(x, y, "cosine")
    )


@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_is_computed_in_single_and_double_stays_double(metric):
    x, y = (table.bfloat16() for table in tables())
    found = distance_matrix(x, y, metric)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, distance_matrix(x.float(), y.float(), metric))
    assert paired_distance(x[:4], y, metric).dtype == torch.float32
    assert distance_matrix(x.double(), y, metric).dtype == torch.float64
    assert pairwise_distance(x.long(), y.long()).dtype == torch.float32


def test_autocast_does_not_blur_cosines():
    x, y = tables()
    exact = distance_matrix(x, y, "cosine")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(distance_matrix(x, y, "cosine"), exact)


def test_an_image_is_neither_its_own_positive_nor_its_negative():
    positives, negatives = same_person(torch.tensor([4, 9, 4]))
    assert positives.tolist() == [[False, False, True], [False] * 3, [True, False, False]]
    assert negatives.tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_what_has_no_distance_is_refused():
    x, y = tables()
    with pytest.raises(ValueError, match="one of euclidean, squared, cosine, got 'manhattan'"):
        distance_matrix(x, y, "manhattan")
    with pytest.raises(ValueError, match="one of euclidean, squared, cosine, got 'l2'"):
        paired_distance(x, x, "l2")
    with pytest.raises(ValueError, match=r"of one width, got \(5, 7\) and \(4, 6\)"):
        distance_matrix(x, y[:, :6])
    with pytest.raises(ValueError, match=r"\(N, D\) and \(M, D\)"):
        distance_matrix(x[0], y)
    with pytest.raises(ValueError, match=r"\(N, D\) twice, got \(5, 7\) and \(4, 7\)"):
        paired_distance(x, y)


def test_normalizing_first_changes_nothing_for_unit_vectors():
    x, y = (F.normalize(table) for table in tables())
    torch.testing.assert_close(distance_matrix(x, y, normalize=True), distance_matrix(x, y))


@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_is_widened_before_lengths_are_divided_out(metric):
    x, y = (table.bfloat16() for table in tables())
    for function, rows in ((distance_matrix, 5), (paired_distance, 4)):
        wanted = function(x[:rows].float(), y.float(), metric, normalize=True)
        assert torch.equal(function(x[:rows], y, metric, normalize=True), wanted)


@pytest.mark.parametrize(("metric", "normalize"), [("cosine", False), ("squared", True)])
def test_a_row_without_a_direction_is_left_where_it_is(metric, normalize):
    x, y = tables()
    x[0], x[1] = 0, 1e-20
    plain = [x[2:].clone().requires_grad_(), y.clone()]
    wanted = distance_matrix(*plain, metric, normalize=normalize)
    wanted.sum().backward()
    for function in (distance_matrix, paired_distance):
        rows = x[:4].clone().requires_grad_()
        found = function(rows, y, metric, normalize=normalize)
        found.sum().backward()
        assert torch.equal(rows.grad[:2], torch.zeros(2, 7)) and rows.grad[2:].abs().min() > 0
        assert found[0].max().item() == pytest.approx(1)
    rows = x.clone().requires_grad_()
    distance_matrix(rows, y, metric, normalize=normalize).sum().backward()
    torch.testing.assert_close(rows.grad[2:], plain[0].grad)
