"""Layers of the encoder and the decoder, pre-norm, over grids of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.attention import AttentionSpec, attend
from nuwa.grid import Grid


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something to generate from, seen by cross-attention."""

    grid: Grid
    spec: AttentionSpec | None  # how the target sees it; None: as each layer of the decoder sees the target itself
    memory: Tensor  # (b, s', d); s' may be less than the grid's size for a short text, which is seen whole
    valid: Tensor | None = None  # (b, s') bool, False on padding
    present: Tensor | None = None  # (b,) bool, False for samples that do without it

    def where_present(self, seen: Tensor) -> Tensor:
        """What was seen of it (b, n, s, k), zeros for the samples that do without it."""
        return seen if self.present is None else seen * self.present[:, None, None, None]


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(b, s, n·k) to (b, n, s, k)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(b, n, s, k) to (b, s, n·k)."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Projections of self-attention; the attention between them is the layer's spec."""

    def __init__(self, d: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (b, n, s, k), of x (b, s, d)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return split_heads(q, self.num_heads), split_heads(k, self.num_heads), split_heads(v, self.num_heads)

    def forward(
        self, x: Tensor, spec: AttentionSpec, grid: Grid, *, causal: bool, valid: Tensor | None = None
    ) -> Tensor:
        """x (b, s, d) to (b, s, d); ``valid`` (b, s) bool is False on padding."""
        q, k, v = self.project(x)
        return self.out(merge_heads(attend(q, k, v, spec=spec, grid=grid, causal=causal, key_mask=valid)))


class CrossAttention(nn.Module):
    """From the target to its conditions; several conditions are summed."""

    def __init__(self, d: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(d, d)
        self.kv = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)

    def project_memory(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (b, n, s', k), of a condition's memory (b, s', d)."""
        k, v = self.kv(memory).chunk(2, dim=-1)
        return split_heads(k, self.num_heads), split_heads(v, self.num_heads)

    def forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, conditions: Sequence[Condition]) -> Tensor:
        """x (b, s, d) on ``grid`` to (b, s, d); ``spec`` is for the conditions that bring none of their own."""
        q = split_heads(self.q(x), self.num_heads)
        seen = []
        for condition in conditions:
            k, v = self.project_memory(condition.memory)
            kv_grid = condition.grid if k.shape[2] == condition.grid.size else Grid(k.shape[2], 1, 1)
            found = attend(q, k, v, spec=condition.spec or spec, grid=grid, kv_grid=kv_grid, key_mask=condition.valid)
            seen.append(condition.where_present(found))
        return self.out(merge_heads(sum(seen[1:], start=seen[0])))


class FeedForward(nn.Module):
    """Two linear maps around a GELU."""

    def __init__(self, d: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(d, ratio * d)
        self.down = nn.Linear(ratio * d, d)

    def forward(self, x: Tensor) -> Tensor:
        """x (b, s, d) to (b, s, d)."""
        return self.down(F.gelu(self.up(x)))


class EncoderLayer(nn.Module):
    """C ← C + attention(norm C), then the feed-forward."""

    def __init__(self, d: int, num_heads: int, ff_ratio: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.ff_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = SelfAttention(d, num_heads)
        self.ff = FeedForward(d, ff_ratio)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, valid: Tensor | None) -> Tensor:
        """x (b, s, d) to (b, s, d)."""
        x = x + self.dropout(self.attention(self.norm(x), spec, grid, causal=False, valid=valid))
        return x + self.dropout(self.ff(self.ff_norm(x)))


class DecoderLayer(nn.Module):
    """Y ← Y + self(norm Y) + cross(norm Y, C), the sum of the paper, then the feed-forward."""

    def __init__(self, d: int, num_heads: int, ff_ratio: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.ff_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = SelfAttention(d, num_heads)
        self.cross = CrossAttention(d, num_heads)
        self.ff = FeedForward(d, ff_ratio)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, conditions: Sequence[Condition]) -> Tensor:
        """x (b, s, d) to (b, s, d)."""
        y = self.norm(x)
        x = x + self.dropout(self.attention(y, spec, grid, causal=True) + self.cross(y, spec, grid, conditions))
        return x + self.dropout(self.ff(self.ff_norm(x)))
