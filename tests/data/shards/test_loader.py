"""The loader: every sample once an epoch over any ranks and workers, and no stop or change of ranks is seen in the sequence."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import NUM, Noise, tokenizer, write

from nuwa.data.shards import ShardLoader, Shards, ShardStream, TokenBatch
from nuwa.data.shards.loader import EpochEnd
from nuwa.tokenizers.text import words_in

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core

RANKS = [1, 2, 3]


@pytest.fixture(scope="module", name="shards")
def _shards(folder: Path) -> Shards:
    return Shards(folder, tokenizer())


def rows_of(batches: list[TokenBatch]) -> list[int]:
    return torch.cat([batch.rows for batch in batches]).tolist()


def together(loaders: list[ShardLoader], count: int | None) -> list[list[TokenBatch]]:
    """What each rank gets in the next ``count`` batches, or up to the end of the epoch."""
    return [list(itertools.islice(loader, count)) for loader in loaders]


def line(shares: list[list[TokenBatch]]) -> list[int]:
    """The rows of all ranks in the order of the batches."""
    assert len({len(batches) for batches in shares}) == 1  # no rank waits for another
    return [row for step in zip(*shares, strict=True) for row in rows_of(list(step))]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", RANKS)
def test_no_sample_twice_and_none_missing(shards: Shards, ranks: int, workers: int) -> None:
    """Both ways to end an epoch, over real workers; all ranks together see what one sees."""
    same = {"batch": 6, "seed": 1}
    alone = ShardLoader(shards, **same)
    expected = rows_of(list(itertools.islice(alone, 13)))  # two epochs and a little
    loaders = [ShardLoader(shards, rank=rank, ranks=ranks, workers=workers, **same) for rank in range(ranks)]
    found = line(together(loaders, 13))
    assert found == expected
    assert all({len(batch.rows) for batch in share} == {6 // ranks} for share in together(loaders, 2))
    for epoch in range(2):
        assert sorted(found[epoch * NUM : (epoch + 1) * NUM]) == list(range(NUM))
    loaders = [
        ShardLoader(shards, rank=rank, ranks=ranks, workers=workers, epoch_end="short", **same) for rank in range(ranks)
    ]
    for epoch in range(2):
        found = line(together(loaders, None))
        assert sorted(found) == list(range(NUM))
        assert found == expected[epoch * NUM : (epoch + 1) * NUM]
        assert {loader.epoch for loader in loaders} == {epoch + 1}


@settings(max_examples=50)
@given(st.data(), st.sampled_from(RANKS), st.integers(0, 3), st.sampled_from(["run-on", "short"]))
def test_laws_of_any_size(shards: Shards, data: st.DataObject, ranks: int, seed: int, epoch_end: EpochEnd) -> None:
    """Also batches longer than an epoch, and a last batch that leaves ranks without a sample."""
    batch = ranks * data.draw(st.integers(1, 50 // ranks))
    loaders = [
        ShardLoader(shards, batch=batch, seed=seed, rank=rank, ranks=ranks, epoch_end=epoch_end)
        for rank in range(ranks)
    ]
    count = None if epoch_end == "short" else -(-NUM // batch)
    shares = together(loaders, count)
    found = line(shares)
    assert sorted(found[:NUM]) == list(range(NUM))
    assert len(found) == (NUM if epoch_end == "short" else count * batch)
    for step in zip(*shares, strict=True):
        sizes = [len(part.rows) for part in step]
        assert max(sizes) - min(sizes) <= (epoch_end == "short")


def pairs(batches: Iterable[TokenBatch]) -> list[tuple[int, int]]:
    """Rows and views."""
    return [pair for batch in batches for pair in zip(batch.rows.tolist(), batch.views.tolist(), strict=True)]


RUNS = st.lists(st.tuples(st.sampled_from(RANKS), st.integers(1, 10), st.integers(1, 5)), min_size=1, max_size=4)


@settings(max_examples=50)
@given(RUNS, st.integers(0, 3), st.sampled_from(["run-on", "short"]))
def test_stops_are_not_seen(shards: Shards, runs: list[tuple[int, int, int]], seed: int, epoch_end: EpochEnd) -> None:
    """Stopped anywhere, gone on by other ranks with other batches: the line of samples is that of no stop."""
    state: dict[str, Any] | None = None
    found: list[tuple[int, int]] = []
    for ranks, share, count in runs:
        loaders = [
            ShardLoader(shards, batch=ranks * share, seed=seed, rank=rank, ranks=ranks, epoch_end=epoch_end)
            for rank in range(ranks)
        ]
        for loader in loaders:
            if state is not None:
                loader.load_state_dict(state)
        for step in zip(*together(loaders, count), strict=True):
            found += pairs(step)
        states = [pickle.loads(pickle.dumps(loader.state_dict())) for loader in loaders]
        assert all(each == states[0] for each in states)  # one rank's state is good for all
        state = states[0]
        assert state["position"] == len(found)
    alone = ShardLoader(shards, batch=NUM, seed=seed)
    assert found == pairs(itertools.islice(alone, -(-len(found) // NUM)))[: len(found)]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_workers_have_read_ahead_is_not_lost(shards: Shards, workers: int) -> None:
    whole = rows_of(list(itertools.islice(ShardLoader(shards, batch=4), 12)))
    loader = ShardLoader(shards, batch=4, workers=workers)
    batches = iter(loader)
    first = [next(batches) for _ in range(5)]
    again = ShardLoader(shards, batch=4, workers=workers)
    again.load_state_dict(loader.state_dict())
    assert rows_of(first + list(itertools.islice(again, 7))) == whole


def test_what_a_batch_holds(shards: Shards) -> None:
    batch = next(iter(ShardLoader(shards, batch=10, seed=2)))
    assert (batch.tokens.shape, batch.tokens.dtype) == ((10, 1, 4, 4), torch.int64)
    assert (batch.text.shape, batch.text.dtype) == ((10, 77), torch.int64)
    pictures = torch.stack(
        [
            Noise().image(row).flip(-1) if shards.views[view] == "centre-mirrored" else Noise().image(row)
            for row, view in zip(batch.rows.tolist(), batch.views.tolist(), strict=True)
        ]
    )
    assert set(batch.views.tolist()) == {0, 1}
    assert torch.equal(batch.tokens, tokenizer().encode(pictures))
    words = shards.text.encode([line.caption for line in shards.lines(batch.rows.numpy())])
    assert torch.equal(batch.text, words.ids)
    assert torch.equal(words_in(batch.text), words.valid)


def test_the_stream_is_the_loader(shards: Shards) -> None:
    stream, loader = ShardStream(shards, seed=4), ShardLoader(shards, batch=9, seed=4)
    for step, batch in enumerate(itertools.islice(loader, 9)):
        for one, other in zip(stream.tokens(step, 9), batch, strict=True):
            assert torch.equal(one, other)


def test_seeds_and_epochs_differ(shards: Shards) -> None:
    orders = {
        tuple(rows_of(list(itertools.islice(ShardLoader(shards, batch=NUM, seed=seed), epoch, epoch + 1))))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"batch": 8, "ranks": 3},
            "expected a batch that 3 ranks can share equally, got 8; it counts the samples of all",
        ),
        ({"batch": 0}, "can share equally, got 0"),
        ({"batch": 4, "rank": 2, "ranks": 2}, "expected 0 <= rank < ranks and workers >= 0, got 2, 2 and 0"),
        ({"batch": 4, "workers": -1}, "got 0, 1 and -1"),
    ],
    ids=str,
)
def test_wrong_settings(shards: Shards, wrong: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ShardLoader(shards, **wrong)


def test_the_state_of_another_sequence_is_refused(shards: Shards, tmp_path: Path) -> None:
    write(tmp_path, Noise(num=20))
    loader = ShardLoader(shards, batch=4)
    next(iter(loader))
    for other, names in (
        (ShardLoader(shards, batch=4, seed=1), "seed"),
        (ShardLoader(Shards(tmp_path), batch=4), "shards"),
    ):
        with pytest.raises(
            ValueError, match=f"got one with other {names}; pass those it was saved with, or begin anew"
        ):
            other.load_state_dict(loader.state_dict())
        assert other.position == 0
    with pytest.raises(ValueError, match="expected a state of position, seed, shards, got position"):
        loader.load_state_dict({"position": 3})


def test_a_worker_of_its_own_reads_the_same(shards: Shards) -> None:
    """Maps are no part of what is sent to a process."""
    rows = np.arange(NUM)
    shards.read(rows, 0 * rows)
    sent = pickle.dumps(shards)
    assert len(sent) < 20_000
    for one, other in zip(pickle.loads(sent).read(rows, 0 * rows), shards.read(rows, 0 * rows), strict=True):
        assert np.array_equal(one, other)
