"""Filters against plain Python, and the inverse CDF against its law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nuwa import noise
from nuwa.sampling.filters import guide, invert_cdf, probabilities

# Multiples of a quarter, so that ties are frequent.
logit_rows = st.lists(st.integers(-24, 24).map(lambda n: n / 4), min_size=1, max_size=12)


def softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    weights = [math.exp(each - top) for each in logits]
    return [weight / math.fsum(weights) for weight in weights]


def by_hand(logits: list[float], temperature: float, top_k: int | None, top_p: float) -> list[float]:
    scaled = [each / temperature for each in logits]
    if top_k is not None:
        least = sorted(scaled, reverse=True)[:top_k][-1]
        scaled = [each if each >= least else -math.inf for each in scaled]
    p = softmax(scaled)
    if top_p < 1:
        kept: list[int] = []
        for code in sorted(range(len(p)), key=lambda code: (-p[code], code)):
            if kept and math.fsum(p[each] for each in kept) >= top_p - 1e-12:
                break
            kept.append(code)
        p = [value if code in kept else 0.0 for code, value in enumerate(p)]
        p = [value / math.fsum(p) for value in p]
    return p


@given(
    logit_rows,
    st.sampled_from([0.25, 1.0, 2.0]),
    st.none() | st.integers(1, 15),
    st.sampled_from([1.0, 0.999, 0.71, 0.33, 0.01]),
)
def test_probabilities_by_hand(logits: list[float], temperature: float, top_k: int | None, top_p: float) -> None:
    got = probabilities(torch.tensor(logits), temperature=temperature, top_k=top_k, top_p=top_p)
    assert got.dtype == torch.float64
    assert got.tolist() == pytest.approx(by_hand(logits, temperature, top_k, top_p), abs=1e-12)
    assert got.sum().item() == pytest.approx(1)
    assert got[torch.tensor(logits).argmax()] > 0


@given(st.lists(logit_rows.filter(lambda row: len(row) > 3).map(lambda row: row[:4]), min_size=1, max_size=5))
def test_rows_do_not_meet(rows: list[list[float]]) -> None:
    table = torch.tensor(rows)
    together = probabilities(table[:, None], top_k=3, top_p=0.8)
    for row, logits in enumerate(table):
        assert torch.equal(together[row, 0], probabilities(logits, top_k=3, top_p=0.8))


@pytest.mark.parametrize(
    ("logits", "settings", "kept"),
    [
        ([3.0, 1.0, 2.0, 0.0], {"top_k": 2}, [0, 2]),
        ([1.0, 2.0, 1.0, 0.0], {"top_k": 2}, [0, 1, 2]),  # as likely as the last of them
        ([0.0, 0.0, 0.0], {"top_k": 1}, [0, 1, 2]),
        ([0.0, 0.0, 0.0, 0.0], {"top_p": 0.5}, [0, 1]),
        ([9.0, 0.0, 0.0], {"top_p": 1e-9}, [0]),
        ([math.log(0.5), math.log(0.3), math.log(0.2)], {"top_p": 0.6}, [0, 1]),
        ([0.0, 1.0], {"top_k": 99}, [0, 1]),
        ([0.0] * 4000, {"top_p": 0.25}, list(range(1000))),
    ],
    ids=["k", "ties", "all tied", "p", "p tiny", "p sum", "k beyond", "p of many"],
)
def test_what_is_kept(logits: list[float], settings: dict[str, Any], kept: list[int]) -> None:
    assert probabilities(torch.tensor(logits), **settings).nonzero().flatten().tolist() == kept


def test_cold_is_certain_and_hot_is_even() -> None:
    logits = torch.tensor([1.0, 1.1, -2.0])
    assert probabilities(logits, temperature=1e-4).tolist() == pytest.approx([0, 1, 0])
    assert probabilities(logits, temperature=1e6).tolist() == pytest.approx([1 / 3] * 3, rel=1e-5)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=10).filter(any),
    st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 1 - 2.0**-53]),
)
def test_the_inverse_of_the_cumulative_sum(weights: list[int], u: float) -> None:
    """The code c with cdf(c - 1) <= u < cdf(c), in exact whole numbers; never one of probability zero."""
    p = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    code = int(invert_cdf(p, torch.tensor(u)))
    assert weights[code] > 0
    before = sum(weights[:code])
    assert before <= u * sum(weights) * (1 + 1e-12)
    assert u * sum(weights) * (1 - 1e-12) <= before + weights[code]


@pytest.mark.parametrize(("u", "code"), [(0.0, 1), (0.24, 1), (0.25, 3), (0.99, 3), (1 - 2**-53, 3)])
def test_edges(u: float, code: int) -> None:
    p = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0], dtype=torch.float64)
    assert int(invert_cdf(p, torch.tensor(u, dtype=torch.float64))) == code


def test_single_precision_has_an_end_too() -> None:
    u = torch.tensor([1 - 2.0**-53, 1 - 2.0**-25], dtype=torch.float64)
    assert invert_cdf(torch.tensor([0.0, 0.25, 0.5, 0.0]).expand(2, 4), u).tolist() == [2, 2]


def test_a_larger_number_never_gives_an_earlier_code() -> None:
    p = torch.rand(7, dtype=torch.float64).softmax(dim=0)
    codes = invert_cdf(p.expand(1000, 7), torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64))
    assert (codes.diff() >= 0).all()
    assert codes.unique().numel() == 7


def test_frequencies_are_the_probabilities() -> None:
    p = probabilities(torch.tensor([0.3, -1.0, 2.0, 1.0, -3.0, 0.0]), top_k=4)
    u = torch.from_numpy(noise.uniform(1, np.arange(100_000)))
    counts = torch.bincount(invert_cdf(p.expand(len(u), -1), u), minlength=6).numpy()
    assert (counts[p.numpy() == 0] == 0).all()
    there = p.numpy() > 0
    assert stats.chisquare(counts[there], len(u) * p.numpy()[there]).pvalue > 0.01


@given(st.floats(0, 10), st.floats(-5, 5), st.floats(-5, 5))
def test_guidance_is_a_straight_line(scale: float, there: float, empty: float) -> None:
    got = guide(torch.tensor(there).double(), torch.tensor(empty).double(), scale).item()
    assert got == pytest.approx((1 - scale) * empty + scale * there, abs=1e-5)
