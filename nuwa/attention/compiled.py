"""The local kernel with all its offsets written out, for ``torch.compile`` to fuse into a few loops.

Same sums, same backward pass and same chunks as :mod:`nuwa.attention.local`, and three to four times its speed on a CPU. The
price is a C++ compiler and some ten to a hundred seconds for every new pair of window and grid, so it runs only when asked
for by name, as ``backend="local-compiled"``. One difference is left: a window's weights outside the grid are zeros that are
multiplied, so a NaN can spread further than its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from nuwa.attention import local, native
from nuwa.attention.backend import Backend, Problem
from nuwa.attention.shifts import Offset, Sliced, offsets
from nuwa.attention.spec import Nearby3D
from nuwa.attention.whole import VARIANTS, compile_whole
from nuwa.grid import Grid

MOST_OFFSETS = 64
"""Offsets that are written out; the time to compile grows faster than their number."""

CHUNK = 2**21
"""Numbers of a chunk of queries. Fused loops do not need it in the cache, and calling them has a price of its own."""


class Unrolled:
    """A :class:`nuwa.attention.shifts.Window` on one grid, whose neighbours are shifted runs of the padded raster."""

    def __init__(self, steps: Sequence[Offset], grid: Grid, device: str) -> None:
        sliced = Sliced(steps, grid, device)
        self.jumps = sliced.jumps
        self.absent = sliced.absent
        self.before, self.after = max(0, -min(self.jumps)), max(0, max(self.jumps))

    def dots(self, x: Tensor, y: Tensor, absent: float) -> Tensor:
        """As in :class:`nuwa.attention.shifts.Window`."""
        y = pad(y, (0, 0, self.before, self.after))
        found = [
            (x * y[:, self.before + jump :][:, : x.shape[1]]).sum(-1).masked_fill(gone, absent)
            for jump, gone in zip(self.jumps, self.absent, strict=True)
        ]
        return torch.stack(found)

    def spread(self, weights: Tensor, y: Tensor) -> Tensor:
        """As in :class:`nuwa.attention.shifts.Window`."""
        s = y.shape[1]
        y = pad(y, (0, 0, self.before, self.after))
        terms = [weights[i][..., None] * y[:, self.before + jump :][:, :s] for i, jump in enumerate(self.jumps)]
        return sum(terms[1:], start=terms[0])

    def collect(self, weights: Tensor, x: Tensor) -> Tensor:
        """As in :class:`nuwa.attention.shifts.Window`: a key at i hears from the query at i - jump."""
        s = x.shape[1]
        x = pad(x, (0, 0, self.after, self.before))
        weights = pad(weights, (self.after, self.before))
        terms = [
            weights[i, :, self.after - jump :][:, :s, None] * x[:, self.after - jump :][:, :s]
            for i, jump in enumerate(self.jumps)
        ]
        return sum(terms[1:], start=terms[0])


@lru_cache(maxsize=VARIANTS)
def _compiled(spec: Nearby3D, grid: Grid, causal: bool, device: str) -> tuple[local.Forward, local.Backward]:
    with torch.inference_mode(False):
        near = Unrolled(offsets(spec, grid, causal), grid, device)
    return compile_whole(partial(local.forward, near)), compile_whole(partial(local.backward, near))


def local_compiled(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Nearby self attention through compiled loops, (b, n, s, k). The first call for a window and a grid compiles."""
    assert isinstance(problem.spec, Nearby3D)
    assert key_mask is None
    functions = _compiled(problem.spec, problem.grid, problem.causal, str(q.device))
    return local.in_chunks(q, k, v, *functions, equal=CHUNK)


def why_not(problem: Problem) -> str | None:
    """None for nearby self attention with a modest window, where there is a compiler."""
    reason = local.why_not(problem)
    if reason is not None:
        return reason
    assert isinstance(problem.spec, Nearby3D)
    if problem.grid != problem.kv_grid:
        return f"it computes attention on one grid, and the grids are {problem.grid} and {problem.kv_grid}"
    count = len(offsets(problem.spec, problem.grid, problem.causal))
    if count > MOST_OFFSETS:
        return f"it writes out up to {MOST_OFFSETS} offsets, and this window has {count}"
    if problem.device == "cpu" and native.compiler() is None:
        return native.NO_COMPILER
    return None


BACKEND = Backend(run=local_compiled, why_not=why_not)
