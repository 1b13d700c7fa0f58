"""The local kernel's own promises: chunks and tiles leave no trace, and little is kept for the backward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.attention import Nearby3D, attend, local, shifts


def tensors(
    grid: Grid, kv_grid: Grid | None = None, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = (grid.size, (kv_grid or grid).size, (kv_grid or grid).size)
    q, k, v = (torch.randn(3, 5, s, 4, dtype=dtype, generator=generator).requires_grad_() for s in sizes)
    return q, k, v


def run(q: Tensor, k: Tensor, v: Tensor, **where: object) -> list[Tensor]:
    out = attend(q, k, v, **where)
    return [out, *torch.autograd.grad(out.square().sum(), (q, k, v))]


@pytest.mark.parametrize(
    "chunk", [1, 2 * 4 * 24, 7 * 4 * 24, 10**9], ids=["one head", "two heads", "one sample", "all"]
)
@pytest.mark.parametrize("kv_grid", [None, Grid(1, 2, 5)], ids=["self", "cross"])
def test_chunks_of_heads_leave_no_trace(monkeypatch: pytest.MonkeyPatch, chunk: int, kv_grid: Grid | None) -> None:
    monkeypatch.setattr(local, "CHUNK", chunk)
    grid = Grid(2, 3, 4)
    q, k, v = tensors(grid, kv_grid)
    where = {"spec": Nearby3D(), "grid": grid, "kv_grid": kv_grid}
    for got, expected in zip(
        run(q, k, v, backend="local", **where), run(q, k, v, backend="reference", **where), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True], ids=["self", "causal"])
@pytest.mark.parametrize("grid", [Grid(2, 3, 43), Grid(1, 2, 64), Grid(2, 4, 3), Grid(3, 3, 9)], ids=str)
def test_tiles_of_any_width(grid: Grid, causal: bool) -> None:
    """Rows wider than a tile, rows of several to a tile, and a last tile that is not full."""
    q, k, v = tensors(grid)
    where = {"spec": Nearby3D(extent=(3, 3, 5)), "grid": grid, "causal": causal}
    for got, expected in zip(
        run(q, k, v, backend="local", **where), run(q, k, v, backend="reference", **where), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kv_grid", [None, Grid(1, 3, 2)], ids=["self", "cross"])
def test_gradients_against_finite_differences(kv_grid: Grid | None) -> None:
    grid = Grid(2, 2, 2)
    q, k, v = (x[:1, :1, :, :2].detach().requires_grad_() for x in tensors(grid, kv_grid))

    def attention(*x: Tensor) -> Tensor:
        return attend(*x, spec=Nearby3D(), grid=grid, kv_grid=kv_grid, backend="local")

    assert torch.autograd.gradcheck(attention, (q, k, v))


def test_nothing_but_the_inputs_is_kept_for_the_backward_pass() -> None:
    grid = Grid(2, 3, 4)
    q, k, v = tensors(grid)
    kept: list[int] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.data_ptr())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        attend(q, k, v, spec=Nearby3D(), grid=grid, backend="local")
    assert sorted(kept) == sorted(x.data_ptr() for x in (q, k, v))


def test_a_broken_cell_spoils_its_window_only() -> None:
    grid = Grid(4, 5, 6)
    broken = 2 * 30 + 2 * 6 + 3  # cell (2, 2, 3)
    q, k, v = (x.detach().clone() for x in tensors(grid))
    k[1, 2, broken] = v[1, 2, broken] = float("nan")
    out = attend(q, k, v, spec=Nearby3D(), grid=grid, backend="local").isnan().any(-1)
    near = (grid.coordinates() - grid.coordinates()[broken]).abs().amax(1) <= 1
    assert torch.equal(out[1, 2], near)
    out[1, 2] = False
    assert not out.any()


def test_autocast_leaves_its_precision_alone() -> None:
    grid = Grid(3, 4, 5)
    q, k, v = tensors(grid, dtype=torch.float32)
    expected = run(q, k, v, spec=Nearby3D(), grid=grid, backend="local")
    with torch.autocast("cpu", torch.bfloat16):
        got = run(q, k, v, spec=Nearby3D(), grid=grid, backend="local")
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize(("causal", "count"), [(False, 27), (True, 14)])
def test_number_of_offsets(causal: bool, count: int) -> None:
    steps = shifts.offsets(Nearby3D(), Grid(10, 21, 21), causal)
    assert len(steps) == count
    assert steps == sorted(steps)
    assert (0, 0, 0) in steps
