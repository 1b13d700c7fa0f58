"""Every backend on a GPU against the reference, forward and backward; and what the Triton kernels promise beside that.

python -m pytest tests/attention -m gpu
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.attention import ATTENTION, BACKENDS, AttentionSpec, Nearby3D, Problem, attend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:::torch"),  # the compiler's advice on precision, and its own affairs
]
GRID = Grid(5, 7, 9)
CROSS = (GRID, Grid(3, 8, 4), False)
PLACES = [(GRID, GRID, True), (GRID, GRID, False), CROSS]
BOUNDS = {torch.float32: 2e-5, torch.float16: 2e-2, torch.bfloat16: 2e-2}
IDS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def tensors(grid: Grid, kv_grid: Grid, dtype: torch.dtype, width: int = 32, n: int = 3, b: int = 2) -> list[Tensor]:
    """Heads as a model makes them: views of one projection of the tokens, (b, s, n·k)."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(b, x.size, 2 * n * width, generator=generator) for x in (grid, kv_grid, kv_grid)]
    views = [x.to("cuda", dtype)[..., n * width :].unflatten(-1, (n, width)).transpose(1, 2) for x in made]
    return [x.requires_grad_() for x in views]


def run(inputs: list[Tensor], backend: str, weight: Tensor, **where: object) -> list[Tensor]:
    out = attend(*inputs, backend=backend, **where)
    return [out.detach(), *torch.autograd.grad((out * weight.to(out.dtype)).sum(), inputs)]


def assert_agrees(inputs: list[Tensor], backend: str, bound: float, **where: object) -> None:
    weight = torch.linspace(-1, 1, inputs[0].numel(), device="cuda").cos().view(inputs[0].shape).to(inputs[0].dtype)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    found, expected = run(inputs, backend, weight, **where), run(exact, "reference", weight, **where)
    for name, got, true in zip(("output", "q", "k", "v"), found, expected, strict=True):
        error = got.double() - true
        size = float(true.norm())  # nought for the gradient of the query of a lone cell
        half = got.dtype != torch.float32
        difference = float(error.norm()) / (size if size > 1e-9 else 1) if half else float(error.abs().max())
        assert difference <= bound, f"{name}: {difference:.1e}"


def cases() -> list[object]:
    """Every backend that takes the rest on a GPU, in single and in half precision."""
    made = []
    for backend in (name for name in BACKENDS if name not in ("reference", "local-compiled")):
        for name in ATTENTION:
            for grid, kv_grid, causal in PLACES:
                for dtype in (torch.float32, torch.bfloat16):
                    place = {"spec": ATTENTION[name](), "grid": grid, "kv_grid": kv_grid, "causal": causal}
                    problem = Problem(**place, device="cuda", dtype=dtype, head_width=32)
                    if BACKENDS[backend].why_not(problem) is None and (backend != "flex" or causal):  # it compiles long
                        where = "causal" if causal else "self" if grid == kv_grid else "cross"
                        made.append(pytest.param(backend, place, dtype, id=f"{backend}-{name}-{where}-{IDS[dtype]}"))
    return made


@pytest.mark.parametrize(("backend", "place", "dtype"), cases())
def test_agrees_with_the_reference(backend: str, place: dict[str, object], dtype: torch.dtype) -> None:
    inputs = tensors(place["grid"], place["kv_grid"], dtype)
    others = {"flex": 2e-2}.get(backend, 1e-4)  # theirs to say: TF32 products, or three of them for one
    ours = backend == "triton" or dtype != torch.float32
    assert_agrees(inputs, backend, BOUNDS[dtype] if ours else others, **place)


@pytest.mark.parametrize(
    ("grid", "spec", "causal", "dtype", "width"),
    [
        (Grid(1, 1, 1), Nearby3D(), True, torch.bfloat16, 64),
        (Grid(2, 13, 37), Nearby3D(extent=(3, 5, 7)), True, torch.bfloat16, 64),
        (Grid(2, 13, 37), Nearby3D(extent=(3, 5, 7)), False, torch.float16, 128),
        (Grid(6, 4, 5), Nearby3D(extent=(None, 3, None)), True, torch.bfloat16, 16),
        (Grid(6, 4, 5), Nearby3D(extent=(None, None, None)), True, torch.float32, 64),
        (Grid(77, 1, 1), Nearby3D(extent=(5, 1, 1)), False, torch.float32, 128),
        (Grid(4, 32, 32), Nearby3D(), True, torch.bfloat16, 64),
    ],
    ids=str,
)
def test_triton_on_awkward_grids(grid: Grid, spec: AttentionSpec, causal: bool, dtype: torch.dtype, width: int) -> None:
    inputs = tensors(grid, grid, dtype, width)
    assert_agrees(inputs, "triton", BOUNDS[dtype], spec=spec, grid=grid, causal=causal)


def nearby(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attend(q, k, v, spec=Nearby3D(), grid=GRID, causal=True, backend="triton")


def test_triton_repeats_itself_to_the_last_bit() -> None:
    inputs = tensors(GRID, GRID, torch.bfloat16)
    weight = torch.ones_like(inputs[0])
    where = {"spec": Nearby3D(), "grid": GRID, "causal": True}
    for one, other in zip(run(inputs, "triton", weight, **where), run(inputs, "triton", weight, **where), strict=True):
        assert torch.equal(one, other)


def test_triton_leaves_precision_to_the_caller() -> None:
    inputs = tensors(GRID, GRID, torch.float32)
    expected = nearby(*inputs)
    with torch.autocast("cuda", torch.bfloat16):
        out = nearby(*inputs)
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)


def test_triton_in_a_compiled_function() -> None:
    inputs = tensors(GRID, GRID, torch.bfloat16)

    def layer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nearby(q * 2, k, v).transpose(1, 2).flatten(2).sin()

    out, compiled = layer(*inputs), torch.compile(layer, fullgraph=True)(*inputs)
    torch.testing.assert_close(compiled, out, rtol=2e-2, atol=2e-2)
    for got, expected in zip(
        torch.autograd.grad(compiled.sum(), inputs), torch.autograd.grad(out.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)


def test_triton_reaches_beyond_two_to_the_thirty_first() -> None:
    """Rows so far apart that their distances need 64 bits, as in the projections of a very long clip."""
    grid, apart = Grid(8, 64, 64), 2**17
    if torch.cuda.mem_get_info()[0] < 10 * 2**30:
        pytest.skip("needs 10 GiB of free memory")
    memory = torch.empty(grid.size * apart, dtype=torch.bfloat16, device="cuda")
    near = tensors(grid, grid, torch.bfloat16, n=1, b=1)
    far = [memory.as_strided((1, 1, grid.size, 32), (0, 0, apart, 1), 32 * i) for i in range(3)]
    for x, y in zip(far, near, strict=True):
        x.copy_(y.detach())
    far = [x.detach().requires_grad_() for x in far]
    weight, where = torch.ones_like(near[0]), {"spec": Nearby3D(), "grid": grid, "causal": True}
    for got, expected in zip(run(far, "triton", weight, **where), run(near, "triton", weight, **where), strict=True):
        assert torch.equal(got, expected)
