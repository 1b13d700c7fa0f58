"""Means over seeds and samples and their paired differences, beside scipy and statsmodels where those know the case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests

from evaluation.ablations.statistics import difference, holm, mean_over

NUMBERS = st.floats(-100, 100, width=32)
SEEDS = arrays(np.float64, st.integers(2, 6), elements=NUMBERS)


def still(values: np.ndarray, r: int = 20) -> np.ndarray:
    """Replicates of a number that does not depend on the samples."""
    return np.repeat(np.asarray(values)[:, None], r, axis=1)


@given(SEEDS)
def test_without_samples_it_is_students_interval(values: np.ndarray) -> None:
    found = mean_over(values, still(values))
    expected = stats.ttest_1samp(values + 0.0, 0).confidence_interval() if np.ptp(values) else None
    low, high = (values[0], values[0]) if expected is None else expected
    assert found.ci95 == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.ci95_seeds == pytest.approx(found.ci95)
    assert found.ci95_samples == pytest.approx((found.value, found.value), abs=1e-6)


def test_without_seeds_it_is_the_normal_interval_of_the_replicates() -> None:
    drawn = np.random.default_rng(0).normal(3.0, 0.5, size=100_000)
    found = mean_over([3.0, 3.0], np.stack([drawn, drawn]))
    assert found.ci95 == pytest.approx((3 - 1.96 * 0.5, 3 + 1.96 * 0.5), abs=0.01)
    assert found.ci95 == found.ci95_samples


def test_one_seed_says_nothing_of_others() -> None:
    found = mean_over([3.0], np.random.default_rng(0).normal(3.0, 0.5, size=(1, 1000)))
    assert found.ci95_seeds is None
    assert found.ci95 == found.ci95_samples


@given(SEEDS, st.data())
def test_a_difference_without_samples_is_the_paired_t_test(values: np.ndarray, data: st.DataObject) -> None:
    first = data.draw(arrays(np.float64, len(values), elements=NUMBERS))
    found = difference(values, still(values), first, still(first))
    if np.ptp(values - first) < 1e-3:
        return  # scipy warns that nothing moves; the test below has that case
    expected = stats.ttest_rel(values, first)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval()), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("gap", "p_value"), [(0.0, 1.0), (0.5, 1e-15)])
def test_where_nothing_moves_a_difference_is_certain(gap: float, p_value: float) -> None:
    first = np.array([1.0, 2.0])
    assert difference(first + gap, still(first + gap), first, still(first)).p_value == p_value


def test_pairing_removes_what_both_have_in_common() -> None:
    rng = np.random.default_rng(0)
    shared, luck = rng.normal(0, 5, 200), rng.normal(0, 5, 3)
    first = luck
    better = luck - 1 + rng.normal(0, 0.05, 3)
    drawn = shared + first[:, None]
    drawn_better = shared + better[:, None] + rng.normal(0, 0.02, (3, 200))
    found = difference(better, drawn_better, first, drawn)
    assert found.p_value < 0.01
    assert -1.2 < found.ci95[0] < -1 < found.ci95[1] < -0.8
    unpaired = mean_over(better, drawn_better).ci95
    assert unpaired[1] - unpaired[0] > 10 * (found.ci95[1] - found.ci95[0])


@given(SEEDS, st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-50, 50))
def test_intervals_move_and_stretch_with_the_numbers(values: np.ndarray, seed: int, scale: float, shift: float) -> None:
    drawn = values[:, None] + np.random.default_rng(seed).normal(size=(len(values), 30))
    found, moved = mean_over(values, drawn), mean_over(scale * values + shift, scale * drawn + shift)
    assert moved.ci95 == pytest.approx(tuple(scale * edge + shift for edge in found.ci95), rel=1e-6, abs=1e-6)
    order = np.random.default_rng(seed).permutation(len(values))
    assert mean_over(values[order], drawn[order]).ci95 == pytest.approx(found.ci95, rel=1e-9, abs=1e-9)
    assert found.ci95[0] <= found.ci95_samples[0] + 1e-9
    assert found.ci95[1] >= found.ci95_samples[1] - 1e-9


def test_intervals_are_cut_to_what_a_number_can_be() -> None:
    values = np.array([0.9, 0.99])
    assert mean_over(values, still(values), 0.0, 1.0).ci95 == (pytest.approx(0.3732, abs=1e-3), 1.0)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_95_of_100_intervals_hold_the_truth(k: int, share: float) -> None:
    """Trainings and samples drawn anew each time; ``share`` is that of the samples in the variance of the mean."""
    rng, held, times = np.random.default_rng(0), 0, 2000
    of_samples, of_seeds = math.sqrt(share), math.sqrt((1 - share) * k)
    for _ in range(times):
        values = rng.normal(0, of_seeds, k) + rng.normal(0, of_samples)
        drawn = values[:, None] + rng.normal(0, of_samples, 100)
        low, high = mean_over(values, drawn).ci95
        held += low <= 0 <= high
    assert held / times > 0.935  # of 2,000 draws one in 500 falls below that by chance where 95% are right
    assert share not in (0.0, 1.0) or held / times < 0.965  # with one of the two alone it is exact


@given(SEEDS, st.integers(0, 2**31))
def test_a_p_value_below_5_percent_is_an_interval_without_nought(values: np.ndarray, seed: int) -> None:
    drawn = values[:, None] + np.random.default_rng(seed).normal(size=(len(values), 30))
    found = difference(values, drawn, np.zeros_like(values), np.zeros_like(drawn))
    low, high = found.ci95
    if min(abs(low), abs(high)) > 1e-6:
        assert (found.p_value < 0.05) == (low > 0 or high < 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


@pytest.mark.parametrize(
    ("values", "replicates", "says"),
    [
        ([1.0, 2.0], np.zeros((3, 5)), "expected values"),
        ([], np.zeros((0, 5)), "expected values"),
        ([1.0], np.zeros((1, 1)), "r >= 2"),
        ([math.nan], np.zeros((1, 5)), "finite"),
        ([1.0], np.full((1, 5), math.inf), "finite"),
    ],
)
def test_what_is_no_grid_of_seeds_is_refused(values: list[float], replicates: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        mean_over(values, replicates)


def test_other_seeds_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match=r"equal numbers of seeds and replicates, got \(2, 5\) and \(3, 5\)"):
        difference([1, 2], np.zeros((2, 5)), [1, 2, 3], np.zeros((3, 5)))
