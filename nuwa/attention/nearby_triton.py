"""Nearby attention on a GPU: fused Triton kernels for windows on one grid, forward and backward, without a mask or a list.

The kernels (:mod:`nuwa.attention.nearby_kernels`) read what a tile of queries shares once, multiply on the tensor cores, and
sum in float32. They are compiled on first use for a window, a dtype and a head width, in seconds, and serve every grid. The
gradient has no sum that depends on the order of threads: it is the same in every run. Queries, keys and values may be strided
views; results lie in memory as (b, s, n, k), so that heads are merged without a copy. A NaN in a value can spread as far as
the tiles that read it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nuwa.attention.backend import TRITON, Backend, Problem
from nuwa.attention.masks import CACHED
from nuwa.attention.spec import Extent, Nearby3D
from nuwa.attention.tiles import MOST_BITS, Blocks, Reach, Tiling, reach, tiling
from nuwa.grid import Grid

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
WIDTHS = (16, 32, 64, 128)
LEAST_CAPABILITY = (8, 0)


def nearby(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Nearby self attention by the fused kernels, (b, n, s, k)."""
    assert isinstance(problem.spec, Nearby3D)
    assert key_mask is None
    reaches = reach(problem.spec, problem.grid)
    out: Tensor = _attend(q, k, v, list(problem.grid.shape), list(reaches), problem.causal)[0]
    return out


def blocks(dtype: torch.dtype, width: int, backward: bool) -> Blocks:
    """Sizes of the work for heads of ``width``, by reasoning from what the compiler makes of them for a Hopper GPU.

    In half precision 64 rows and 4 warps are what its tensor cores work on straight from shared memory. Longer blocks mean
    fewer instructions, as long as sums and scores stay in registers; limiting these lets a third program in beside two.
    Single precision has no tensor cores here: its products are written out, which only short blocks can afford.
    """
    if dtype == torch.float32:
        return Blocks(rows=16, columns=16 if backward or width > 64 else 32, warps=4 if width > 64 else 2)
    if width > 64:
        return Blocks(rows=64, columns=32, warps=4)
    return Blocks(rows=64, columns=64, warps=4, registers=168 if backward and width == 64 else None)


def forward(
    q: Tensor, k: Tensor, v: Tensor, grid: Grid, reaches: Reach, causal: bool, sizes: Blocks
) -> tuple[Tensor, Tensor]:
    """Output (b, n, s, k) and log2 of the sums of exponentials (b, n, s) float32, both without a gradient."""
    from nuwa.attention import nearby_kernels

    b, n, s, _ = q.shape
    q, k, v = (_dense_rows(x) for x in (q, k, v))
    out, lse = _like(q), q.new_empty(b, n, s, dtype=torch.float32)
    box, tiles, named = _prepared(grid, reaches, causal, sizes, q.dtype, q.shape[-1], q.device)
    with torch.cuda.device_of(q):
        nearby_kernels.forward[(tiles, n, b)](
            *(q, k, v, box, out, lse),
            *(stride for x in (q, k, v) for stride in x.stride()[:3]),
            *grid.shape,
            **named,
            **launch(sizes),
        )
    return out, lse


def backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    grid: Grid,
    reaches: Reach,
    causal: bool,
    sizes: Blocks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values, each (b, n, s, k), from the gradient of the output of :func:`forward`."""
    from nuwa.attention import nearby_kernels

    b, n, s, width = q.shape
    q, k, v, out, grad = (_dense_rows(x) for x in (q, k, v, out, grad))
    lse = lse.contiguous()
    delta, grad_q, grad_k, grad_v = torch.empty_like(lse), _like(q), _like(q), _like(q)
    box, tiles, named = _prepared(grid, reaches, causal, sizes, q.dtype, width, q.device)
    with torch.cuda.device_of(q):
        rows = 32
        nearby_kernels.products[(-(-s // rows), n, b)](
            *(out, grad, delta, *out.stride()[:3], *grad.stride()[:3], s), ROWS=rows, D=width, num_warps=2
        )
        nearby_kernels.backward[(2 * tiles, n, b)](
            *(q, k, v, box, grad, lse, delta, grad_q, grad_k, grad_v),
            *(stride for x in (q, k, v, grad) for stride in x.stride()[:3]),
            *grid.shape,
            **named,
            **launch(sizes),
        )
    return grad_q, grad_k, grad_v


@lru_cache(maxsize=4 * CACHED)
def _prepared(
    grid: Grid, reaches: Reach, causal: bool, sizes: Blocks, dtype: torch.dtype, width: int, device: torch.device
) -> tuple[Tensor, int, dict[str, Any]]:
    """The box's table on ``device``, the number of tiles, and the constants of the kernels."""
    made = tiling(grid, reaches, causal, sizes.rows, sizes.columns)
    with torch.inference_mode(False):
        box = made.table(grid, sizes.columns, device)
    return box, made.count(grid), constants(made, causal, sizes, dtype, width)


