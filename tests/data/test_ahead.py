import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa.data.ahead import Waiting, ahead, background


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 9))
def test_order_is_kept(items, workers, depth):
    assert list(ahead(lambda item: item * 2, items, workers, depth)) == [item * 2 for item in items]
    assert list(background(iter(items), depth)) == items


def test_calls_run_side_by_side():
    together = threading.Barrier(3, timeout=20)  # breaks unless three calls are inside at once
    assert list(ahead(lambda item: together.wait() >= 0, range(3), 3, 3)) == [True] * 3


def test_it_does_not_run_too_far_ahead():
    begun = []
    results = ahead(lambda item: begun.append(item), range(100), 1, 4)
    next(results)
    results.close()
    assert len(begun) <= 4


def test_a_background_thread_reads_on():
    read = []

    def items():
        for item in range(10):
            read.append(item)
            yield item

    results = background(items(), 3)
    next(results)
    deadline = time.monotonic() + 20
    while len(read) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 4 <= len(read) <= 5  # three wait, one is being handed over
    results.close()  # does not hang


@pytest.mark.parametrize(
    "reader", [lambda items: ahead(int, items, 2, 2), lambda items: background(map(int, items), 2)]
)
def test_errors_arrive_in_their_place(reader):
    results = reader(["1", "2", "x", "4"])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="invalid literal"):
        next(results)


@pytest.mark.parametrize(
    "call", [lambda: ahead(int, "1", 0, 1), lambda: ahead(int, "1", 1, 0), lambda: background("1", 0)]
)
def test_at_least_one(call):
    with pytest.raises(ValueError, match="at least one"):
        next(call())


def test_waiting_is_added_up():
    def slow():
        for item in range(3):
            time.sleep(0.02)
            yield item

    waiting = Waiting(slow())
    assert list(waiting) == [0, 1, 2]
    assert waiting.seconds >= 0.06
