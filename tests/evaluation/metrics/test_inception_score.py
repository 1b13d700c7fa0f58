import dataclasses
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric

from evaluation.metrics import InceptionScore, SmallSampleWarning, SortedWarning
from evaluation.metrics.inception_score import inception_score, split_scores
from evaluation.metrics.uncertainty import resampling_counts
from evaluation.protocols import adm, cogview, sg2ada, sprites, torchmetrics_aa

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


@pytest.mark.parametrize(
    ("protocol", "n", "expected"),
    [
        (sg2ada.INCEPTION_SCORE, 23, [0, 2, 4, 6, 9, 11, 13, 16, 18, 20, 23]),
        (torchmetrics_aa.INCEPTION_SCORE, 23, [0, 3, 6, 9, 12, 15, 18, 21, 23]),  # eight chunks for ten asked for
        (adm.INCEPTION_SCORE, 12_000, [0, 5_000, 10_000, 12_000]),
        (adm.INCEPTION_SCORE, 10_000, [0, 5_000, 10_000]),
        (cogview.INCEPTION_SCORE, 23, [0, 23]),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_splits_are_those_of_the_tool(protocol, n, expected):
    assert protocol.edges(n) == expected


def test_chunks_are_torchs():
    protocol = dataclasses.replace(torchmetrics_aa.INCEPTION_SCORE, splits=7)
    for n in range(14, 60):
        assert np.diff(protocol.edges(n)).tolist() == [len(part) for part in torch.arange(n).chunk(7)]


def test_spread_over_splits_has_the_ddof_of_the_protocol():
    protocol = dataclasses.replace(torchmetrics_aa.INCEPTION_SCORE, classes=5, splits=4)
    torch.manual_seed(protocol.seed)
    parts = logits(40)[torch.randperm(40)].chunk(4)
    expected = [float(split_scores(part, dataclasses.replace(FEW, splits=1, shuffle=False)).item()) for part in parts]
    np.testing.assert_allclose(split_scores(logits(40), protocol), expected, rtol=1e-12)
    assert (protocol.ddof, sprites.INCEPTION_SCORE.ddof) == (1, 0)


class TestSorted:
    LOGITS = 5 * torch.eye(5).repeat_interleave(40, 0) + logits(200, seed=1) / 3
    AS_THEY_COME = dataclasses.replace(FEW, shuffle=False)

    def test_sorted_classes_are_warned_about_with_both_scores(self):
        with pytest.warns(SortedWarning, match=r"in this order they score 1\.\d\d, mixed [34]\.\d\d; mix them"):
            inception_score(self.LOGITS, self.AS_THEY_COME)

    @pytest.mark.parametrize(
        ("values", "protocol"),
        [
            (LOGITS, FEW),  # shuffled by the protocol
            (LOGITS, dataclasses.replace(AS_THEY_COME, splits=1)),  # one split has no order
            (LOGITS[torch.randperm(200, generator=torch.Generator().manual_seed(0))], AS_THEY_COME),
            (logits(60), AS_THEY_COME),
        ],
        ids=["shuffled", "one split", "mixed", "small"],
    )
    def test_nothing_else_is(self, values, protocol):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert inception_score(values, protocol).value >= 1


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
