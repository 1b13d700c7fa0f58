"""Tokens from shards beside encoding at every step: the tokenizer of the preset ``tiny``, on a GPU that of the paper.

Encoding gets its pictures for nothing, they lie in memory, and need not encode words. Every round of ours follows one of
theirs, after the tokens and text ids of a whole epoch were found to be the same. The ratios stand in ``shards.json`` beside
the bar they have to keep: ``nox -s bench -- --only test_shards``. A quick run leaves them out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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

BATCH, STEPS, BAR = 64, 20, 1 / 20
NUM = 2 * STEPS * BATCH


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
        """Tokens and text ids of samples, on the device of the training."""
        words = self.text.encode([self.captions[row] for row in rows.tolist()])
        return self.tokenizer.encode(self.pictures[rows].to(self.device)), words.ids.to(self.device)

    def on_the_fly(self) -> None:
        """Pictures to tokens for some steps; words would come on top."""
        for rows in torch.arange(STEPS * BATCH).split(BATCH):
            self.tokenizer.encode(self.pictures[rows].to(self.device))


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What is made once."""
    return {}


@pytest.fixture
def problem(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger, kept: dict[str, Any]) -> Problem:
    if ledger.options.quick:
        pytest.skip("left out of a quick run: it encodes some thousand pictures")
    if "problem" not in kept:
        kept["problem"] = make_problem(tmp_path_factory.mktemp("shards"), ledger.device)
    return cast(Problem, kept["problem"])


@pytest.fixture
def results(ledger: Ledger, kept: dict[str, Any]) -> Results:
    return cast(Results, kept.setdefault("results", Results(ledger, "shards", batch=BATCH)))


def make_problem(folder: Path, device: torch.device) -> Problem:
    torch.manual_seed(0)
    preset = PRESETS["tiny" if device.type == "cpu" else "paper-image"]()
    tokenizer = VQGAN(preset.tokenizer.model).eval()
    tokenizer.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples = SpritesPictures("train", NUM, tokenizer.config.size_px)
    write_shards(samples, tokenizer, folder, samples_per_shard=512)
    shards = Shards(folder, tokenizer)
    return Problem(samples.images(slice(None)), samples.captions, tokenizer, shards.text, shards, device)


def measure(
    benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem, name: str, run: Any
) -> None:
    times = side_by_side(benchmark, ledger.synchronised(run), ledger.synchronised(problem.on_the_fly), rounds=9)
    tokens = STEPS * BATCH * problem.shards.grid.size
    results.add(name, **times, tokens_per_second=tokens / times["ours_s"], bar=BAR)
    assert times["ratio"] <= BAR


@pytest.mark.parametrize("workers", [0, 2])
def test_loader(benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem, workers: int) -> None:
    """Tokens and text ids, in a running loader."""
    for batch in itertools.islice(ShardLoader(problem.shards, batch=BATCH), NUM // BATCH):
        tokens, words = problem.encode(batch.rows)
        same = (tokens.cpu() == batch.tokens).double().mean()
        assert same == 1 if problem.device.type == "cpu" else same > 0.999  # kernels of a GPU may turn near ties round
        assert torch.equal(words.cpu(), batch.text)
    batches: Iterator[TokenBatch] = iter(ShardLoader(problem.shards, batch=BATCH, workers=workers))
    next(batches)

    def run() -> None:
        for batch in itertools.islice(batches, STEPS):
            batch.tokens.to(problem.device)
            batch.text.to(problem.device)

    measure(benchmark, ledger, results, problem, f"loader with {workers} workers beside encoding", run)


def test_stream(benchmark: BenchmarkFixture, ledger: Ledger, results: Results, problem: Problem) -> None:
    """The same by number of the step: what a training reads."""
    stream, steps = ShardStream(problem.shards), itertools.count()
    for one, other in zip(stream.tokens(0, BATCH), next(iter(ShardLoader(problem.shards, batch=BATCH))), strict=True):
        assert torch.equal(one, other)

    def run() -> None:
        for step in itertools.islice(steps, STEPS):
            batch = stream.tokens(step, BATCH)
            batch.tokens.to(problem.device)
            batch.text.to(problem.device)

    measure(benchmark, ledger, results, problem, "stream beside encoding", run)
