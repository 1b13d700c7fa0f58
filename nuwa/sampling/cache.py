"""Attention of the cells of one decoding step over cached keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class KeyValues:
    """Keys and values in so many places: of the cells of one layer, overwritten as places are reused, or of a condition.

    In memory the places come first, so that writing and gathering cells moves whole slices.

    Args:
        places: (2, s, b, n, k), keys and then values.
        valid: bool (b, s), False on padding, where there is any.
    """

    def __init__(self, places: Tensor, valid: Tensor | None = None) -> None:
        self.places, self.valid = places, valid
        self.k, self.v = places.permute(0, 2, 3, 1, 4).unbind()  # (b, n, s, k)
        self.bias = None if valid is None else _bias(valid, places.dtype)[:, None, None]

    @classmethod
    def of(cls, k: Tensor, v: Tensor, valid: Tensor | None = None) -> KeyValues:
        """Those of a condition, each (b, n, s, k)."""
        return cls(torch.stack([k.permute(2, 0, 1, 3), v.permute(2, 0, 1, 3)]), valid)

    def write(self, at: Tensor, kv: Tensor) -> None:
        """Store keys and values (2, b, n, m, k) in the places (m,) int64."""
        self.places.index_copy_(1, at, kv.permute(0, 3, 1, 2, 4))


class Rows:
    """Rows of an attention pattern: who the cells of a step see, ready to be looked up again and again.

    Keys are gathered where the cells see few of them, otherwise all keys up to the last one seen are masked.

    Args:
        seen: bool (m, s), the keys that each of m cells sees.
        place: (s,) int64, where each key lies in the cache; in their own order where it is not given.
        device: of the cache.
        dtype: of the cache.
    """

    def __init__(
        self,
        seen: Tensor,
        place: Tensor | None = None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        row, key = seen.nonzero(as_tuple=True)
        at = key if place is None else place[key]
        reach = int(at.max()) + 1
        count = seen.sum(dim=1)
        widest = int(count.max())
        self.bias: Tensor | None = None
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
            self.bias = None if bool(visible.all()) else _bias(visible.to(device), dtype)

    @property
    def gathers(self) -> bool:
        """Whether keys are fetched one by one."""
        return self.index is not None

    def attend(self, q: Tensor, keys: KeyValues) -> Tensor:
        """Queries (b, n, m, k) of the cells over keys and values: (b, n, m, k).

        A cell that sees nothing but padding gets zeros.
        """
        if self.index is not None:
            k, v = keys.places.index_select(1, self.index).unflatten(1, self.shape)  # (m, j, b, n, k)
            absent = self.absent
            if keys.valid is not None:
                padding = ~keys.valid.T.index_select(0, self.index).unflatten(0, self.shape)[..., None, None]
                absent = padding if absent is None else absent | padding
            q = q.permute(2, 0, 1, 3)[:, None] * q.shape[-1] ** -0.5  # (m, 1, b, n, k)
            scores = (q * k).sum(dim=-1, keepdim=True)
            if absent is not None:
                scores = scores.masked_fill(absent, torch.finfo(scores.dtype).min)
            weights = scores.softmax(dim=1)
            if keys.valid is not None and absent is not None:  # padding may have left a cell with nothing to see
                weights = weights.masked_fill(absent, 0.0)
            return (weights * v).sum(dim=1).permute(1, 2, 0, 3)
        k, v, bias = keys.k[:, :, : self.reach], keys.v[:, :, : self.reach], self.bias
        if keys.bias is not None:
            padding = keys.bias[..., : self.reach]
            bias = padding if bias is None else bias + padding
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _bias(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where something is seen and minus infinity elsewhere: what attention makes of a mask, made once.

    Rows begin at multiples of eight, as kernels on a GPU want them.
    """
    length = visible.shape[-1]
    bias = torch.zeros(*visible.shape[:-1], -(-length // 8) * 8, dtype=dtype, device=visible.device)[..., :length]
    return bias.masked_fill_(~visible, -torch.inf)
