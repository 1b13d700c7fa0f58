"""Attention by variant, backend, grid and direction: causal, at the paper's 20 heads of 64, and its peers in the same run.

Full attention through SDPA is dense causal SDPA, what any transformer would call. Ratios hold better than times: run the
whole on a machine that does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks import peers
from benchmarks.agreement import assert_agrees, passes
from benchmarks.beside import Results
from benchmarks.device import bandwidth
from benchmarks.ledger import Ledger, clocked
from benchmarks.limits import flops_of, why_not_here
from benchmarks.problems import PAPER_HEADS
from evaluation.speed import Measurement, Times
from nuwa.attention import ATTENTION, BACKENDS, AttentionSpec, Problem, attend
from nuwa.grid import Grid


def _is_for(backend: str, spec: AttentionSpec) -> bool:
    """Whether the backend computes this variant anywhere: what it was never made for is no row."""
    grid = Grid(1, 2, 2)
    places = [Problem(spec=spec, grid=grid, kv_grid=grid, causal=True, device=d, grad=False) for d in ("cpu", "cuda")]
    return any(BACKENDS[backend].why_not(place) is None for place in places)


TIMED = [
    (name, backend)
    for name in ATTENTION
    for backend in BACKENDS
    if backend != "reference" and _is_for(backend, ATTENTION[name]())
]
SLOW_TO_COMPILE = ("local-compiled", "flex")
DIRECTIONS = ("forward", "forward+backward")


def tensors(shape: Sequence[int], ledger: Ledger, grad: bool, count: int = 3) -> list[Tensor]:
    generator = torch.Generator(ledger.device).manual_seed(0)
    made = [torch.randn(*shape, generator=generator, device=ledger.device) for _ in range(count)]
    return [x.to(ledger.dtype).requires_grad_(grad) for x in made]


def blank(ledger: Ledger, grid: Grid, direction: Any) -> Measurement:
    """A row that has its place and nothing else yet."""
    return ledger.untried(
        group="attention",
        name="",
        backend="",
        direction=direction,
        grid=grid.shape,
        setting=str(PAPER_HEADS),
        query_bytes=PAPER_HEADS.head_width * PAPER_HEADS.num_heads * grid.size * ledger.dtype.itemsize,
    )


def skip(ledger: Ledger, row: Measurement, reason: str) -> None:
    """What cannot run is a row all the same."""
    ledger.rows.append(replace(row, not_run=reason))
    pytest.skip(reason)


def measure(
    ledger: Ledger, benchmark: BenchmarkFixture, row: Measurement, run: Callable[[], Any], first_s: float
) -> Times:
    """Fill ``row`` with the memory and the times of ``run``, and add it."""
    benchmark.group = f"{row.direction}, {'x'.join(map(str, row.grid))}"
    peak = ledger.memory(run)
    times = ledger.time(benchmark, run, first_s, queued=True)
    ledger.rows.append(replace(row, times=times, peak_extra_bytes=peak, not_run=None))
    return times


@pytest.fixture(scope="module")
def floors() -> dict[str, Results]:
    return {}


@pytest.fixture
def add_floor(floors: dict[str, Results], ledger: Ledger) -> Callable[[Measurement, Times], None]:
    """Set a time on a GPU beside the least that its memory allows: every tensor read or written once, at a copy's speed."""

    def add(row: Measurement, times: Times) -> None:
        if ledger.device.type != "cuda":
            return
        assert row.query_bytes is not None
        kept = floors.setdefault("all", Results(ledger, "floor", bytes_a_second=bandwidth()))
        tensors = 4 if row.direction == "forward" else 12  # q k v, o; and again, with their four gradients
        floor = tensors * row.query_bytes / bandwidth()
        grid = "x".join(map(str, row.grid))
        kept.add(f"{row.label}, {grid}, {row.direction}", s=times.median, floor_s=floor, ratio=times.median / floor)
        ledger.lines.append(
            f"{grid:10} {row.direction:17} {row.label:24} {1000 * times.median:9.3f} ms, "
            f"{times.median / floor:7.2f} x the floor of {1000 * floor:.3f} ms at {bandwidth() / 1e12:.2f} TB/s, "
            f"first {times.first:.1f} s"
        )

    return add


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("name", "backend"), TIMED)
def test_ours(
    benchmark: BenchmarkFixture,
    ledger: Ledger,
    add_floor: Callable[[Measurement, Times], None],
    grid: Grid,
    name: str,
    backend: str,
    direction: str,
) -> None:
    spec, backward = ATTENTION[name](), direction != "forward"
    problem = Problem(
        spec=spec,
        grid=grid,
        kv_grid=grid,
        causal=True,
        device=ledger.device.type,
        dtype=ledger.dtype,
        head_width=PAPER_HEADS.head_width,
        grad=backward,
    )
    row = replace(blank(ledger, grid, direction), name=name, backend=backend, flops=flops_of(problem, PAPER_HEADS))
    if (reason := BACKENDS[backend].why_not(problem)) is not None:
        skip(ledger, row, reason)
    if ledger.options.quick and ledger.device.type == "cpu" and backend in SLOW_TO_COMPILE:
        skip(ledger, row, "left out of a quick run: it compiles for a minute")
    if (reason := why_not_here(backend, problem, PAPER_HEADS, ledger.options.patience_s)) is not None:
        skip(ledger, row, reason)

    def operation(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, spec=spec, grid=grid, causal=True, backend=backend)

    try:
        inputs = tensors(PAPER_HEADS.shape(grid), ledger, backward)
        agreement, first_s = assert_agrees(operation, inputs, spec, grid, causal=True, backward=backward)
        weight = torch.ones_like(inputs[0]) if backward else None
        run = passes(operation, inputs, weight)
        add_floor(row, measure(ledger, benchmark, replace(row, agreement=agreement), run, first_s))
    except torch.OutOfMemoryError:
        skip(ledger, row, "out of memory")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("peer", [peers.NUWA_PYTORCH, peers.NATTEN])
