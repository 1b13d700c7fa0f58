import dataclasses

import numpy as np
import pytest
import torch

from evaluation.metrics import FDInfinity, SmallSampleWarning
from evaluation.metrics.fd_infinity import fd_infinity, fit, sizes
from evaluation.metrics.frechet import distance_of_features
from evaluation.protocols import dgm, ttur

NARROW = dataclasses.replace(dgm.FD_INFINITY, width=8, replicates=40)


def sets(n: int = 2000, m: int = 3000, d: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g, dtype=torch.float64), torch.randn(m, d, generator=g, dtype=torch.float64)


@pytest.mark.parametrize(
    ("n", "protocol", "ends"),
    [
        (50_000, ttur.FD_INFINITY, (5_000, 50_000)),
        (50_000, dgm.FD_INFINITY, (5_000, 50_000)),
        (600, dgm.FD_INFINITY, (60, 600)),
    ],
)
def test_numbers_of_pictures_are_those_of_the_original(n, protocol, ends):
    expected = np.linspace(*ends, 15).astype("int32")
    np.testing.assert_array_equal(sizes(n, protocol), expected)


def test_it_is_the_line_through_the_distances():
    generated, real = sets()
    line = fit(generated, real, NARROW)
    random = np.random.RandomState(NARROW.seed)
    expected = [float(distance_of_features(generated[random.permutation(2000)[:n]], real)) for n in line.numbers]
    np.testing.assert_allclose(line.distances, expected, rtol=1e-9)
    design = np.stack([np.ones(15), 1 / line.numbers], 1)
    (intercept, slope), *_ = np.linalg.lstsq(design, np.array(expected), rcond=None)
    assert (line.intercept, line.slope) == pytest.approx((intercept, slope), rel=1e-6)


def test_the_bias_of_few_pictures_is_taken_out():
    """Both sides are of one distribution: what is left of the distance is the bias of the reference alone."""
    generated, real = sets(2000, 40_000)
    infinite, slope = fd_infinity(generated, real, NARROW)
    all_of_them = float(distance_of_features(generated, real))
    assert abs(infinite.value) < 0.3 * all_of_them
    assert slope.value > 0
    assert slope.value == pytest.approx(2000 * all_of_them, rel=0.4)
    assert infinite.ci95[0] < 0 < infinite.ci95[1]


def test_estimates_say_what_they_are():
    infinite, slope = fd_infinity(*sets(), NARROW)
    assert (infinite.name, slope.name) == ("FD∞", "FD∞ slope")
    for estimate in (infinite, slope):
        assert estimate.protocol == "fd-infinity@dgm-1"
        assert estimate.n == 2000
        assert len(estimate.replicates) == 40
        assert estimate.ci95[0] < estimate.value < estimate.ci95[1]
        assert not estimate.higher_is_better


def test_it_is_seeded():
    assert fit(*sets(), NARROW).intercept == fit(*sets(), NARROW).intercept
    assert fit(*sets(), NARROW).intercept != fit(*sets(), dataclasses.replace(NARROW, seed=1)).intercept


def test_metric_is_the_function():
    metric = FDInfinity(NARROW)
    for part in sets()[0].split(300):
        metric.update(part, real=False)
    metric.update(sets()[1], real=True)
    assert float(metric.compute()) == pytest.approx(fit(*sets(), NARROW).intercept, rel=1e-3, abs=1e-6)


def test_fewer_pictures_than_features_are_warned_about():
    with pytest.warns(SmallSampleWarning, match="6 generated pictures for 8 features"):
        fd_infinity(sets(6)[0], sets()[1], NARROW)


@pytest.mark.parametrize(
    ("n", "protocol", "message"),
    [
        (5_000, ttur.FD_INFINITY, "expected more than 5,000 generated pictures, got 5,000; 'dgm' starts at a tenth"),
        (2, dgm.FD_INFINITY, "expected more than 2 generated pictures, got 2"),
    ],
)
def test_too_few_pictures(n, protocol, message):
    with pytest.raises(ValueError, match=message):
        sizes(n, protocol)
