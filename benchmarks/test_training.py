"""Training steps of the decoder of ``paper-336`` on one GPU: MFU, tokens a second and memory, by attention.

Pictures and ten-frame clips with nearby attention come first, compiled and not, since they have bars to keep; then full, axial
and block attention. The record is written after every row, so a run that is cut short keeps what it has. On a CPU the preset
``smoke`` takes the place, so that all this runs there too, and no MFU is stated.

On a GPU the kernels of one step of either, by their time, go to ``training-<grid>.txt``.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import partial

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.exc import InductorError
from torch.profiler import ProfilerActivity, profile

from benchmarks.ledger import Ledger, clocked, times_of
from benchmarks.training import SIZES, Case, Training
from evaluation.speed import Measurement, TrainingFigures
from nuwa import files
from nuwa.training.gpus import peak_of
from nuwa.training.memory import GIB
from nuwa.training.precision import resolve

BARS = {"t2i": 0.40, "t2v": 0.35}
"""MFU of nearby attention, compiled."""

ORDER = (("NN", True), ("NN", False), ("FF", True), ("AA", True), ("BB", True))
CASES = [Case(attention, task, compile) for attention, compile in ORDER for task in BARS]
LEAST_STEPS, MOST_STEPS = 3, 10
LESS = 0.8  # of the samples, where as many as estimated do not fit
KERNELS = 40


@pytest.fixture(scope="module")
def kept() -> dict[tuple[str, bool], Training]:
    """The training of the case before, which the next one may go on with."""
    return {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_step(
    benchmark: BenchmarkFixture, ledger: Ledger, kept: dict[tuple[str, bool], Training], case: Case
) -> None:
    size, cpu = SIZES[ledger.device.type], ledger.device.type == "cpu"
    if cpu and case.attention != "NN":
        case = replace(case, compile=False)
    row = ledger.untried(
        group="training",
        name=case.attention,
        backend=case.how,
        direction="training step",
        grid=size.grid(case.task).shape,
        setting=str(size),
        dtype=resolve("auto", ledger.device),
    )
    if case.compile and cpu:
        finish(ledger, replace(row, not_run="left out on a CPU: compiling takes a minute"))
        pytest.skip("left out on a CPU")
    try:
        training = made(case, ledger, kept)
        row = measured(benchmark, ledger, training, case, row)
    except (torch.OutOfMemoryError, TorchDynamoException, InductorError) as error:
        finish(ledger, replace(row, not_run=f"{type(error).__name__}: {str(error).splitlines()[0]}"))
        raise
    finish(ledger, row)
    mfu = row.training.mfu if row.training else None
    assert mfu is None or case != Case("NN", case.task, True) or mfu >= BARS[case.task]


def made(case: Case, ledger: Ledger, kept: dict[tuple[str, bool], Training]) -> Training:
    """The training that the case needs; the one before is forgotten first, since two do not fit."""
    key = (case.attention, case.compile)
    if key not in kept:
        kept.clear()
        emptied()
        kept[key] = Training(case.attention, ledger.device, compile=case.compile)
    return kept[key]


def measured(
    benchmark: BenchmarkFixture, ledger: Ledger, training: Training, case: Case, row: Measurement
) -> Measurement:
    """Steps of the largest batch that fits: the first of them alone, which compiles, a second one, and then timed ones."""
    samples, device, cuda = training.fitting(case.task), ledger.device, ledger.device.type == "cuda"
    while True:
        steps = training.steps(case.task, samples)
        step = ledger.synchronised(partial(next, steps))
        try:
            first_s, again_s = clocked(step)[1], clocked(step)[1]
            break
        except torch.OutOfMemoryError:
            if samples == 1:
                raise
        samples = max(1, int(LESS * samples))
        training.stage.model.zero_grad()
        emptied()
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    rounds = max(LEAST_STEPS, min(MOST_STEPS, int(ledger.options.round_s / again_s)))
    # A step waits once for the device, so steps follow each other as they do in a training.
    benchmark.pedantic(partial(next, steps), rounds=rounds, warmup_rounds=1)
    times, peak = times_of(benchmark, first_s), peak_of(device)
    flops = training.step_flops(case.task, samples)
    figures = TrainingFigures(
        samples=samples,
        parameters=training.parameters,
        tokens_per_s=samples * row.tokens / times.median,
        mfu=None if peak is None else flops / times.median / peak,
        peak_bytes=torch.cuda.max_memory_allocated(device) if cuda else None,
    )
    if cuda and case.attention == "NN" and case.compile:
        with profile(activities=[ProfilerActivity.CUDA]) as recorded:
            step()
        table = recorded.key_averages().table(sort_by="self_cuda_time_total", row_limit=KERNELS)
        files.write_text(ledger.options.out / f"training-{training.size.grid(case.task)}.txt", table)
    return replace(row, times=times, flops=flops, training=figures, not_run=None)


def finish(ledger: Ledger, row: Measurement) -> None:
    """Keep a row and write the record, since the run may be cut short."""
    ledger.rows.append(row)
    ledger.write(ledger.options.out / "record.json")
    if row.times is not None and row.training is not None:
        mfu = "unknown" if row.training.mfu is None else f"{row.training.mfu:.1%}"
        memory = "" if row.training.peak_bytes is None else f", {row.training.peak_bytes / GIB:.1f} GiB"
        print(
            f"\n{row.label}: {row.training.samples} samples in {row.times.median:.3f} s, MFU {mfu}, "
            f"{row.training.tokens_per_s:,.0f} tokens/s{memory}; first step {row.times.first:.1f} s",
            flush=True,
        )


def emptied() -> None:
    """Give back what is no longer needed."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
