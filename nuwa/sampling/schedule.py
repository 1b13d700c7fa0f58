"""Which cells can be decoded together, computed from what each cell depends on.

A cell's input is made from the *tokens* of the cells that its stem admits, so it waits until those are drawn. Its layers
look at the *states* of the cells that the attention admits; a state needs no drawn token of its own cell, so cells of one
step may look at each other. Nothing is assumed of the variants: any mixture gives its own schedule, and the tokens are those
of one-by-one decoding.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def schedule(stem: Tensor, attention: Iterable[Tensor], known: Tensor | None = None) -> list[Tensor]:
    """Cells in the order of decoding, as one int64 tensor of cells (raster order) for every step.

    Args:
        stem: bool (s, s), row reads the token of column, column earlier than row.
        attention: causal bool masks (s, s) of the distinct layers, row sees the state of column.
        known: bool (s,), cells whose token is given. Nothing waits for their tokens, so all that depends on given tokens
            alone falls into the first step: that is the prefill.

    Returns:
        Every cell once. Given cells are part of it, since later cells look at their states.
    """
    token_edges = np.tril(stem.numpy(), -1)
    state_edges = np.zeros_like(token_edges)
    for mask in attention:
        state_edges |= np.tril(mask.numpy(), -1)
    if known is not None:
        token_edges = token_edges & ~known.numpy()[None, :]

    step = np.zeros(len(token_edges), dtype=np.int64)
    for cell in range(1, len(step)):
        tokens, states = step[:cell][token_edges[cell, :cell]], step[:cell][state_edges[cell, :cell]]
        step[cell] = max(tokens.max(initial=-1) + 1, states.max(initial=0))
    order = np.argsort(step, kind="stable")
    edges = np.flatnonzero(np.diff(step[order])) + 1
    return [torch.from_numpy(cells) for cells in np.split(order, edges)]
