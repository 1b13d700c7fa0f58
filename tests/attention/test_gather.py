"""The kernel over listed keys: what it keeps to, whatever the layout, the number of threads and the compiler's state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.attention import ATTENTION, Axial3D, Full, Nearby3D, Problem, attend, choose, gather, mask, native
from nuwa.attention.rows import rows

WIDTHS = [8, 32]  # one that the kernel does not know, and one that it keeps in registers
needs_compiler = pytest.mark.skipif(native.compiler() is None, reason="needs a C++ compiler")
GRID = Grid(3, 4, 5)


def tensors(dtype: torch.dtype = torch.float32, width: int = 8, b: int = 2, grid: Grid = GRID) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(b, 3, grid.size, width, generator=generator).to(dtype).requires_grad_() for _ in range(3)]


def run(q: Tensor, k: Tensor, v: Tensor, backend: str = "gather", **where: object) -> list[Tensor]:
    out = attend(q, k, v, backend=backend, **{"spec": Nearby3D(), "grid": GRID, **where})
    return [out.detach(), *torch.autograd.grad(out.square().sum(), (q, k, v))]


@pytest.mark.parametrize(
    ("grid", "kv_grid", "causal"),
    [(GRID, GRID, True), (GRID, GRID, False), (GRID, Grid(2, 5, 3), False), (Grid(1, 1, 1), Grid(7, 1, 1), False)],
    ids=["causal", "self", "cross", "one cell"],
)
@pytest.mark.parametrize("name", ATTENTION)
def test_rows_are_those_of_the_mask(name: str, grid: Grid, kv_grid: Grid, causal: bool) -> None:
    spec = ATTENTION[name]()
    listed = rows(spec, grid, kv_grid, causal)
    expected = mask(spec, grid, kv_grid, causal)
    assert listed.first.tolist() == [0, *expected.sum(1).cumsum(0).tolist()]
    assert listed.key.tolist() == expected.nonzero()[:, 1].tolist()


@needs_compiler
@pytest.mark.parametrize("width", [1, 7, 32, 33, 64, 96])  # those the compiler knows, and others
@pytest.mark.parametrize("dtype", list(gather.DTYPES), ids=str)
def test_any_width(dtype: torch.dtype, width: int) -> None:
    q, k, v = tensors(dtype, width, b=1)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    bound = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 4e-3}[dtype]
    for got, expected in zip(run(q, k, v, causal=True), run(*exact, "reference", causal=True), strict=True):
        assert got.dtype == dtype
        assert float((got.double() - expected).norm()) <= bound * float(expected.norm())


@needs_compiler
@pytest.mark.parametrize("threads", [1, 3, 8])
@pytest.mark.parametrize("b", [1, 4], ids=["3 heads", "12 heads"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_number_of_threads_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, threads: int, b: int, width: int
) -> None:
    inputs = tensors(b=b, width=width)
    expected = run(*inputs)
    monkeypatch.setattr(gather, "PER_THREAD", 1)
    torch.set_num_threads(threads)
    for got, one in zip(run(*inputs), expected, strict=True):
        assert torch.equal(got, one)


@needs_compiler
def test_heads_that_are_views() -> None:
    """Strided heads of one projection, keys shared by all heads, and an output gradient that is one number repeated."""
    packed = torch.randn(2, GRID.size, 3, 3, 8, dtype=torch.float64)
    q, k, v = (x.transpose(1, 2).requires_grad_() for x in packed.unbind(2))
    shared = k.detach()[:, :1].expand(-1, 3, -1, -1).requires_grad_()
    for inputs in ((q, k, v), (q, shared, v)):
        ours, theirs = (
            torch.autograd.grad(attend(*inputs, spec=Axial3D(), grid=GRID, causal=True, backend=name).sum(), inputs)
            for name in ("gather", "reference")
        )
        for got, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


@needs_compiler
def test_gradients_against_finite_differences() -> None:
    grid = Grid(2, 2, 2)
    q, k, v = (x.detach()[:1, :1, :, :2].requires_grad_() for x in tensors(torch.float64, grid=grid))
    key_mask = torch.tensor([[True] * 6 + [False] * 2])
    assert torch.autograd.gradcheck(
        lambda *x: attend(*x, spec=Nearby3D(), grid=grid, key_mask=key_mask, backend="gather"), (q, k, v)
    )


@needs_compiler
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("name", ["nearby3d", "axial3d", "block3d"])
def test_keys_that_are_not_there(name: str, width: int) -> None:
    """In registers too: some keys are padding, in one sample all of a query's keys."""
    inputs = tensors(width=width)
    key_mask = torch.rand(2, GRID.size, generator=torch.Generator().manual_seed(1)) > 0.4
    key_mask[1, :30] = False
    exact = [x.detach().double().requires_grad_() for x in inputs]
    found, expected = (
        run(*x, backend, spec=ATTENTION[name](), key_mask=key_mask)
        for x, backend in ((inputs, "gather"), (exact, "reference"))
    )
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=1e-5)


