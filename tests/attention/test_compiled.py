"""The local kernel for a compiler: its sums without compiling, what it refuses, and one compilation."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa import Grid
from nuwa.attention import BACKENDS, Full, Nearby3D, Problem, attend, choose, compiled, local, native, shifts

GRID = Grid(3, 4, 5)
sides = st.integers(1, 4)
odd = st.sampled_from([1, 3, None])


def tensors(grid: Grid, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, grid.size, 4, dtype=dtype, generator=generator).requires_grad_() for _ in range(3))
    return q, k, v


def with_gradients(out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
    return [out, *torch.autograd.grad(out.square().sum(), (q, k, v))]


@given(grid=st.builds(Grid, sides, sides, sides), extent=st.tuples(odd, odd, odd), causal=st.booleans())
@settings(max_examples=25, deadline=None)
def test_unrolled_sums_agree_with_the_reference(grid: Grid, extent: tuple[int | None, ...], causal: bool) -> None:
    spec = Nearby3D(extent=extent)
    near = compiled.Unrolled(shifts.offsets(spec, grid, causal), grid, "cpu")
    q, k, v = tensors(grid)
    out = local.in_chunks(q, k, v, partial(local.forward, near), partial(local.backward, near))
    expected = attend(q, k, v, spec=spec, grid=grid, causal=causal, backend="reference")
    for a, b in zip(with_gradients(out, q, k, v), with_gradients(expected, q, k, v), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": Full()}, "computes nearby3d only"),
        ({"key_mask": True}, "no key_mask"),
        ({"kv_grid": Grid(1, 4, 5)}, "on one grid, and the grids are 3x4x5 and 1x4x5"),
        ({"spec": Nearby3D(extent=(5, 5, 5))}, "up to 64 offsets, and this window has 125"),
    ],
)
def test_why_not(change: dict[str, object], reason: str) -> None:
    problem = Problem(**{"spec": Nearby3D(), "grid": GRID, "kv_grid": GRID, **change})
    with pytest.raises(ValueError, match=f"'local-compiled' cannot run this: .*{reason}"):
        choose(problem, "local-compiled")


def test_no_compiler_is_said_not_worked_around(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(spec=Nearby3D(), grid=GRID, kv_grid=GRID)
    monkeypatch.setenv("CXX", "no-such-compiler")
    native.compiler.cache_clear()
    try:
        with pytest.raises(
            ValueError, match=r"needs a C\+\+ compiler.*; expected one of reference, dense, sdpa, local"
        ):
            choose(problem, "local-compiled")
    finally:
        native.compiler.cache_clear()


def test_auto_never_compiles() -> None:
    assert all(
        choose(Problem(spec=Nearby3D(), grid=grid, kv_grid=grid, causal=causal)) != "local-compiled"
        for grid in (Grid(1, 4, 4), GRID, Grid(10, 21, 21))
        for causal in (False, True)
    )


@pytest.mark.slow  # each case compiles two functions, a few seconds for few offsets and a minute for many
@pytest.mark.skipif(native.compiler() is None, reason="needs a C++ compiler")
@pytest.mark.parametrize(
    ("grid", "extent", "causal", "dtype"),
    [
        (GRID, (1, 3, 3), True, torch.float32),
        (Grid(1, 3, 5), (3, 3, 1), False, torch.float64),
        (Grid(3, 1, 2), (None, 5, 3), True, torch.float64),  # extents beyond the grid
        (Grid(2, 2, 3), (3, 1, 3), False, torch.bfloat16),
        (Grid(1, 1, 1), (3, 3, 3), True, torch.float64),
    ],
    ids=str,
)
def test_compiled_agrees_with_the_reference(
    grid: Grid, extent: tuple[int | None, ...], causal: bool, dtype: torch.dtype
) -> None:
    spec = Nearby3D(extent=extent)
    assert BACKENDS["local-compiled"].why_not(Problem(spec=spec, grid=grid, kv_grid=grid, causal=causal)) is None
    q, k, v = tensors(grid, dtype)
    out = attend(q, k, v, spec=spec, grid=grid, causal=causal, backend="local-compiled")
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    expected = attend(*exact, spec=spec, grid=grid, causal=causal, backend="reference")
    bounds = {torch.float64: 1e-10, torch.float32: 2e-5}
    for a, b in zip(with_gradients(out, q, k, v), with_gradients(expected, *exact), strict=True):
        if dtype in bounds:
            assert float((a.detach().double() - b.detach()).abs().max()) <= bounds[dtype]
        else:
            assert float((a.detach().double() - b.detach()).norm()) <= 2e-2 * float(b.detach().norm())
