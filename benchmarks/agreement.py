"""What has to hold before the clock starts: outputs and gradients are those of the definition.

The reference is taken in float64 for some hundred queries of the first head, so that it can be had on grids whose whole
mask would not fit in memory. A gradient of the output that is nought elsewhere makes the gradients of all keys and values
follow from these queries alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nuwa.attention import AttentionSpec
from nuwa.grid import Grid

QUERIES = 512
BOUNDS = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def passes(operation: Operation, inputs: Sequence[Tensor], weight: Tensor | None) -> Callable[[], list[Tensor]]:
    """One pass as it is timed: the output, or the three gradients where a gradient ``weight`` of the output is given.

    The output is let go before the backward pass, as in a network, whose next layer has no more use for it.
    """

    def forward() -> list[Tensor]:
        with torch.no_grad():
            return [operation(*inputs)]

    def both() -> list[Tensor]:
        edge = torch.autograd.graph.get_gradient_edge(operation(*inputs))
        return list(torch.autograd.grad(edge, inputs, weight))

    return forward if weight is None else both


def assert_agrees(
    operation: Operation, inputs: Sequence[Tensor], spec: AttentionSpec, grid: Grid, causal: bool, backward: bool
) -> tuple[float, float]:
    """The difference from the reference and the seconds of the first pass. AssertionError where the difference is too large.

    ``inputs`` are queries, keys and values (b, n, s, k), which need gradients where ``backward`` is asked for.
    """
    cells = _some_cells(grid).to(inputs[0].device)
    weight = None
    if backward:
        weight = torch.zeros_like(inputs[0])
        weight[0, 0, cells] = torch.randn_like(weight[0, 0, cells])
    start = time.perf_counter()
    found = passes(operation, inputs, weight)()
    if inputs[0].is_cuda:
        torch.cuda.synchronize()
    first_s = time.perf_counter() - start

    q, k, v = (x.detach()[0, 0].double().requires_grad_(backward) for x in inputs)
    out = _reference(q, k, v, spec, grid, causal, cells)
    if weight is None:
        pairs = [(found[0][0, 0, cells], out)]
    else:
        exact = torch.autograd.grad(out, (q, k, v), weight[0, 0, cells].double())
        pairs = [(got[0, 0], expected) for got, expected in zip(found, exact, strict=True)]
    dtype = inputs[0].dtype
    difference = max(_difference(got, expected, dtype) for got, expected in pairs)
    assert difference <= BOUNDS[dtype], f"{difference:.1e} from the reference, more than {BOUNDS[dtype]:.0e}"
    return difference, first_s


def _reference(q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec, grid: Grid, causal: bool, cells: Tensor) -> Tensor:
    """Rows ``cells`` of the definition, (m, k) float64, of one head (s, k)."""
    places = grid.coordinates(q.device)
    t, h, w = (axis[:, None] for axis in places[cells].unbind(1))
    kt, kh, kw = places.unbind(1)
    admitted = spec.admits((t, h, w), (kt, kh, kw)).expand(len(cells), grid.size)
    if causal:
        admitted = admitted & (torch.arange(grid.size, device=q.device) <= cells[:, None])
    scores = (q[cells] @ k.mT * q.shape[-1] ** -0.5).masked_fill(~admitted, -torch.inf)
    return scores.softmax(-1) @ v


def _difference(got: Tensor, expected: Tensor, dtype: torch.dtype) -> float:
    error = got.detach().double() - expected.detach()
    return float(error.abs().max()) if dtype == torch.float32 else float(error.norm() / expected.norm())


def _some_cells(grid: Grid) -> Tensor:
    """All cells of a small grid, else the first and the last ones and a draw of the others, ascending."""
    if grid.size <= QUERIES:
        return torch.arange(grid.size)
    ends = 64
    inner = (
        torch.randperm(grid.size - 2 * ends, generator=torch.Generator().manual_seed(0))[: QUERIES - 2 * ends] + ends
    )
    return torch.cat((torch.arange(ends), inner.sort().values, torch.arange(grid.size - ends, grid.size)))
