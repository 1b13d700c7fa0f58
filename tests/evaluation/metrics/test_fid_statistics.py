import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.metrics import SmallSampleWarning
from evaluation.metrics.fid import fid
from evaluation.metrics.fid_statistics import fid_to_statistics
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.protocols import ttur

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.SmallSampleWarning")


def protocol(width, **changes):
    return dataclasses.replace(ttur.FID, width=width, replicates=40, **changes)


def features(n, width, seed=0, scale=1.0):
    return scale * torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + seed


def statistics(values, ddof=1):
    return SimpleNamespace(mean=values.mean(0), covariance=values.T.cov(correction=ddof))


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize(("n", "m", "width"), [(200, 300, 8), (30, 400, 64), (30, 20, 64), (2, 3, 8)])
def test_it_is_the_fid_of_the_pictures_behind_the_statistics(n, m, width, ddof):
    ours, theirs = features(n, width), features(m, width, 1, 1.5)
    found = fid_to_statistics(ours, statistics(theirs, ddof), protocol(width, ddof=ddof))
    expected = fid(ours, theirs, protocol(width, ddof=ddof))
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert (found.name, found.protocol, found.n) == (expected.name, expected.protocol, n)


@pytest.mark.parametrize(("n", "m", "width"), [(200, 300, 8), (30, 400, 64), (30, 20, 64)])
def test_replicates_are_those_of_the_bootstrap(n, m, width):
    """The same draws of the generated side, the real one as it is."""
    ours, theirs = features(n, width), features(m, width, 1, 1.5)
    found = fid_to_statistics(ours, statistics(theirs), protocol(width))
    expected = bootstrap_frechet(ours, theirs, replicates=40, seed=ttur.FID.interval_seed, resampled="generated")
    np.testing.assert_allclose(found.replicates, expected, rtol=1e-6)
    assert found.ci95[0] < found.value < found.ci95[1]


def test_the_last_batch_is_left_out_where_the_protocol_says_so():
    ours, theirs = features(70, 8), features(50, 8, 1)
    whole = fid_to_statistics(ours[:64], statistics(theirs), protocol(8))
    found = fid_to_statistics(ours, statistics(theirs), protocol(8, drop_last_of=64))
    assert (found.value, found.n) == (pytest.approx(whole.value), 64)


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence"),
    [
        (features(20, 8), features(20, 9), "expected statistics of 8 features, got 9"),
        (features(20, 9), features(20, 8), r"features: expected \(b, 8\)"),
        (features(1, 8), features(20, 8), "generated pictures: expected at least 2, got one"),
        (features(20, 8) * torch.nan, features(20, 8), "NaN or infinity"),
    ],
)
def test_wrong_use(ours, theirs, sentence):
    with pytest.raises(ValueError, match=sentence):
        fid_to_statistics(ours, statistics(theirs), protocol(8))


def test_few_pictures_are_said():
    with pytest.warns(SmallSampleWarning, match="30 generated pictures for 64 features"):
        fid_to_statistics(features(30, 64), statistics(features(99, 64)), protocol(64))
