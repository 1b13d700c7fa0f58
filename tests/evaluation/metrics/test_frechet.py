import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.frechet import distance_of_features, factor, frechet_distance, nuclear_norm

F64 = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotation(d: int) -> torch.Tensor:
    """A reflection: orthogonal, dense, and cheap at any width."""
    v = torch.randn(d, dtype=F64, generator=generator(d))
    return torch.eye(d, dtype=F64) - 2 * torch.outer(v, v) / v.dot(v)


def covariance(d: int, n: int, seed: int) -> torch.Tensor:
    x = torch.randn(n, d, dtype=F64, generator=generator(seed))
    return x.T @ x / n


@pytest.mark.parametrize("d", [2, 64, 400, 768, *(pytest.param(d, marks=pytest.mark.slow) for d in (1024, 2048))])
@pytest.mark.parametrize("rank", [1.0, 0.3], ids=["full rank", "rank 0.3 d"])
def test_commuting_covariances_have_a_closed_form(d, rank):
    a, b = torch.logspace(-3, 2, d, dtype=F64), torch.logspace(1, -4, d, dtype=F64)
    present = int(rank * d) or 1
    a[present:], b[: d - present] = 0, 0
    q, mean = rotation(d), torch.linspace(-1, 1, d, dtype=F64)
    got = frechet_distance(mean, q * a @ q, torch.zeros(d, dtype=F64), q * b @ q)
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert float(got) == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.parametrize("decay", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("n", [200, 300, 700], ids="n={}".format)
def test_the_fast_sum_of_singular_values_is_the_exact_one(decay, n):
    """Where rounding could show, singular values are taken; elsewhere roots of eigenvalues, which are the same."""
    scale = torch.arange(1, 301, dtype=F64) ** (-decay / 2)
    x, y = (torch.randn(n, 300, dtype=F64, generator=generator(seed)) * scale for seed in (0, 1))
    cross = factor(x.T.cov(), 300).T @ factor(y.T.cov(), 300)
    exact = torch.linalg.svdvals(cross).sum()
    assert float(nuclear_norm(cross)) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize(("decay", "calls"), [(0.0, 0), (6.0, 1)])
def test_the_fast_sum_is_taken_only_where_it_is_safe(monkeypatch, decay, calls):
    seen = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda cross: seen.append(cross) or svdvals(cross))
    x = torch.randn(700, 300, dtype=F64, generator=generator()) * torch.arange(1, 301, dtype=F64) ** (-decay / 2)
    nuclear_norm(x.T.cov())
    assert len(seen) == calls


def test_unit_gaussians_one_apart():
    d = 256  # the case of pytorch-fid's own test, there at 2,048
    got = frechet_distance(torch.zeros(d), torch.eye(d), torch.ones(d), torch.eye(d))
    assert float(got) == pytest.approx(d, rel=1e-12)


@given(values=st.lists(st.floats(0.01, 10), min_size=6, max_size=6), turn=st.floats(-0.9, 0.9))
def test_two_dimensions_have_a_closed_form(values, turn):
    # tr √(AB) = √(tr AB + 2 √det AB) for two by two
    a = torch.tensor([[values[0], turn * (values[0] * values[1]) ** 0.5], [0, values[1]]], dtype=F64)
    a[1, 0] = a[0, 1]
    b = torch.diag(torch.tensor(values[2:4], dtype=F64))
    mean = torch.tensor(values[4:], dtype=F64)
    root = torch.sqrt((a @ b).trace() + 2 * torch.sqrt(torch.linalg.det(a) * torch.linalg.det(b)))
    expected = mean.square().sum() + a.trace() + b.trace() - 2 * root
    assert float(frechet_distance(mean, a, torch.zeros(2), b)) == pytest.approx(float(expected), rel=1e-8, abs=1e-12)


def test_lines_in_space_have_a_closed_form():
    u, v = torch.randn(2, 50, dtype=F64, generator=generator())
    got = frechet_distance(torch.zeros(50), torch.outer(u, u), torch.zeros(50), torch.outer(v, v))
    assert float(got) == pytest.approx(float(u.dot(u) + v.dot(v) - 2 * u.dot(v).abs()), rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [(30, 8), (30, 200), (300, 400), (100, 2048)])
def test_stretched_and_shifted_features_have_a_closed_form(n, d):
    x = torch.randn(n, d, dtype=F64, generator=generator())
    got = distance_of_features(x, 3 * x + 0.5)
    shift = 2 * x.mean(0) + 0.5
    expected = shift.square().sum() + 4 * torch.cov(x.T).trace()
    assert float(got) == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (20, 300), (300, 20), (200, 300)])
