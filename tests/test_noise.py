"""Randomness by counter: a value belongs to its key and counters, and the values are uniform and independent."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nuwa import noise

counters = st.integers(0, 2**40)
streams = st.integers(0, 2**64 - 1)


def test_one_counter_is_splitmix64() -> None:
    """Published outputs of SplitMix64 for seed 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64."""
    assert noise.bits(1234567, np.arange(5)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


# python -c "from nuwa.noise import *; print(key('sample', 0), uniform(5, [[0], [1]], [0, 7]), integers(5, 10, range(8)))"
def test_golden() -> None:
    assert noise.key("sample", 0) == 11770310576379347848
    expected = [[0.9798413679101445, 0.6874643912119146], [0.19729448907874025, 0.7449099937240861]]
    assert noise.uniform(5, [[0], [1]], [0, 7]).tolist() == expected
    assert noise.integers(5, 10, range(8)).tolist() == [3, 7, 2, 0, 1, 3, 9, 5]


@given(streams, st.lists(counters, min_size=1, max_size=20), counters, st.randoms())
def test_a_value_does_not_depend_on_what_is_drawn_beside_it(
    stream: int, rows: list[int], column: int, random: Random
) -> None:
    table = noise.bits(stream, np.array(rows)[:, None], [column, column + 1])
    assert [noise.bits(stream, row, column) for row in rows] == table[:, 0].tolist()
    order = random.sample(range(len(rows)), len(rows))
    assert np.array_equal(noise.bits(stream, np.array(rows)[order], column), table[order, 0])


@given(streams, counters, counters)
def test_counters_have_places(stream: int, a: int, b: int) -> None:
    assert (noise.bits(stream, a, b) == noise.bits(stream, b, a)) == (a == b)
    assert noise.bits(stream, a) != noise.bits(stream, a, 0)


@given(streams, counters, st.integers(1, 1000))
def test_ranges(stream: int, counter: int, high: int) -> None:
    u = noise.uniform(stream, counter)
    assert 0 <= u < 1
    assert noise.integers(stream, high, counter) == int(u * high)


@pytest.mark.parametrize("axis", ["first counter", "second counter", "key"])
def test_values_are_uniform_along_every_axis(axis: str) -> None:
    n = 1 << 16
    if axis == "key":
        u = np.array([float(noise.uniform(noise.key("seed", seed), 3, 5)) for seed in range(n >> 3)])
    else:
        u = noise.uniform(9, *((np.arange(n), 4) if axis == "first counter" else (4, np.arange(n))))
    assert stats.chisquare(np.bincount((u * 256).astype(int), minlength=256)).pvalue > 0.01
    assert stats.kstest(u, "uniform").pvalue > 0.01


@pytest.mark.parametrize("lag", ["cell", "sample", "seed"])
def test_neighbours_are_independent(lag: str) -> None:
    """Pairs of next-door values fill a 16×16 table evenly."""
    n = np.arange(1 << 15)
    one = noise.uniform(noise.key("sample", 0), n, 0)
    other = {
        "cell": lambda: noise.uniform(noise.key("sample", 0), n, 1),
        "sample": lambda: noise.uniform(noise.key("sample", 0), n + 1, 0),
        "seed": lambda: noise.uniform(noise.key("sample", 1), n, 0),
    }[lag]()
    table, *_ = np.histogram2d(one, other, bins=16, range=[[0, 1], [0, 1]])
    assert stats.chisquare(table.ravel()).pvalue > 0.01


def test_every_bit_is_fair() -> None:
    bits = noise.bits(3, np.arange(1 << 14))
    ones = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=0)
    assert abs(ones - len(bits) / 2).max() < 4.5 * np.sqrt(len(bits)) / 2


def test_keys_differ_by_part_and_by_cut() -> None:
    keys = [noise.key(*parts) for parts in [("a", "b"), ("ab",), ("b", "a"), ("a", "b", ""), ("a", 1), ("a", 11), ()]]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**64 for key in keys)
