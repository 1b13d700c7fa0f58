"""The Triton kernels in Triton's interpreter, on a CPU: cases from standard input, errors against float64 to standard output.

A process of its own, with TRITON_INTERPRET=1 in its environment: that is read when kernels are defined.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton.language as tl
from torch import Tensor
from triton.runtime.interpreter import InterpreterBuilder

from nuwa import Grid
from nuwa.attention import Nearby3D, Problem, attend, nearby_triton
from nuwa.attention.tiles import Blocks

multiplied = InterpreterBuilder.create_dot


def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
    """The interpreter keeps bfloat16 as integers, and would multiply these."""
    a, b = (self.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x for x in (a, b))
    return multiplied(self, a, b, *rest)


InterpreterBuilder.create_dot = create_dot


def with_gradients(out: Tensor, inputs: list[Tensor], weight: Tensor) -> list[Tensor]:
    return [out.detach(), *torch.autograd.grad((out * weight.to(out.dtype)).sum(), inputs)]


def errors(case: dict[str, Any]) -> list[float]:
    """Of the output and the gradients of q, k and v: the largest in single precision, relative to the whole otherwise.

    A gradient that is nought by definition, such as that of the query of a lone cell, counts as one of size 1.
    """
    grid, spec, dtype = Grid(*case["grid"]), Nearby3D(extent=tuple(case["extent"])), getattr(torch, case["dtype"])
    b, n, width = case.get("batch", 1), case.get("heads", 1), case.get("width", 16)
    packed = torch.randn(b, grid.size, 3, n, width, generator=torch.Generator().manual_seed(0)).to(dtype)
    inputs = [x.transpose(1, 2).detach().requires_grad_() for x in packed.unbind(2)]  # views, as in a model
    if case.get("turned"):  # and some whose last axis is no run in memory
        inputs = [x.detach().mT.contiguous().mT.requires_grad_() for x in inputs]
    weight = torch.linspace(-1, 1, inputs[0].numel()).cos().reshape(inputs[0].shape).to(dtype)
    where = {"spec": spec, "grid": grid, "causal": case["causal"]}
    if "blocks" in case:
        nearby_triton.blocks = lambda *_, **__: Blocks(**case["blocks"])
    out = nearby_triton.nearby(*inputs, Problem.of(*inputs, kv_grid=None, key_mask=None, **where))
    found = with_gradients(out, inputs, weight)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    expected = with_gradients(attend(*exact, backend="reference", **where), exact, weight)
    assert all(x.dtype == dtype for x in found)
    differences = [(got.double() - true, true) for got, true in zip(found, expected, strict=True)]
    if dtype == torch.float32:
        return [float(difference.abs().max()) for difference, _ in differences]
    return [float(difference.norm() / (true.norm() if true.norm() > 1e-9 else 1)) for difference, true in differences]


def contract() -> None:
    """The operator's schema, shapes and gradient as PyTorch's compiler needs them; raises where one is wrong."""
    q, k, v = (torch.randn(1, 2, 12, 16, requires_grad=True) for _ in range(3))
    print(torch.library.opcheck(nearby_triton._attend, (q, k, v, [1, 3, 4], [0, 1, 1], True)), file=sys.stderr)


if __name__ == "__main__":
    contract()
    plain = nearby_triton.blocks
    found = []
    for case in json.load(sys.stdin):
        nearby_triton.blocks = plain
        found.append(errors(case))
    json.dump(found, sys.stdout)