def test_peer(benchmark: BenchmarkFixture, ledger: Ledger, grid: Grid, peer: str, direction: str) -> None:
    backward, shape = direction != "forward", PAPER_HEADS.shape(grid)
    row = replace(blank(ledger, grid, direction), name=peer, peer=True)
    device, dtype = ledger.device, ledger.dtype
    if peer == peers.NUWA_PYTORCH:
        row = replace(row, backend="Sparse3DNA without projections")
        reason = peers.why_not_sparse_3dna(grid, PAPER_HEADS, device, backward, ledger.options.patience_s)
    else:
        row = replace(row, backend="na3d")
        reason = peers.why_not_natten(grid, device, backward)
    if reason is not None:
        skip(ledger, row, reason)
    module: Callable[..., Tensor]
    try:
        if peer == peers.NUWA_PYTORCH:
            module = peers.sparse_3dna(grid, PAPER_HEADS, device, dtype)
            width = PAPER_HEADS.num_heads * PAPER_HEADS.head_width
            inputs = tensors((PAPER_HEADS.batch, 1 + grid.size, width), ledger, backward, count=1)
        else:
            module = peers.natten
            b, n, _, k = shape
            inputs = tensors((b, *grid.shape, n, k), ledger, backward)

        def run() -> Any:
            if not backward:
                with torch.no_grad():
                    return module(*inputs)
            out = module(*inputs)
            return torch.autograd.grad(out, inputs, torch.ones_like(out))

        found, first_s = clocked(ledger.synchronised(run))
        assert all(torch.isfinite(each).all() for each in (found if backward else (found,)))
        measure(ledger, benchmark, row, run, first_s)
    except torch.OutOfMemoryError:
        skip(ledger, row, "out of memory")
