"""Every backend against the reference, forward and backward, on awkward grids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa import Grid
from nuwa.attention import (
    BACKENDS,
    AttentionSpec,
    Axial3D,
    Block3D,
    Full,
    Nearby3D,
    Problem,
    attend,
)

SPECS = [
    Full(),
    Axial3D(),
    Axial3D(axes=("h",)),
    Block3D(block=(2, 3, 2)),
    Nearby3D(),
    Nearby3D(extent=(3, 5, 1)),
    Nearby3D(extent=(None, 3, 3)),
    Nearby3D(extent=(7, 7, 7)),
]
FAST = ["sdpa", "dense", "local", "gather"]  # those that compile nothing for a grid
# Single cells, lines, primes, unequal sides, and extents beyond the grid.
ONE_GRID = [Grid(1, 1, 1), Grid(7, 1, 1), Grid(1, 3, 5), Grid(3, 2, 4), Grid(2, 5, 3)]
TWO_GRIDS = [
    (Grid(2, 3, 5), Grid(5, 2, 3)),
    (Grid(1, 4, 4), Grid(3, 1, 7)),
    (Grid(4, 3, 3), Grid(1, 1, 1)),
    (Grid(1, 1, 1), Grid(2, 3, 2)),
]
PLACES = [(g, g, causal) for g in ONE_GRID for causal in (False, True)] + [(q, kv, False) for q, kv in TWO_GRIDS]
ORDINARY = [(Grid(3, 5, 4), Grid(3, 5, 4), True), (Grid(3, 5, 4), Grid(3, 5, 4), False), (*TWO_GRIDS[0], False)]


def able(backend: str, spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool, key_mask: bool = False) -> bool:
    problem = Problem(
        spec=spec, grid=grid, kv_grid=kv_grid, causal=causal, key_mask=key_mask, dtype=torch.float64, head_width=8
    )
    return BACKENDS[backend].why_not(problem) is None


def cases(places: list[tuple[Grid, Grid, bool]]) -> list[object]:
    """(backend, spec, queries' grid, keys' grid, causal) for every backend that takes the rest."""
    return [
        pytest.param(backend, spec, *place, id=f"{backend}-{spec}-{place[0]}-{place[1]}{'-causal' * place[2]}")
        for backend in FAST
        for spec in SPECS
        for place in places
        if able(backend, spec, *place)
    ]


def tensors(
    grid: Grid, kv_grid: Grid, dtype: torch.dtype, batch: int = 2, width: int = 8, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, 3, g.size, width) for g in (grid, kv_grid, kv_grid)]
    q, k, v = (torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes)
    return q, k, v


def run(q: Tensor, k: Tensor, v: Tensor, backend: str, **where: object) -> list[Tensor]:
    """Output and the three gradients for one fixed gradient of the output."""
    out = attend(q, k, v, backend=backend, **where)
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).cos().reshape(out.shape).to(out.dtype)
    return [out.detach(), *torch.autograd.grad((out * weight).sum(), (q, k, v))]


@pytest.mark.parametrize(("backend", "spec", "grid", "kv_grid", "causal"), cases(PLACES))
def test_float64_agrees_with_the_reference(
    backend: str, spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool
) -> None:
    q, k, v = tensors(grid, kv_grid, torch.float64)
    where = {"spec": spec, "grid": grid, "kv_grid": kv_grid, "causal": causal}
    for got, expected in zip(run(q, k, v, backend, **where), run(q, k, v, "reference", **where), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("backend", "spec", "grid", "kv_grid", "causal"), cases(ORDINARY))
@pytest.mark.parametrize(("dtype", "absolute", "relative"), [(torch.float32, 2e-5, 0.0), (torch.bfloat16, 0.0, 2e-2)])
def test_lower_precision_stays_close(
    dtype: torch.dtype,
    absolute: float,
    relative: float,
    backend: str,
    spec: AttentionSpec,
    grid: Grid,
    kv_grid: Grid,
    causal: bool,
) -> None:
    q, k, v = tensors(grid, kv_grid, dtype, batch=1, width=16)
    where = {"spec": spec, "grid": grid, "kv_grid": kv_grid, "causal": causal}
    exact = run(
        *(x.detach().double().requires_grad_() for x in (q, k, v)), "reference", **where
    )  # of the rounded inputs
    for got, expected in zip(run(q, k, v, backend, **where), exact, strict=True):
        assert got.dtype == dtype
        error = (got.double() - expected).abs()
        # bf16: relative to the size of the whole tensor, as a single entry may be a cancellation
        assert float(error.norm()) <= relative * float(expected.norm()) or float(error.max()) <= absolute


sides = st.integers(1, 5)
grids = st.builds(Grid, sides, sides, sides)
odd = st.sampled_from([1, 3, 5, None])


@pytest.mark.parametrize("backend", FAST)
@given(
    grid=grids,
    kv_grid=st.none() | grids,
    spec=st.one_of(st.sampled_from(SPECS), st.builds(Nearby3D, extent=st.tuples(odd, odd, odd))),
    causal=st.booleans(),
    batch=st.integers(1, 2),
)
@settings(max_examples=25, deadline=None)
def test_any_grid_and_any_spec(
    backend: str, grid: Grid, kv_grid: Grid | None, spec: AttentionSpec, causal: bool, batch: int
) -> None:
    causal = causal and kv_grid is None
    assume(able(backend, spec, grid, kv_grid or grid, causal))
    q, k, v = tensors(grid, kv_grid or grid, torch.float64, batch)
    where = {"spec": spec, "grid": grid, "kv_grid": kv_grid, "causal": causal}
    for got, expected in zip(run(q, k, v, backend, **where), run(q, k, v, "reference", **where), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("backend", "spec", "grid", "kv_grid", "causal"), cases([(Grid(2, 3, 4), Grid(2, 3, 4), True)])
)
def test_heads_that_are_views_of_one_projection(
    backend: str, spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool
) -> None:
    """The usual layout: (b, s, 3, n, k) from one linear layer, so that heads are strided views."""
    packed = torch.randn(2, grid.size, 3, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    q, k, v = (x.transpose(1, 2).requires_grad_() for x in packed.unbind(2))
    assert not q.is_contiguous()
    where = {"spec": spec, "grid": grid, "kv_grid": kv_grid, "causal": causal}
    for got, expected in zip(run(q, k, v, backend, **where), run(q, k, v, "reference", **where), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("spec", [Full(), Nearby3D(extent=(3, 1, 1))], ids=str)
def test_padding_is_invisible(spec: AttentionSpec, causal: bool) -> None:
    """A text of 3 words in a grid of 5: the output is that of the short text, and padding gets no gradient."""
    grid, short = Grid(5, 1, 1), Grid(3, 1, 1)
    q, k, v = tensors(grid, grid, torch.float64, batch=2)
    key_mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    out = attend(q, k, v, spec=spec, grid=grid, causal=causal, key_mask=key_mask)
    expected = attend(*(x[1:, :, :3] for x in (q, k, v)), spec=spec, grid=short, causal=causal)
    torch.testing.assert_close(out[1:, :, :3], expected, rtol=0, atol=1e-12)
    for grad in torch.autograd.grad(out.sum(), (k, v)):
        assert not grad[1, :, 3:].any()
        assert grad[0, :, 3:].any()


@pytest.mark.parametrize(
    ("backend", "spec"),
    [
        (backend, spec)
        for backend in ("reference", *FAST)
        for spec in (Full(), Axial3D(), Nearby3D(extent=(1, 1, 1)))
        if able(backend, spec, Grid(1, 2, 3), Grid(1, 2, 3), False, key_mask=True)
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_query_without_keys_yields_zeros(dtype: torch.dtype, spec: AttentionSpec, backend: str) -> None:
    grid = Grid(1, 2, 3)
    q, k, v = tensors(grid, grid, dtype)
    key_mask = torch.tensor([[False] * 6, [True] * 6])
    out, *grads = run(q, k, v, backend, spec=spec, grid=grid, key_mask=key_mask)
    assert not out[0].any()
    assert out[1].all()
    for grad in grads:
        assert torch.isfinite(grad).all()
        assert not grad[0].any()
