"""Sizes of the Triton kernels' work, each timed on a GPU: what :func:`nuwa.attention.nearby_triton.blocks` is chosen from.

python -m benchmarks --only blocks --seconds 0.2
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.beside import Results
from benchmarks.device import bandwidth
from benchmarks.ledger import Ledger, clocked
from benchmarks.problems import PAPER_HEADS
from nuwa.attention import Nearby3D, nearby_triton
from nuwa.attention.tiles import Blocks, reach, tiling
from nuwa.grid import Grid

GRID = Grid(10, 32, 32)
REACH = reach(Nearby3D(), GRID)
FORWARD = [
    Blocks(rows=64, columns=64, warps=4),
    Blocks(rows=64, columns=64, warps=4, registers=96),
    Blocks(rows=64, columns=64, warps=4, stages=2, registers=128),
    Blocks(rows=64, columns=32, warps=4),
    Blocks(rows=64, columns=32, warps=4, stages=2),
    Blocks(rows=16, columns=32, warps=1),
]
BACKWARD = [
    Blocks(rows=64, columns=64, warps=4),
    Blocks(rows=64, columns=64, warps=4, registers=168),
    Blocks(rows=64, columns=64, warps=4, stages=2),
    Blocks(rows=64, columns=32, warps=4),
    Blocks(rows=64, columns=32, warps=4, stages=2),
    Blocks(rows=16, columns=32, warps=1, stages=2),
]


@pytest.fixture(scope="module")
def results() -> dict[str, Results]:
    return {}


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """Queries, keys, values and a gradient, with what the forward kernel makes of them at its chosen sizes."""
    generator = torch.Generator("cuda").manual_seed(0)
    made = {
        name: torch.randn(PAPER_HEADS.shape(GRID), generator=generator, device="cuda", dtype=torch.bfloat16)
        for name in ("q", "k", "v", "grad")
    }
    sizes = nearby_triton.blocks(torch.bfloat16, PAPER_HEADS.head_width, backward=False)
    out, lse = nearby_triton.forward(made["q"], made["k"], made["v"], GRID, REACH, True, sizes)
    return {**made, "out": out, "lse": lse}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("direction", "sizes"),
    [("forward", sizes) for sizes in FORWARD] + [("backward", sizes) for sizes in BACKWARD],
    ids=str,
)
def test_sizes(
    benchmark: BenchmarkFixture,
    ledger: Ledger,
    results: dict[str, Results],
    request: pytest.FixtureRequest,
    direction: str,
    sizes: Blocks,
) -> None:
    made: dict[str, Tensor] = request.getfixturevalue("tensors")  # after the mark has skipped what has no GPU
    q, k, v, out, lse, grad = (made[name] for name in ("q", "k", "v", "out", "lse", "grad"))

    def backward(sizes: Blocks) -> tuple[Tensor, ...]:
        return nearby_triton.backward(q, k, v, out, lse, grad, GRID, REACH, True, sizes)

    def forward(sizes: Blocks) -> tuple[Tensor, ...]:
        return nearby_triton.forward(q, k, v, GRID, REACH, True, sizes)

    run: Callable[[Blocks], tuple[Tensor, ...]] = forward if direction == "forward" else backward
    chosen = nearby_triton.blocks(q.dtype, PAPER_HEADS.head_width, backward=direction == "backward")
    found, first_s = clocked(lambda: run(sizes))
    for got, expected in zip(found, run(chosen), strict=True):
        assert float((got - expected).float().norm()) <= 1e-2 * float(expected.float().norm())
    times = ledger.time(benchmark, lambda: run(sizes), first_s, queued=True)
    tensors_moved = 4 if direction == "forward" else 8
    floor = tensors_moved * q.numel() * q.itemsize / bandwidth()
    tile = "x".join(map(str, tiling(GRID, REACH, True, sizes.rows, sizes.columns).tile))
    kept = results.setdefault("all", Results(ledger, "blocks", bytes_a_second=bandwidth()))
    kept.add(f"{direction} {sizes}", s=times.median, floor_s=floor, ratio=times.median / floor)
    ledger.lines.append(
        f"{direction:8} {sizes.rows:3} rows ({tile}) {sizes.columns:3} columns {sizes.warps} warps {sizes.stages} stages "
        f"{sizes.registers or '':4} registers {1000 * times.median:7.4f} ms {times.median / floor:5.2f} x the floor"
        f"{'   chosen' * (sizes == chosen)}"
    )
