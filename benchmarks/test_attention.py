"""Attention by variant and backend: forward, forward with backward, and memory, each after agreement is asserted.

Two outside lines are timed beside ours: dense causal SDPA, and the 3D attention module of nuwa-pytorch with its projections
taken out, where that package is installed (``pip install nuwa-pytorch``). Ratios hold better than times: run a whole group
on a machine that does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.memory import peak_extra_bytes
from benchmarks.problems import ATTENTION_SHAPES, AttentionShape
from nuwa.attention import ATTENTION, BACKENDS, AttentionSpec, Full, Nearby3D, Problem, attend, cost

Timed = Callable[[Callable[[], Any]], Callable[[], Any]]
SHAPES = ["tiny-video", "paper-image", "paper-video"]
SCALING = ["paper-video", "long-video", "wide-video"]
TIMED = [name for name in BACKENDS if name not in ("reference", "dense")]


def tensors(shape: AttentionShape, device: torch.device, grad: bool = False) -> list[Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    return [torch.randn(shape.shape, generator=generator, device=device).requires_grad_(grad) for _ in range(3)]


def skip_unless_able(backend: str, spec: AttentionSpec, shape: AttentionShape, device: torch.device) -> None:
    problem = Problem(
        spec=spec,
        grid=shape.grid,
        kv_grid=shape.grid,
        causal=True,
        device=device.type,
        head_width=shape.head_width,
    )
    reason = BACKENDS[backend].why_not(problem)
    if reason is not None:
        pytest.skip(reason)


def assert_agrees(backend: str, spec: AttentionSpec, shape: AttentionShape, device: torch.device) -> None:
    """One head of the shape against the float64 reference."""
    q, k, v = (x[:1, :1].detach() for x in tensors(shape, device))
    found = attend(q, k, v, spec=spec, grid=shape.grid, causal=True, backend=backend)
    expected = attend(q, k, v, spec=spec, grid=shape.grid, causal=True, backend="reference")
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 if device.type == "cpu" else 5e-3)


def with_gradients(operation: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: list[Tensor]) -> Callable[[], Any]:
    weight = torch.ones_like(inputs[0])
    return lambda: torch.autograd.grad(operation(*inputs), inputs, weight)


@pytest.mark.parametrize("backend", TIMED)
@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("shape_name", SHAPES)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward+backward"])
def test_causal(
    benchmark: BenchmarkFixture,
    timed: Timed,
    device: torch.device,
    backward: bool,
    shape_name: str,
    name: str,
    backend: str,
) -> None:
    shape, spec = ATTENTION_SHAPES[shape_name], ATTENTION[name]()
    skip_unless_able(backend, spec, shape, device)
    assert_agrees(backend, spec, shape, device)
    benchmark.group = f"causal attention, {shape_name}, {'forward and backward' if backward else 'forward'}"
    inputs = tensors(shape, device, grad=backward)

    def operation(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, spec=spec, grid=shape.grid, causal=True, backend=backend)

    run = with_gradients(operation, inputs) if backward else lambda: operation(*inputs)
    run()  # compiles, where there is something to compile
    spent = cost(
        spec, shape.grid, causal=True, num_heads=shape.num_heads, head_width=shape.head_width, batch=shape.batch
    )
    benchmark.extra_info["gflop"] = spent.flops * (3.5 if backward else 1) / 1e9
    benchmark.extra_info["peak_extra_in_sizes_of_q"] = peak_extra_bytes(run, device) / inputs[0].nbytes
    benchmark(timed(run))


@pytest.mark.parametrize("backend", ["local", "local-compiled"])
@pytest.mark.parametrize("shape_name", SCALING)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward+backward"])
def test_nearby_is_linear_in_tokens(
    benchmark: BenchmarkFixture, timed: Timed, device: torch.device, backward: bool, shape_name: str, backend: str
) -> None:
    """Equal numbers of tokens times heads, so that equal times mean linear growth."""
    shape, spec = ATTENTION_SHAPES[shape_name], Nearby3D()
    skip_unless_able(backend, spec, shape, device)
    benchmark.group = f"nearby3d at 88,200 tokens x heads, {'forward and backward' if backward else 'forward'}"
    inputs = tensors(shape, device, grad=backward)

    def operation(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, spec=spec, grid=shape.grid, causal=True, backend=backend)

    run = with_gradients(operation, inputs) if backward else lambda: operation(*inputs)
    run()
    benchmark(timed(run))


@pytest.mark.parametrize("shape_name", SHAPES)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward+backward"])
def test_dense_causal_sdpa(
    benchmark: BenchmarkFixture, timed: Timed, device: torch.device, backward: bool, shape_name: str
) -> None:
    """The bar: what any transformer would call."""
    shape = ATTENTION_SHAPES[shape_name]
    assert_agrees("sdpa", Full(), shape, device)
    benchmark.group = f"causal attention, {shape_name}, {'forward and backward' if backward else 'forward'}"
    inputs = tensors(shape, device, grad=backward)

    def operation(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, is_causal=True)

    benchmark(timed(with_gradients(operation, inputs) if backward else lambda: operation(*inputs)))


class _Twice(nn.Module):
    """Stands in for a projection to keys and values: hands its input out as both."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, x), dim=-1)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward+backward"])
def test_nuwa_pytorch(benchmark: BenchmarkFixture, timed: Timed, device: torch.device, backward: bool) -> None:
    """``Sparse3DNA`` of nuwa-pytorch, causal per axis, with a begin token; projections replaced by nothing.

    Its pattern is not ours (it sees the past octant), so this compares time only: its window of 27 is the same.
    """
    package = pytest.importorskip("nuwa_pytorch.nuwa_pytorch")
    shape = ATTENTION_SHAPES["paper-video"]
    d = shape.num_heads * shape.head_width
    module = package.Sparse3DNA(
        dim=d,
        video_shape=shape.grid.shape,
        kernel_size=3,
        heads=shape.num_heads,
        dim_head=shape.head_width,
        causal=True,
    ).to(device)
    module.to_q, module.to_kv, module.to_out = nn.Identity(), _Twice(), nn.Identity()
    benchmark.group = f"causal attention, paper-video, {'forward and backward' if backward else 'forward'}"
    x = torch.randn(shape.batch, shape.grid.size + 1, d, device=device, requires_grad=backward)
    assert module(x).shape == x.shape

    def run() -> Any:
        return torch.autograd.grad(module(x).sum(), x) if backward else module(x)

    benchmark.pedantic(timed(run), rounds=3, iterations=1, warmup_rounds=1)
