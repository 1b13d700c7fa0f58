"""The order of samples: a permutation of any length, at any place, as good as a shuffle of the whole."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from nuwa.data.shards.order import Order, permute

KEYS = st.integers(0, 2**64 - 1)


@settings(max_examples=50)
@given(st.integers(1, 300), KEYS)
def test_it_is_a_permutation(num: int, key: int) -> None:
    assert sorted(permute(np.arange(num), num, key).tolist()) == list(range(num))


@settings(max_examples=50)
@given(st.integers(1, 10**9), KEYS, st.data())
def test_a_place_does_not_depend_on_the_others(num: int, key: int, data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, num - 1), min_size=1, max_size=20)))
    together = permute(places, num, key)
    assert together.tolist() == [int(permute(np.array([place]), num, key)[0]) for place in places.tolist()]
    assert together.min() >= 0
    assert together.max() < num
    assert len(set(together.tolist())) == len(set(places.tolist()))


def test_all_permutations_are_equally_likely() -> None:
    found = Counter(tuple(permute(np.arange(3), 3, key).tolist()) for key in range(900))
    assert len(found) == 6
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_a_sample_may_come_anywhere_and_neighbours_part() -> None:
    num, keys = 1_000, 300
    orders = np.stack([permute(np.arange(num), num, key) for key in range(keys)])
    places = np.argsort(orders, axis=1)[:, [0, 1, num // 2, num - 1]]
    for sample in places.T:
        assert chisquare(np.histogram(sample, 10, (0, num))[0]).pvalue > 1e-4
    steps = np.abs(np.diff(orders, axis=1))
    assert np.mean(steps == 1) == pytest.approx(2 / num, rel=0.2)
    assert steps.mean() == pytest.approx(num / 3, rel=0.01)  # of two independent uniform numbers


def test_the_order_of_a_seed_stays() -> None:
    """Golden, by ``Order(12, 2, seed=3).at(np.arange(24))``: another order would change trainings that go on."""
    rows, views = Order(12, 2, seed=3).at(np.arange(24))
    assert rows.tolist() == [5, 1, 11, 6, 7, 9, 10, 3, 0, 2, 8, 4, 9, 0, 8, 6, 4, 3, 10, 2, 7, 5, 1, 11]
    assert views.tolist() == [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1]


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 9), st.integers(0, 5))
def test_every_epoch_has_every_sample_once_and_views_take_turns(num: int, views: int, seed: int, epoch: int) -> None:
    order = Order(num, views, seed)
    shown = []
    for number in range(epoch, epoch + views):
        rows, which = order.at(np.arange(number * num, (number + 1) * num))
        assert sorted(rows.tolist()) == list(range(num))
        shown += list(zip(rows.tolist(), which.tolist(), strict=True))
    assert sorted(shown) == [(row, view) for row in range(num) for view in range(views)]


def test_an_epoch_mixes_views_and_has_an_order_of_its_own() -> None:
    num = 10_000
    order = Order(num, 4, 0)
    epochs = [order.at(np.arange(epoch * num, (epoch + 1) * num)) for epoch in range(2)]
    for _, views in epochs:
        assert np.bincount(views, minlength=4) == pytest.approx(np.full(4, num / 4), rel=0.1)
    assert np.mean(epochs[0][0] == epochs[1][0]) < 0.002
    assert not np.array_equal(epochs[0][0], Order(num, 4, 1).at(np.arange(num))[0])


@settings(max_examples=50)
@given(st.integers(0, 30_000), st.integers(1, 200))
def test_pieces_are_the_whole(start: int, size: int) -> None:
    """Across the blocks in which it is computed and across epochs."""
    order = Order(9_000, 2, 5)
    rows, views = order.at(np.arange(start, start + size))
    one = [Order(9_000, 2, 5).at(np.array([start + at])) for at in (0, size - 1)]
    assert [(int(r[0]), int(v[0])) for r, v in one] == [(int(rows[at]), int(views[at])) for at in (0, -1)]


def test_memory_is_flat() -> None:
    """A hundred million samples cost what a hundred thousand cost."""
    peaks = []
    for num in (10**5, 10**8):
        order = Order(num, 2, 0)
        tracemalloc.start()
        for start in np.linspace(0, num - 64, 8).astype(int):
            order.at(np.arange(start, start + 64))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 1e6
