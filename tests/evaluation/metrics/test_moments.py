import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics.moments import Moments, merge_packed


def features(n: int, d: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("ddof", [0, 1])
def test_second_opinion_numpy(ddof):
    x = features(40)
    moments = Moments.of(x)
    np.testing.assert_allclose(moments.mean, x.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance(ddof), np.cov(x.numpy(), rowvar=False, ddof=ddof), rtol=1e-12)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_any_split_gives_the_same(sizes, seed):
    x = features(sum(sizes) + 1, seed=seed)
    parts = x.split([*sizes, 1])
    merged = merge_packed(torch.stack([Moments.of(part).pack() for part in parts]))
    backwards = merge_packed(torch.stack([Moments.of(part).pack() for part in reversed(parts)]))
    torch.testing.assert_close(merged, Moments.of(x).pack(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(merged, backwards, rtol=1e-10, atol=1e-10)


def test_an_empty_part_adds_nothing():
    packed, nothing = Moments.of(features(7)).pack(), torch.zeros(7, 5, dtype=torch.float64)
    torch.testing.assert_close(merge_packed(torch.stack([nothing, packed, nothing])), packed, rtol=1e-15, atol=0)


def test_features_far_from_zero_lose_no_digits():
    x = features(600)
    far = merge_packed(torch.stack([Moments.of(part + 1e6).pack() for part in x.split(50)]))
    torch.testing.assert_close(Moments.unpack(far).covariance(), torch.cov(x.T), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3), r"expected \(b, d\)"),
        (torch.zeros(0, 3), "b, d >= 1"),
        (torch.tensor([[1.0, float("nan")]]), "NaN or infinity"),
        (torch.tensor([[1.0, float("inf")]]), "NaN or infinity"),
    ],
)
def test_wrong_use_is_caught(values, message):
    with pytest.raises(ValueError, match=message):
        Moments.of(values)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        Moments.of(features(1)).covariance()
