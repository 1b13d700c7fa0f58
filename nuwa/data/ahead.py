"""Work done ahead of the network: decoding runs in threads while the network computes, in order and never too far ahead."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

_POLL_S = 0.1  # how long a full queue waits before it looks whether anybody still listens


def ahead(function: Callable[[S], T], items: Iterable[S], workers: int, depth: int) -> Generator[T, None, None]:
    """``map(function, items)`` in order, with up to ``depth`` calls begun early by ``workers`` threads.

    Pillow, zlib and hashlib let other threads run while they work, so threads are enough and nothing is copied between
    processes. ``items`` itself is read by the thread that asks.
    """
    if workers < 1 or depth < 1:
        raise ValueError(f"ahead: expected at least one worker and one call, got {workers} and {depth}")
    rest = iter(items)
    begun: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        while True:
            begun.extend(pool.submit(function, item) for item in islice(rest, depth - len(begun)))
            if not begun:
                return
            yield begun.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def background(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """``items`` read by a thread of its own, up to ``depth`` ahead; its exceptions arrive here, in their place."""
    if depth < 1:
        raise ValueError(f"background: expected at least one item ahead, got {depth}")
    results: queue.Queue[Future[T] | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(result: Future[T] | None) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                results.put(result, timeout=_POLL_S)
                break

    def read() -> None:
        try:
            for item in items:
                done: Future[T] = Future()
                done.set_result(item)
                put(done)
                if stop.is_set():
                    break
            put(None)
        except BaseException as error:  # handed over to the thread that waits for it
            failed: Future[T] = Future()
            failed.set_exception(error)
            put(failed)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not None:
            yield result.result()
    finally:
        stop.set()
        thread.join()


class Waiting(Generic[T]):
    """Passes ``items`` on and adds up in ``seconds`` how long whoever asks has waited for them."""

    def __init__(self, items: Iterable[T]) -> None:
        self.seconds = 0.0
        self._items = iter(items)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        began = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - began