@needs_compiler
def test_nothing_but_the_inputs_is_kept_for_the_backward_pass() -> None:
    inputs = tensors()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.data_ptr()) or x, lambda x: x):
        attend(*inputs, spec=Nearby3D(), grid=GRID, backend="gather")
    assert sorted(kept) == sorted(x.data_ptr() for x in inputs)


@needs_compiler
@pytest.mark.parametrize("dtype", list(gather.DTYPES), ids=str)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_broken_cell_spoils_its_window_only(dtype: torch.dtype, width: int) -> None:
    grid = Grid(4, 5, 6)
    broken = 2 * 30 + 2 * 6 + 3  # cell (2, 2, 3)
    q, k, v = (x.detach().clone() for x in tensors(dtype, width, grid=grid))
    k[1, 2, broken] = v[1, 2, broken] = float("nan")
    out = attend(q, k, v, spec=Nearby3D(), grid=grid, backend="gather").isnan().any(-1)
    near = (grid.coordinates() - grid.coordinates()[broken]).abs().amax(1) <= 1
    assert torch.equal(out[1, 2], near)
    out[1, 2] = False
    assert not out.any()


@needs_compiler
@pytest.mark.parametrize("width", WIDTHS)
def test_large_scores_stay_finite(width: int) -> None:
    q, k, v = (x.detach() * 1e4 for x in tensors(width=width))
    out = attend(q, k, v, spec=Nearby3D(), grid=GRID, backend="gather")
    expected = attend(q, k, v, spec=Nearby3D(), grid=GRID, backend="reference")
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda"}, "runs on the CPU, and this is cuda"),
        ({"dtype": torch.float16}, "and this is torch.float16"),
        ({"spec": Full()}, "full attention has them all"),
        ({"spec": Nearby3D(extent=(None, None, None)), "grid": Grid(14, 30, 30), "kv_grid": Grid(14, 30, 30)}, "pairs"),
    ],
)
def test_why_not(change: dict[str, object], reason: str) -> None:
    problem = Problem(**{"spec": Nearby3D(), "grid": GRID, "kv_grid": GRID, **change})
    with pytest.raises(ValueError, match=f"'gather' cannot run this: .*{reason}"):
        choose(problem, "gather")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "nuwa"


@needs_compiler
def test_a_source_is_compiled_once(elsewhere: Path, tmp_path: Path) -> None:
    source = tmp_path / "two.cpp"
    source.write_text('extern "C" int two() { return 2; }')
    library = native.library(source)
    assert not isinstance(library, str)
    assert library.two() == 2
    (made,) = elsewhere.iterdir()
    stamp = made.stat().st_mtime_ns
    native._library.__wrapped__(source)  # as another process would
    assert made.stat().st_mtime_ns == stamp


@needs_compiler
def test_a_compiler_that_fails_is_named_and_warned_of(elsewhere: Path, tmp_path: Path) -> None:
    source = tmp_path / "wrong.cpp"
    source.write_text("int two() { return")
    with pytest.warns(native.NativeWarning, match=r"could not compile wrong\.cpp"):
        reason = native.library(source)
    assert isinstance(reason, str)
    assert native.library(source) == reason  # once
    assert not list(elsewhere.iterdir())
