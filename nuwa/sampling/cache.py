"""Attention of the cells of one decoding step over cached keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Rows:
    """Rows of an attention pattern: who the cells of a step see, ready to be looked up again and again.

    Keys are gathered where the cells see few of them, otherwise all keys up to the last one seen are masked.

    Args:
        seen: bool (m, s), the keys that each of m cells sees.
        place: (s,) int64, where each key lies in the cache; in their own order where it is not given.
        device: of the cache.
    """

    def __init__(self, seen: Tensor, place: Tensor | None = None, device: torch.device | str = "cpu") -> None:
        row, key = seen.nonzero(as_tuple=True)
        at = key if place is None else place[key]
        reach = int(at.max()) + 1
        count = seen.sum(dim=1)
        widest = int(count.max())
        self.visible: Tensor | None = None
        self.index: Tensor | None = None
        if len(seen) * widest < reach:
            # Cells with fewer keys repeat their first one, whose weight is taken away again.
            exists = torch.arange(widest) < count[:, None]
            index = at[count.cumsum(0) - count][:, None].repeat(1, widest)
            index[exists] = at
            self.index = index.flatten().to(device)
            self.shape = index.shape
            self.absent = None if bool(exists.all()) else (~exists)[..., None, None, None].to(device)
        else:
            visible = torch.zeros(len(seen), reach, dtype=torch.bool)
            visible[row, at] = True
            self.reach = reach
            self.visible = None if bool(visible.all()) else visible.to(device)

    @property
    def gathers(self) -> bool:
        """Whether keys are fetched one by one."""
        return self.index is not None

    def attend(self, q: Tensor, kv: Tensor, valid: Tensor | None = None) -> Tensor:
        """Queries (b, n, m, k) of the cells over keys and values (2, s, b, n, k): (b, n, m, k).

        ``valid`` bool (b, s) is False on padding; a cell that sees nothing else gets zeros.
        """
        if self.index is not None:
            keys, values = kv.index_select(1, self.index).unflatten(1, self.shape)  # (m, j, b, n, k) each
            absent = self.absent
            if valid is not None:
                padding = ~valid.T.index_select(0, self.index).unflatten(0, self.shape)[..., None, None]
                absent = padding if absent is None else absent | padding
            q = q.permute(2, 0, 1, 3)[:, None] * q.shape[-1] ** -0.5  # (m, 1, b, n, k)
            scores = (q * keys).sum(dim=-1, keepdim=True)
            if absent is not None:
                scores = scores.masked_fill(absent, torch.finfo(scores.dtype).min)
            weights = scores.softmax(dim=1)
            if valid is not None and absent is not None:  # padding may have left a cell with nothing to see
                weights = weights.masked_fill(absent, 0.0)
            return (weights * values).sum(dim=1).permute(1, 2, 0, 3)
        visible = self.visible
        if valid is not None:
            there = valid[:, None, None, : self.reach]
            visible = there if visible is None else visible & there
        k, v = kv[:, : self.reach].permute(0, 2, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)


class KeyValueCache:
    """Keys and values of one layer in so many places, overwritten as places are reused.

    ``kv`` is (2, places, b, n, k): the places come first, so that writing and gathering cells moves whole slices of memory.
    """

    def __init__(self, b: int, num_heads: int, places: int, head_width: int, like: Tensor) -> None:
        self.kv = like.new_zeros(2, places, b, num_heads, head_width)

    def write(self, places: Tensor, kv: Tensor) -> None:
        """Store keys and values (2, b, n, m, k) in the places (m,)."""
        self.kv.index_copy_(1, places, kv.permute(0, 3, 1, 2, 4))


def cached(k: Tensor, v: Tensor) -> Tensor:
    """Keys and values (b, n, s, k) of a condition, which stay as they are, laid out as in a cache: (2, s, b, n, k)."""
    return torch.stack([k.permute(2, 0, 1, 3), v.permute(2, 0, 1, 3)])