def constants(made: Tiling, causal: bool, sizes: Blocks, dtype: torch.dtype, width: int) -> dict[str, Any]:
    """The constants of the forward and the backward kernel."""
    return {
        **made.constants(),
        "PADDED": math.prod(made.box) + sizes.columns,
        "CAUSAL": causal,
        "SCALE": float(width) ** -0.5,
        "PRECISION": "ieee" if dtype == torch.float32 else "tf32",  # half precision has no choice
        "ROWS": sizes.rows,
        "COLUMNS": sizes.columns,
        "D": width,
    }


def launch(sizes: Blocks) -> dict[str, int]:
    """What a launch of the kernels is told beside their arguments."""
    limited = {} if sizes.registers is None else {"maxnreg": sizes.registers}
    return {"num_warps": sizes.warps, "num_stages": sizes.stages, **limited}


def _dense_rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _like(x: Tensor) -> Tensor:
    """Room for a result (b, n, s, k), which lies in memory as (b, s, n, k)."""
    b, n, s, k = x.shape
    return x.new_empty(b, s, n, k).transpose(1, 2)


# As operators of PyTorch the kernels are one node each for torch.compile, and autocast leaves their precision alone.

_SIZES = "int[] grid, int[] reaches, bool causal"


@torch.library.custom_op(
    "nuwa::nearby3d", mutates_args=(), schema=f"(Tensor q, Tensor k, Tensor v, {_SIZES}) -> (Tensor, Tensor)"
)
def _attend(
    q: Tensor, k: Tensor, v: Tensor, grid: Sequence[int], reaches: Sequence[int], causal: bool
) -> tuple[Tensor, Tensor]:
    t, h, w = reaches
    return forward(q, k, v, Grid(*grid), (t, h, w), causal, blocks(q.dtype, q.shape[-1], backward=False))


@torch.library.custom_op(
    "nuwa::nearby3d_backward",
    mutates_args=(),
    schema=f"(Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse, Tensor grad, {_SIZES}) -> (Tensor, Tensor, Tensor)",
)
def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    grid: Sequence[int],
    reaches: Sequence[int],
    causal: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    t, h, w = reaches
    sizes = blocks(q.dtype, q.shape[-1], backward=True)
    return backward(q, k, v, out, lse, grad, Grid(*grid), (t, h, w), causal, sizes)


@_attend.register_fake
def _(q: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return _like(q), q.new_empty(q.shape[:3], dtype=torch.float32)


@_gradients.register_fake
def _(q: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(q), _like(q), _like(q)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, *ctx.sizes = inputs
    ctx.save_for_backward(q, k, v, *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 6
    return (*_gradients(*ctx.saved_tensors, grad, *ctx.sizes), None, None, None)


_attend.register_autograd(_differentiate, setup_context=_keep)


def why_not(problem: Problem) -> str | None:
    """None for nearby self attention on a GPU with tensor cores, in single or half precision, without a key_mask."""
    if not isinstance(problem.spec, Nearby3D):
        return f"it computes nearby3d only, and the spec is {problem.spec}"
    if problem.device != "cuda":
        return f"its kernels run on CUDA, and this is {problem.device}"
    if not TRITON:
        return "its kernels are written in Triton, which is not installed"
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < LEAST_CAPABILITY:
        return f"it needs a GPU of compute capability 8.0 or higher, and this is {torch.cuda.get_device_name()}"
    if problem.dtype not in DTYPES:
        return f"it takes {', '.join(map(str, DTYPES))}, and this is {problem.dtype}"
    if problem.head_width not in WIDTHS:
        return f"it takes heads {', '.join(map(str, WIDTHS))} wide, and these are {problem.head_width} wide"
    if problem.key_mask:
        return "it takes no key_mask"
    if problem.grid != problem.kv_grid:
        return f"it takes queries and keys on one grid, and these are {problem.grid} and {problem.kv_grid}"
    bits = _bits(problem.grid.shape, problem.spec.extent, problem.causal, problem.dtype, problem.head_width)
    if bits > MOST_BITS:
        return f"it packs the cells around a tile into {MOST_BITS} bits, and these need {bits}"
    return None


@torch.compiler.assume_constant_result  # which torch.compile asks for and does not follow
def _bits(shape: tuple[int, int, int], extent: Extent, causal: bool, dtype: torch.dtype, width: int) -> int:
    """Bits that the cells around a tile need, forward or backward."""
    grid = Grid(*shape)
    every = [blocks(dtype, width, backward) for backward in (False, True)]
    reaches = reach(Nearby3D(extent=extent), grid)
    return max(tiling(grid, reaches, causal, sizes.rows, sizes.columns).bits for sizes in every)


BACKEND = Backend(run=nearby, why_not=why_not)
