import numpy as np
import pytest
import torch

from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.uncertainty import centred_interval, resampling_counts


def sets(n: int, m: int, d: int, shift: float = 0.5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    scale = torch.linspace(2, 0.1, d)
    return torch.randn(n, d, generator=g) * scale + shift * scale, torch.randn(m, d, generator=g) * scale


@pytest.mark.parametrize("resampled", ["both", "generated"])
@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize(("n", "m", "d"), [(50, 70, 10), (50, 70, 100), (50, 200, 100), (200, 50, 100), (60, 60, 60)])
def test_replicates_are_distances_of_resampled_sets(n, m, d, ddof, resampled):
    x, y = sets(n, m, d)
    got = bootstrap_frechet(x, y, replicates=3, seed=7, ddof=ddof, resampled=resampled)
    drawn = [resampling_counts(n, 3, 7, "generated"), resampling_counts(m, 3, 7, "reference")]
    for replicate in range(3):
        a, b = (np.repeat(np.arange(len(c[replicate])), c[replicate].astype(int)) for c in drawn)
        reference = y[b] if resampled == "both" else y
        assert got[replicate] == pytest.approx(float(distance_of_features(x[a], reference, ddof)), rel=1e-6)


def test_dead_features_are_no_trouble():
    x, y = sets(80, 90, 6)
    dead = torch.zeros(1)
    alone = bootstrap_frechet(x, y, replicates=3, seed=1)
    beside = bootstrap_frechet(
        torch.cat([x, dead.expand(80, 5)], 1), torch.cat([y, dead.expand(90, 5)], 1), replicates=3, seed=1
    )
    np.testing.assert_allclose(alone, beside, rtol=1e-6)


def test_equal_seeds_pair_two_models():
    x, y = sets(64, 64, 8)
    one, same = (bootstrap_frechet(x, y, replicates=5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, bootstrap_frechet(x, y, replicates=5, seed=4))


@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["same distribution", "shifted"])
def test_the_interval_holds_what_other_samples_give(shift):
    others = [float(distance_of_features(*sets(120, 120, 6, shift, seed))) for seed in range(1000, 1200)]
    held = 0
    for seed in range(60):
        x, y = sets(120, 120, 6, shift, seed)
        replicates = bootstrap_frechet(x, y, replicates=60, seed=seed)
        low, high = centred_interval(float(distance_of_features(x, y)), replicates, low=0)
        held += low <= np.mean(others) <= high
    assert held >= 51  # 95% of 60 is 57; fewer than 51 has a chance below 1%


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(1, 4), torch.zeros(5, 4), "features: expected .* n >= 2"),
        (torch.zeros(5, 4), torch.zeros(5, 3), r"reference: expected \(n, 4\)"),
        (torch.full((5, 4), float("nan")), torch.zeros(5, 4), "NaN or infinity"),
    ],
)
def test_wrong_use_is_caught(x, y, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_frechet(x, y, replicates=3, seed=1)


def test_rows_of_a_sample_come_in_full():
    with pytest.raises(ValueError, match="reference: expected samples of 3 rows each, got 8 rows"):
        bootstrap_frechet(*sets(9, 8, 4), replicates=3, seed=1, rows_per_sample=3)
