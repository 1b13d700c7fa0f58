"""Layers of the encoder and the decoder, pre-norm, over grids of tokens.

A layer is attention between two stretches of work on every cell alone, ``before`` and ``after``: those are what
:mod:`nuwa.training.compiled` compiles, each as one graph that all layers share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (b, n, s, k), of what ``qkv`` made of the cells (b, s, 3·d)."""
        q, k, v = (split_heads(part, self.num_heads) for part in qkv.chunk(3, dim=-1))
        return q, k, v


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

    def seen(self, q: Tensor, spec: AttentionSpec, grid: Grid, conditions: Sequence[Condition]) -> Tensor:
        """What cells on ``grid`` see of the conditions (b, n, s, k), by what ``q`` made of them (b, s, d).

        ``spec`` is for the conditions that bring none of their own.
        """
        q = split_heads(q, self.num_heads)
        seen = []
        for condition in conditions:
            k, v = self.project_memory(condition.memory)
            kv_grid = condition.grid if k.shape[2] == condition.grid.size else Grid(k.shape[2], 1, 1)
            found = attend(q, k, v, spec=condition.spec or spec, grid=grid, kv_grid=kv_grid, key_mask=condition.valid)
            seen.append(condition.where_present(found))
        return sum(seen[1:], start=seen[0])


class FeedForward(nn.Module):
    """Two linear maps around a GELU."""

    def __init__(self, d: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(d, ratio * d)
        self.down = nn.Linear(ratio * d, d)

    def forward(self, x: Tensor) -> Tensor:
        """x (b, s, d) to (b, s, d)."""
        return self.down(F.gelu(self.up(x)))


class Layer(nn.Module):
    """What both kinds of layers share.

    Attributes:
        recompute: keep only a layer's input for the backward pass, which then computes the rest anew: activation
            checkpointing (Chen et al., arXiv 1604.06174). The gradient is the same.
    """

    SEGMENTS = ("before", "after")
    """Methods that work on every cell alone."""

    recompute = False
    dropout: nn.Dropout

    def run(self, function: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """``function`` of the inputs, with or without keeping what its backward pass needs."""
        if not (self.recompute and torch.is_grad_enabled()):
            return function(*inputs)
        drops = bool(self.dropout.p)
        out: Tensor = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=drops)
        return out


class EncoderLayer(Layer):
    """C ← C + attention(norm C), then the feed-forward."""

    def __init__(self, d: int, num_heads: int, ff_ratio: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.ff_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = SelfAttention(d, num_heads)
        self.ff = FeedForward(d, ff_ratio)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, valid: Tensor | None) -> Tensor:
        """x (b, s, d) to (b, s, d); ``valid`` (b, s) bool is False on padding."""
        return self.run(self._forward, x, spec, grid, valid)

    def _forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, valid: Tensor | None) -> Tensor:
        q, k, v = self.attention.split(self.before(x))
        return self.after(x, attend(q, k, v, spec=spec, grid=grid, key_mask=valid))

    def before(self, x: Tensor) -> Tensor:
        """Queries, keys and values side by side (b, s, 3·d) of x (b, s, d)."""
        qkv: Tensor = self.attention.qkv(self.norm(x))
        return qkv

    def after(self, x: Tensor, own: Tensor) -> Tensor:
        """The layer's result (b, s, d) for x (b, s, d), which attended to itself (b, n, s, k)."""
        x = x + self.dropout(self.attention.out(merge_heads(own)))
        return x + self.dropout(self.ff(self.ff_norm(x)))


class DecoderLayer(Layer):
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
        return self.run(self._forward, x, spec, grid, conditions)

    def _forward(self, x: Tensor, spec: AttentionSpec, grid: Grid, conditions: Sequence[Condition]) -> Tensor:
        qkv, across = self.before(x)
        q, k, v = self.attention.split(qkv)
        own = attend(q, k, v, spec=spec, grid=grid, causal=True)
        return self.after(x, own, self.cross.seen(across, spec, grid, conditions))

    def before(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, keys and values side by side (b, s, 3·d) of x (b, s, d), and what asks the conditions (b, s, d)."""
        y = self.norm(x)
        return self.attention.qkv(y), self.cross.q(y)

    def after(self, x: Tensor, own: Tensor, seen: Tensor) -> Tensor:
        """The layer's result (b, s, d) for x (b, s, d), which attended to itself and to its conditions (b, n, s, k)."""
        x = x + self.dropout(self.attention.out(merge_heads(own)) + self.cross.out(merge_heads(seen)))
        return x + self.dropout(self.ff(self.ff_norm(x)))
