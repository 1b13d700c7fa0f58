"""Use of a codebook: closed forms, and an interval that covers what other samples would use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.metrics import CodebookUsage
from evaluation.metrics.codebook import codebook_usage, distinct_interval
from evaluation.metrics.uncertainty import wilson_interval

V, N, S = 64, 60, 8


def tokens(seed: int) -> np.ndarray:
    """Tokens (N, S) of samples of a few kinds, each of which prefers its own codes."""
    world, draws = np.random.default_rng(99), np.random.default_rng(seed)
    kinds = world.dirichlet(np.full(V, 0.3), size=12)
    return np.stack([draws.choice(V, S, p=kinds[kind]) for kind in draws.integers(12, size=N)])


def test_closed_forms() -> None:
    share, perplexity = codebook_usage(torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]]), 8)
    assert (share.value, share.n) == (0.5, 4)
    assert perplexity.value == pytest.approx(4)


def test_codes_count_as_trials_where_samples_vary_little() -> None:
    """No code hangs on a single sample, so the jackknife sees no spread."""
    assert distinct_interval(np.array([[0, 1], [0, 1], [2, 3], [2, 3]]), 8) == wilson_interval(0.5, 8)


def test_codes_count_less_where_samples_stand_for_many() -> None:
    """One of four samples holds 4 of the 5 codes in use: lost 4, 0, 0, 0, spread 12, variance 3/4 · 12 / 10²."""
    rows = np.array([[1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert distinct_interval(rows, 10) == pytest.approx(wilson_interval(0.5, 0.25 / (0.75 * 12 / 100)))


def test_the_interval_covers_what_other_samples_use() -> None:
    sets = [tokens(seed) for seed in range(400)]
    shares = [len(np.unique(each)) / V for each in sets]
    intervals = [distinct_interval(each, V) for each in sets]
    assert all(low <= share <= high for share, (low, high) in zip(shares, intervals, strict=True))
    expected = np.mean(shares)
    covered = np.mean([low <= expected <= high for low, high in intervals])
    assert 0.93 < covered < 0.995


def test_perplexity_lies_in_its_interval() -> None:
    _, perplexity = codebook_usage(torch.from_numpy(tokens(0)), V)
    assert perplexity.ci95[0] < perplexity.value < perplexity.ci95[1]


def test_another_grid_is_refused() -> None:
    metric = CodebookUsage(8)
    metric.update(torch.zeros(2, 1, 2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="expected 4 tokens a sample as before, got 9"):
        metric.update(torch.zeros(2, 1, 3, 3, dtype=torch.int64))
