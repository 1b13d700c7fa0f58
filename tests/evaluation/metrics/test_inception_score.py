import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric

from evaluation.metrics import InceptionScore, SmallSampleWarning
from evaluation.metrics.inception_score import inception_score, split_scores
from evaluation.metrics.uncertainty import resampling_counts
from evaluation.protocols import sprites

FEW = dataclasses.replace(sprites.INCEPTION_SCORE, classes=5, replicates=50)


def logits(n: int, v: int = 5, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(n, v, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("splits", [1, 3, 10])
@pytest.mark.parametrize("n", [100, 107])
def test_second_opinion_torch_fidelity(n, splits, shuffle):
    protocol = dataclasses.replace(FEW, splits=splits, shuffle=shuffle)
    expected = isc_features_to_metric(logits(n), splits=splits, shuffle=shuffle, rng_seed=protocol.seed)
    scores = split_scores(logits(n), protocol)
    assert scores.mean() == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert scores.std(ddof=protocol.ddof) == pytest.approx(expected["inception_score_std"], rel=1e-9)


def test_pictures_of_every_class_score_the_number_of_classes():
    sure = 1000 * torch.eye(5).repeat(20, 1)  # probabilities of exactly 0 and 1
    assert split_scores(sure, dataclasses.replace(FEW, shuffle=False)) == pytest.approx([5.0] * 10)


def test_pictures_that_say_nothing_score_one():
    assert split_scores(torch.zeros(100, 5), FEW) == pytest.approx([1.0] * 10)


def test_order_is_part_of_the_number():
    in_order = 1000 * torch.eye(5).repeat_interleave(20, 0)
    protocol = dataclasses.replace(FEW, shuffle=False)
    assert split_scores(in_order, protocol).mean() == pytest.approx(1.0)
    assert split_scores(in_order, FEW).mean() > 3


@settings(max_examples=30)
@given(n=st.integers(20, 60), seed=st.integers(0, 999))
def test_bounds(n, seed):
    protocol = dataclasses.replace(FEW, splits=4)
    estimate = inception_score(logits(n, seed=seed), protocol)
    assert 1 <= estimate.ci95[0] <= estimate.value <= estimate.ci95[1] <= 5
    assert estimate.n == n


def test_replicates_are_scores_of_resampled_splits():
    protocol = dataclasses.replace(FEW, splits=1, shuffle=False)
    estimate = inception_score(logits(100), protocol)
    counts = resampling_counts(100, 50, protocol.interval_seed, "split 0").astype(int)
    drawn = [logits(100)[np.repeat(np.arange(100), row)] for row in counts]
    expected = [float(split_scores(sample, protocol).mean()) for sample in drawn]
    np.testing.assert_allclose(estimate.replicates, expected, rtol=1e-10)


def test_metric_is_the_function():
    metric = InceptionScore(FEW)
    for part in logits(100).split(9):
        metric.update(part)
    assert float(metric.compute()) == pytest.approx(inception_score(logits(100), FEW).value, rel=1e-12)


def test_small_splits_are_warned_about():
    with pytest.warns(SmallSampleWarning, match="40 pictures in 10 splits for 5 classes"):
        inception_score(logits(40), FEW)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(0, 5), "got an empty set"),
        (torch.zeros(1, 5), "got one"),
        (torch.zeros(19, 5), "expected at least 20 pictures for 10 splits, got 19"),
    ],
)
def test_too_few_pictures(values, message):
    with pytest.raises(ValueError, match=message):
        inception_score(values, FEW)


@pytest.mark.parametrize(
    "values", [torch.zeros(20, 4), torch.full((20, 5), torch.inf), torch.zeros(5)], ids=["width", "infinite", "axes"]
)
def test_wrong_logits(values):
    with pytest.raises(ValueError, match="class logits: expected"):
        InceptionScore(FEW).update(values)
