"""Tokens from shards beside encoding at every step, for the tokenizer of the preset ``tiny``.

Encoding gets its pictures and captions for nothing: they lie in memory. Every round of ours follows one of theirs, after the
tokens and text ids of a whole epoch were found to be the same. The ratios stand in ``shards.json`` beside the bar they have
to keep: ``nox -s bench -- --only test_shards``. A quick run leaves them out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.beside import Results, side_by_side
from benchmarks.ledger import Ledger
from nuwa.data.shards import ShardLoader, Shards, ShardStream, TokenBatch, write_shards
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.presets import PRESETS
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN

NUM, BATCH, STEPS, BAR = 4096, 64, 20, 1 / 20


@dataclass(frozen=True)
class Problem:
    """The same samples in pixels and in tokens."""

    pictures: Tensor
    captions: list[str]
    tokenizer: VQGAN
    text: TextTokenizer
    shards: Shards
    device: torch.device

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What a step does without shards: tokens and text ids of samples on the device of the training."""
        words = self.text.encode([self.captions[row] for row in rows.tolist()])
        return self.tokenizer.encode(self.pictures[rows].to(self.device)), words.ids.to(self.device)

    def on_the_fly(self) -> None:
        """Some steps."""
        for rows in torch.arange(STEPS * BATCH).split(BATCH):
            self.encode(rows)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Problem:
    if ledger.options.quick:
        pytest.skip("left out of a quick run: it encodes some thousand pictures")
    torch.manual_seed(0)
    tokenizer = VQGAN(PRESETS["tiny"]().tokenizer.model).eval()
    tokenizer.to(ledger.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples = SpritesPictures("train", NUM)
    folder = tmp_path_factory.mktemp("shards")
    write_shards(samples, tokenizer, folder, samples_per_shard=512)
    shards = Shards(folder, tokenizer)
    return Problem(samples.images(slice(None)), samples.captions, tokenizer, shards.text, shards, ledger.device)


@pytest.fixture(scope="module")
def results(ledger: Ledger) -> Results:
    return Results(ledger, "shards", batch=BATCH, tokens_a_sample=64)


def measure(
    benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem, name: str, run: Any
) -> None:
    times = side_by_side(benchmark, ledger.synchronised(run), ledger.synchronised(problem.on_the_fly), rounds=9)
    results.add(name, **times, tokens_per_second=STEPS * BATCH * 64 / times["ours_s"], bar=BAR)
    assert times["ratio"] <= BAR


@pytest.mark.parametrize("workers", [0, 2])
def test_loader(benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem, workers: int) -> None:
    """Tokens and text ids, in a running loader."""
    for batch in itertools.islice(ShardLoader(problem.shards, batch=BATCH), NUM // BATCH):
        tokens, words = problem.encode(batch.rows)
        assert torch.equal(tokens.cpu(), batch.tokens)
        assert torch.equal(words.cpu(), batch.text)
    batches: Iterator[TokenBatch] = iter(ShardLoader(problem.shards, batch=BATCH, workers=workers))
    next(batches)

    def run() -> None:
        for batch in itertools.islice(batches, STEPS):
            batch.tokens.to(problem.device)
            batch.text.to(problem.device)

    measure(benchmark, ledger, results, problem, f"loader with {workers} workers beside encoding", run)


def test_stream(benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem) -> None:
    """Tokens and captions in words, which the training turns into ids: what ``eval-t2i --shards`` reads."""
    stream = ShardStream(problem.shards)
    expected = next(iter(ShardLoader(problem.shards, batch=BATCH)))
    tokens, captions = stream.batch(0, BATCH)
    assert torch.equal(tokens, expected.tokens)
    assert torch.equal(problem.text.encode(captions).ids, expected.text)
    steps = itertools.count()

    def run() -> None:
        for step in itertools.islice(steps, STEPS):
            tokens, captions = stream.batch(step, BATCH)
            tokens.to(problem.device)
            problem.text.encode(captions).ids.to(problem.device)

    measure(benchmark, ledger, results, problem, "stream beside encoding", run)
