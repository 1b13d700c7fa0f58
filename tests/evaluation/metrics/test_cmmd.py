import dataclasses

import numpy as np
import pytest
import torch

from evaluation.metrics import CMMD, SmallSampleWarning
from evaluation.metrics import cmmd as module
from evaluation.metrics.cmmd import cmmd
from evaluation.metrics.uncertainty import resampling_counts
from evaluation.protocols import google_research

NARROW = dataclasses.replace(google_research.CMMD, width=6, replicates=50)

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def sets(n: int = 60, m: int = 50, shift: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, 6, generator=g) + shift, torch.randn(m, 6, generator=g)


def by_definition(generated: torch.Tensor, real: torch.Tensor) -> float:
    """google-research/cmmd/distance.py in float64."""
    x, y = (torch.nn.functional.normalize(side.double(), dim=1).numpy() for side in (generated, real))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.square(a[:, None] - b[None]).sum(2) / (2 * 10**2)).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.parametrize("shift", [0.0, 0.1, 3.0])
def test_it_is_the_definition(shift):
    assert cmmd(*sets(shift=shift), NARROW).value == pytest.approx(by_definition(*sets(shift=shift)), rel=1e-9)


def test_two_opposite_points_have_a_closed_form():
    x = torch.tensor([[1.0, 0, 0, 0, 0, 0]]).repeat(4, 1)
    expected = 1000 * (2 - 2 * np.exp(-4 / 200))
    assert cmmd(x, -x, NARROW).value == pytest.approx(expected, rel=1e-12)


def test_the_same_set_scores_nothing():
    estimate = cmmd(sets()[0], sets()[0], NARROW)
    assert estimate.value == 0.0
    assert estimate.ci95[0] == 0.0


def test_length_does_not_matter():
    generated, real = sets()
    assert cmmd(3 * generated, real / 7, NARROW).value == pytest.approx(cmmd(generated, real, NARROW).value, rel=1e-6)


def test_kernels_in_parts_give_the_same(monkeypatch):
    whole = cmmd(*sets(), NARROW)
    monkeypatch.setattr(module, "_CELLS", 130)  # two or three rows at a time
    parts = cmmd(*sets(), NARROW)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    np.testing.assert_allclose(parts.replicates, whole.replicates, rtol=1e-9)


def test_replicates_are_distances_of_resampled_sets():
    estimate = cmmd(*sets(), NARROW)
    drawn = [
        [np.repeat(np.arange(len(side)), row) for row in resampling_counts(len(side), 50, 2020, stream).astype(int)]
        for side, stream in zip(sets(), ("generated", "reference"), strict=True)
    ]
    expected = [by_definition(sets()[0][a], sets()[1][b]) for a, b in zip(*drawn, strict=True)]
    np.testing.assert_allclose(estimate.replicates, expected, rtol=1e-9)


def test_metric_is_the_function():
    metric = CMMD(NARROW)
    for part in sets()[0].split(7):
        metric.update(part, real=False)
    metric.update(sets()[1], real=True)
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.n, estimate.higher_is_better) == ("CMMD", 60, False)
    assert float(metric.compute()) == pytest.approx(estimate.value, rel=1e-12) == cmmd(*sets(), NARROW).value


def test_few_pictures_are_warned_about():
    with pytest.warns(SmallSampleWarning, match="60 generated and 50 real pictures"):
        cmmd(*sets(), NARROW)


@pytest.mark.parametrize(
    ("generated", "message"),
    [
        (torch.zeros(9, 6), "embeddings: expected vectors with a direction"),
        (torch.ones(9, 5), r"embeddings: expected \(b, 6\)"),
        (torch.full((9, 6), torch.nan), "NaN or infinity"),
    ],
)
def test_wrong_embeddings(generated, message):
    with pytest.raises(ValueError, match=message):
        cmmd(generated, sets()[1], NARROW)
