"""``torch.compile`` that fails where it cannot compile: left alone, it runs slowly instead, and nobody is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

VARIANTS = 256
"""Compiled variants of one function that are kept, counting windows, grids, dtypes and head widths."""


def compile_whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled as one graph for each set of sizes that it meets.

    After eight of them ``torch.compile`` goes over to the function as it is written: FlexAttention would then make the whole
    matrix of scores. So the limit is set here, and what is beyond it, or cannot be compiled, raises. Sizes are fixed, as
    index arithmetic on symbols takes the compiler minutes.
    """
    compiled = torch.compile(function, fullgraph=True, dynamic=False)

    from torch._dynamo import config  # seconds to import, and needed only here

    def run(*arguments: Any, **named: Any) -> Any:
        with config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=16 * VARIANTS):
            return compiled(*arguments, **named)

    return run
