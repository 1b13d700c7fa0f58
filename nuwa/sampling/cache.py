"""Attention of the cells of one decoding step over cached keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa.attention import AttentionSpec, mask, neighbours
from nuwa.grid import Grid


class Rows:
    """Rows of an attention pattern: who the given cells see, ready to be looked up again and again.

    Keys are gathered where the cells see few of them, otherwise all keys up to the last one seen are masked.
    """

    def __init__(
        self, spec: AttentionSpec, cells: Tensor, grid: Grid, kv_grid: Grid | None = None, *, causal: bool
    ) -> None:
        device = cells.device
        index, exists = neighbours(spec, grid, kv_grid, causal=causal, device=device)
        index, exists = index[cells], exists[cells]
        widest = int(exists.sum(dim=1).max())
        self.index, self.exists = index[:, :widest], exists[:, :widest]
        self.reach = int(self.index.max()) + 1
        self.gathers = self.index.numel() < self.reach
        if not self.gathers:
            self.visible = mask(spec, grid, kv_grid, causal=causal, device=device)[cells, : self.reach]
            if bool(self.visible.all()):
                self.visible = self.visible[:1]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None) -> Tensor:
        """Queries (b, n, m, k) of the cells over keys and values (b, n, s, k) of all cells: (b, n, m, k).

        ``valid`` bool (b, s) is False on padding.
        """
        if self.gathers and valid is None:
            keys, values = self._gather(k), self._gather(v)
            q = q.permute(2, 0, 1, 3)[:, None] * q.shape[-1] ** -0.5  # (m, 1, b, n, k)
            scores = (q * keys).sum(dim=-1, keepdim=True).masked_fill(~self.exists[..., None, None, None], -torch.inf)
            return (scores.softmax(dim=1) * values).sum(dim=1).permute(1, 2, 0, 3)
        visible = self.visible if not self.gathers else self._dense_rows(k.shape[2])
        k, v = k[:, :, : visible.shape[-1]], v[:, :, : visible.shape[-1]]
        if valid is not None:
            visible = visible & valid[:, None, None, : visible.shape[-1]]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)

    def _gather(self, x: Tensor) -> Tensor:
        """(m, j, b, n, k) of x (b, n, s, k): whole slices of memory where x comes from a cache."""
        return x.permute(2, 0, 1, 3).index_select(0, self.index.flatten()).unflatten(0, self.index.shape)

    def _dense_rows(self, length: int) -> Tensor:
        rows = torch.zeros(len(self.index), length, dtype=torch.bool, device=self.index.device)
        row, place = self.exists.nonzero(as_tuple=True)  # padding points at key 0, which a row may see for itself
        rows[row, self.index[row, place]] = True
        return rows


class KeyValueCache:
    """Keys and values of one layer for every cell of a grid, filled as the cells are computed.

    ``k`` and ``v`` are (b, n, s, k); in memory the cells come first, so that writing and gathering cells moves whole slices.
    """

    def __init__(self, b: int, num_heads: int, s: int, head_width: int, like: Tensor) -> None:
        self.k = like.new_zeros(s, b, num_heads, head_width).permute(1, 2, 0, 3)
        self.v = like.new_zeros(s, b, num_heads, head_width).permute(1, 2, 0, 3)

    def write(self, cells: Tensor, k: Tensor, v: Tensor) -> None:
        """Store keys and values (b, n, m, k) of the cells (m,)."""
        for kept, new in ((self.k, k), (self.v, v)):
            kept.permute(2, 0, 1, 3).index_copy_(0, cells, new.permute(2, 0, 1, 3))
