import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import uncertainty
from evaluation.metrics.uncertainty import (
    bootstrap_means,
    centred_interval,
    clustered_wilson,
    paired_difference,
    resampling_counts,
    wilson_interval,
)


def test_each_replicate_draws_n_samples():
    counts = resampling_counts(50, 400, seed=1)
    assert counts.shape == (400, 50)
    assert (counts.sum(1) == 50).all()
    assert counts.var() == pytest.approx(0.98, rel=0.05)  # multinomial: 1 − 1/n


def test_draws_belong_to_seed_and_stream():
    golden = [[1, 0, 2, 2, 1, 0], [2, 0, 1, 0, 2, 1]]  # resampling_counts(6, 2, seed=1).astype(int).tolist()
    assert resampling_counts(6, 2, seed=1).tolist() == golden
    assert resampling_counts(6, 9, seed=1)[:2].tolist() == golden
    assert not np.array_equal(resampling_counts(99, 2, seed=1), resampling_counts(99, 2, seed=2))
    assert not np.array_equal(resampling_counts(99, 2, seed=1), resampling_counts(99, 2, seed=1, stream="other"))


def test_second_opinion_bootstrap_of_a_mean():
    values = np.random.default_rng(0).gamma(2.0, size=200)
    ours = centred_interval(values.mean(), bootstrap_means(values, 4000, seed=1))
    result = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    )
    np.testing.assert_allclose(ours, result.confidence_interval, atol=0.03)


def test_ratio_of_sums():
    values, weights = np.array([0.0, 1.0, 0.5]), np.array([1.0, 3.0, 2.0])
    counts = resampling_counts(3, 5, seed=2)
    expected = (counts @ (values * weights)) / (counts @ weights)
    np.testing.assert_allclose(bootstrap_means(values, 5, seed=2, weights=weights), expected)


@given(value=st.floats(-10, 10), replicates=st.lists(st.floats(-100, 100), min_size=2, max_size=30), wide=st.booleans())
def test_interval_holds_its_value(value, replicates, wide):
    low, high = centred_interval(value, replicates) if wide else centred_interval(value, replicates, low=value)
    assert low <= value <= high


@pytest.mark.parametrize("outlier", [-1e6, 1e6])
def test_interval_holds_its_value_beside_an_outlier(outlier):
    # one replicate in a hundred moves the mean past all others
    low, high = centred_interval(3.0, [outlier, *np.linspace(0, 1, 99)])
    assert low <= 3.0 <= high


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (1, 1000), (500, 1000)])
def test_second_opinion_wilson(successes, n):
    expected = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(successes / n, n), expected, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_clustered_interval_holds_its_share(trials):
    correct, total = np.array([min(a, b) for a, b in trials]), np.array([b for _, b in trials])
    if not total.sum():
        return
    low, high = clustered_wilson(correct, total)
    assert 0 <= low <= correct.sum() / total.sum() <= high <= 1


def test_single_trials_give_wilsons_interval():
    correct = np.array([1, 0, 1, 1, 0, 1, 1])
    assert clustered_wilson(correct, np.ones(7)) == pytest.approx(wilson_interval(5 / 7, 7))


def test_trials_that_fall_together_count_once():
    correct = np.array([3, 0, 3, 3, 0, 3, 3])
    assert clustered_wilson(correct, np.full(7, 3)) == pytest.approx(wilson_interval(5 / 7, 7))


def test_paired_noise_cancels():
    noise = np.random.default_rng(0).normal(size=500)
    values, better = noise + 1, noise + 1.05
    apart = [bootstrap_means(v, 500, seed=1) for v in (better, values)]
    sure = paired_difference(better.mean(), values.mean(), *apart)
    assert sure.value == pytest.approx(0.05)
    assert sure.ci95 == pytest.approx((0.05, 0.05))
    assert sure.p_value == pytest.approx(1 / 501)


def test_no_difference_has_p_value_one():
    replicates = bootstrap_means(np.arange(20.0), 50, seed=1)
    same = paired_difference(9.5, 9.5, replicates, replicates)
    assert (same.value, same.ci95, same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_p_values_are_uniform_where_there_is_nothing():
    rng = np.random.default_rng(0)
    p_values = []
    for seed in range(200):
        a, b = rng.normal(size=(2, 60))
        replicates = (bootstrap_means(v, 200, seed) for v in (a, b))
        p_values.append(paired_difference(a.mean(), b.mean(), *replicates).p_value)
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resampling_counts(1, 10, 0), "at least 2 samples"),
        (lambda: resampling_counts(10, 1, 0), "at least 2 samples and replicates"),
        (lambda: wilson_interval(1.5, 10), r"share in \[0, 1\]"),
        (lambda: clustered_wilson([0], [0]), "at least one trial"),
        (lambda: paired_difference(1, 2, np.zeros(3), np.zeros(4)), "replicates of equal number"),
    ],
)
def test_wrong_use_is_caught(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_own_category_of_warning():
    assert issubclass(uncertainty.SmallSampleWarning, UserWarning)
