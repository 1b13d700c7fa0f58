import dataclasses

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import poly_mmd

from evaluation.metrics import KID, SmallSampleWarning
from evaluation.metrics.kid import kid, polynomial_mmd2, subsets
from evaluation.protocols import clean, sprites, torchmetrics_aa, ttur

NARROW = dataclasses.replace(ttur.KID, width=8, subsets=10, subset_size=30, replicates=50)

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def sets(n: int = 60, m: int = 50, d: int = 8, shift: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=g, dtype=torch.float64), torch.randn(m, d, generator=g, dtype=torch.float64)
    return x + shift, y


def test_second_opinion_torch_fidelity():
    expected = kid_features_to_metric(*sets(), kid_subsets=10, kid_subset_size=30, rng_seed=2020, verbose=False)
    assert kid(*sets(), NARROW).value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-10)


def test_second_opinion_torchmetrics_on_the_same_subsets():
    generated, real = sets()
    rows = list(subsets(60, 50, NARROW))
    expected = np.mean([float(poly_mmd(real[columns], generated[these])) for these, columns in rows])
    assert kid(generated, real, NARROW).value == pytest.approx(expected, rel=1e-10)


def test_it_is_the_mean_over_pairs_of_different_pictures():
    x, y = sets(7, 5, 3)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = [np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)]
    between = np.mean([kernel(a, b) for a in x for b in y])
    protocol = dataclasses.replace(NARROW, width=3)
    assert float(polynomial_mmd2(x, y, protocol)) == pytest.approx(sum(within) - 2 * between, rel=1e-12)


def test_alike_sets_score_around_zero():
    estimate = kid(*sets(400, 400, shift=0.0), dataclasses.replace(NARROW, subset_size=200))
    assert estimate.ci95[0] < 0 < estimate.ci95[1]
    far = kid(*sets(400, 400, shift=0.3), dataclasses.replace(NARROW, subset_size=200))
    assert far.ci95[0] > 0


def test_the_interval_is_about_as_wide_as_the_spread_over_other_samples():
    protocol = dataclasses.replace(NARROW, subsets=20, subset_size=100, replicates=200)
    g = torch.Generator().manual_seed(0)
    draws = [(torch.randn(200, 8, generator=g) + 0.5, torch.randn(200, 8, generator=g)) for _ in range(40)]
    found = [kid(*draw, dataclasses.replace(protocol, replicates=2)).value for draw in draws]
    estimate = kid(*draws[0], protocol)
    width = (estimate.ci95[1] - estimate.ci95[0]) / 3.92
    assert 0.6 < width / np.std(found) < 1.6


@pytest.mark.parametrize("seed", [2020, 7])
def test_subsets_are_seeded(seed):
    protocol = dataclasses.replace(NARROW, seed=seed)
    assert kid(*sets(), protocol).value == kid(*sets(), protocol).value
    assert kid(*sets(), protocol).value != kid(*sets(), dataclasses.replace(NARROW, seed=1)).value


def test_torchmetrics_draws_as_its_own_code_does():
    protocol = dataclasses.replace(torchmetrics_aa.KID, subsets=2, subset_size=3)
    torch.manual_seed(protocol.seed)
    expected = [torch.randperm(n)[:3] for n in (9, 5, 9, 5)]  # real, generated, real, generated
    drawn = [rows for generated, real in subsets(5, 9, protocol) for rows in (real, generated)]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(drawn, expected, strict=True))


def test_few_pictures_shrink_the_subsets_where_the_tool_does_so():
    protocol = dataclasses.replace(clean.KID, width=8, subsets=3)
    assert [(len(a), len(b)) for a, b in subsets(60, 50, protocol)] == [(50, 50)] * 3
    assert len(list(subsets(50, 50, protocol))) == 1  # every subset is all of them
    with pytest.warns(SmallSampleWarning, match="subsets of 50 pictures"):
        kid(*sets(), protocol)


def test_metric_is_the_function():
    metric = KID(NARROW)
    for part in sets()[0].split(7):
        metric.update(part, real=False)
    metric.update(sets()[1], real=True)
    assert float(metric.compute()) == pytest.approx(kid(*sets(), NARROW).value, rel=1e-5)  # it keeps float32


@pytest.mark.parametrize(
    ("n", "m", "protocol", "message"),
    [
        (20, 50, NARROW, r"kid@ttur-1: expected at least 30 pictures a side for its subsets, got 20 and 50; .*'clean'"),
        (0, 50, sprites.KID, "generated pictures: expected at least 2, got an empty set"),
        (50, 1, sprites.KID, "real pictures: expected at least 2, got one"),
    ],
)
def test_too_few_pictures(n, m, protocol, message):
    with pytest.raises(ValueError, match=message):
        kid(*sets(n, m), protocol)


def test_wrong_features():
    with pytest.raises(ValueError, match=r"features: expected \(b, 8\)"):
        kid(torch.zeros(40, 7), torch.zeros(40, 8), NARROW)