@pytest.mark.parametrize("ddof", [0, 1])
def test_features_and_their_moments_agree(n, m, ddof):
    x, y = torch.randn(n, 64, dtype=F64, generator=generator(1)), torch.randn(m, 64, dtype=F64, generator=generator(2))
    got = distance_of_features(x, 2 * y + 1, ddof=ddof)
    sigma1, sigma2 = (torch.cov(z.T, correction=ddof) for z in (x, 2 * y + 1))
    assert float(got) == pytest.approx(
        float(frechet_distance(x.mean(0), sigma1, (2 * y + 1).mean(0), sigma2)), rel=1e-8
    )


@pytest.mark.parametrize(("d", "n"), [(2, 64), (16, 64), (64, 256)])
def test_second_opinion_sqrtm(d, n):
    sigma1, sigma2 = covariance(d, n, 1), covariance(d, n, 2)
    root = scipy.linalg.sqrtm((sigma1 @ sigma2).numpy())
    expected = float(sigma1.trace() + sigma2.trace()) - 2 * np.trace(root).real
    assert float(frechet_distance(torch.zeros(d), sigma1, torch.zeros(d), sigma2)) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=25)
@given(d=st.integers(1, 12), n=st.integers(2, 20), m=st.integers(2, 20), seed=st.integers(0, 10**6))
def test_laws(d, n, m, seed):
    x = torch.randn(n, d, dtype=F64, generator=generator(seed))
    y = torch.randn(m, d, dtype=F64, generator=generator(seed + 1)) * 2 + 1
    near = {"rel": 1e-7, "abs": 1e-9}
    distance = float(distance_of_features(x, y))
    turn, shift = rotation(d), torch.randn(d, dtype=F64, generator=generator(seed + 2))
    assert distance >= 0
    assert float(distance_of_features(x, x)) <= 1e-9 * float(torch.cov(x.T).trace() if d > 1 else x.var())
    assert float(distance_of_features(y, x)) == pytest.approx(distance, **near)
    assert float(distance_of_features(x @ turn + shift, y @ turn + shift)) == pytest.approx(distance, **near)
    assert float(distance_of_features(3 * x, 3 * y)) == pytest.approx(9 * distance, **near)
    assert float(distance_of_features(x[torch.randperm(n, generator=generator(seed))], y)) == pytest.approx(
        distance, **near
    )


@pytest.mark.parametrize("sigma", [torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 0.0, 0.0]))], ids=["zero", "line"])
def test_constant_pictures_are_no_trouble(sigma):
    got = frechet_distance(torch.zeros(3), sigma, torch.ones(3), torch.eye(3))
    assert float(got) == pytest.approx(6 - float(sigma.trace()), rel=1e-12)


def test_features_of_no_use_do_not_raise_the_distance():
    # Without a threshold the root turns 511 rounding errors of 1e-16 into 5e-6.
    d = 512
    line = torch.outer(rotation(d)[0], rotation(d)[0])
    got = frechet_distance(torch.zeros(d), line, torch.zeros(d), torch.eye(d))
    assert float(got) == pytest.approx(d - 1, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2), torch.eye(2), torch.zeros(3), torch.eye(3)), "two of shape"),
        ((torch.zeros(2), torch.eye(3), torch.zeros(2), torch.eye(2)), r"covariance: expected \(2, 2\)"),
        ((torch.zeros(2), torch.eye(2) * float("nan"), torch.zeros(2), torch.eye(2)), "NaN or infinity"),
        ((torch.tensor([0.0, float("inf")]), torch.eye(2), torch.zeros(2), torch.eye(2)), "NaN or infinity"),
        ((torch.zeros(2), torch.tensor([[1.0, 0.5], [0, 1]]), torch.zeros(2), torch.eye(2)), "symmetric"),
        ((torch.zeros(2), torch.diag(torch.tensor([1.0, -1])), torch.zeros(2), torch.eye(2)), "negative eigenvalue"),
    ],
)
def test_wrong_use_is_caught(arguments, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(*arguments)


@pytest.mark.parametrize(
    "features", [torch.zeros(1, 4), torch.zeros(4), torch.zeros(0, 4)], ids=["one", "axes", "none"]
)
def test_one_picture_is_no_set(features):
    with pytest.raises(ValueError, match="n >= 2"):
        distance_of_features(features, torch.zeros(3, 4))
