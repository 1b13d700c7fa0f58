"""Named shapes that are timed, so that one name means one size in every table."""

from __future__ import annotations

from dataclasses import dataclass

from nuwa.grid import Grid
from nuwa.registry import Registry


@dataclass(frozen=True, kw_only=True)
class AttentionShape:
    """Queries, keys and values of one attention layer: ``batch`` samples on ``grid``, ``num_heads`` of ``head_width``."""

    grid: Grid
    batch: int
    num_heads: int
    head_width: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(b, n, s, k)."""
        return (self.batch, self.num_heads, self.grid.size, self.head_width)


ATTENTION_SHAPES: Registry[AttentionShape] = Registry("attention shape")

ATTENTION_SHAPES.add("tiny-image", AttentionShape(grid=Grid(1, 8, 8), batch=64, num_heads=4, head_width=32))
ATTENTION_SHAPES.add("tiny-video", AttentionShape(grid=Grid(5, 8, 8), batch=16, num_heads=4, head_width=32))
# NUWA-336 of the paper: 20 heads of 64, a picture of 21x21 tokens and a clip of ten such frames.
ATTENTION_SHAPES.add("paper-image", AttentionShape(grid=Grid(1, 21, 21), batch=4, num_heads=20, head_width=64))
ATTENTION_SHAPES.add("paper-video", AttentionShape(grid=Grid(10, 21, 21), batch=1, num_heads=20, head_width=64))
# Four times the tokens of the paper's clip with a quarter of the heads: an op that is linear in tokens takes the same time.
ATTENTION_SHAPES.add("long-video", AttentionShape(grid=Grid(40, 21, 21), batch=1, num_heads=5, head_width=64))
ATTENTION_SHAPES.add("wide-video", AttentionShape(grid=Grid(10, 42, 42), batch=1, num_heads=5, head_width=64))
