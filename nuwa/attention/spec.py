"""Attention variants: which cells of a grid a cell may see.

A variant is a small frozen dataclass that holds its own parameters and one rule, :meth:`AttentionSpec.admits`.
Everything else follows from the rule: masks, neighbour lists, decoding schedules, costs and pictures. A new variant is
one such class and one line that registers it.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import ClassVar, Literal, get_args

from torch import Tensor

from nuwa.registry import Registry

Axes = tuple[Tensor, Tensor, Tensor]
"""Coordinates along frames, rows and columns: three integer tensors that broadcast against each other."""

Axis = Literal["t", "h", "w"]

Extent = tuple[int | None, int | None, int | None]
"""One whole number per axis (frames, rows, columns) in tokens, or None for the whole axis."""


class AttentionSpec(abc.ABC):
    """Who sees whom, on a grid of any size."""

    name: ClassVar[str]

    @abc.abstractmethod
    def admits(self, centre: Axes, key: Axes) -> Tensor:
        """True where a query that stands on cell ``centre`` of the keys' grid may see cell ``key``.

        Both are integer coordinates in the keys' grid; the answer is bool and broadcasts to their common shape.
        """


@dataclass(frozen=True, kw_only=True)
class Full(AttentionSpec):
    """Every cell sees every cell: the dense attention of Vaswani et al. (arXiv 1706.03762)."""

    name: ClassVar[str] = "full"

    def admits(self, centre: Axes, key: Axes) -> Tensor:
        """Always."""
        return (centre[0] == centre[0]) & (key[0] == key[0])


@dataclass(frozen=True, kw_only=True)
class Block3D(AttentionSpec):
    """A cell sees the block it lies in: 3D block-sparse attention (arXiv 2111.12417, Table 7).

    Attributes:
        block: width of a block in tokens along (frames, rows, columns), None for the whole axis. Blocks start at cell
            (0, 0, 0); the last one on an axis may be smaller. The default tiles the paper's 10x21x21 grid exactly.

    Raises:
        ValueError: a width is below 1.
    """

    name: ClassVar[str] = "block3d"
    block: Extent = (5, 7, 7)

    def __post_init__(self) -> None:
        _check("block", self.block)

    def admits(self, centre: Axes, key: Axes) -> Tensor:
        """In the same block."""
        t, h, w = (
            (c == k) | True if width is None else c // width == k // width
            for c, k, width in zip(centre, key, self.block, strict=True)
        )
        return t & h & w


@dataclass(frozen=True, kw_only=True)
class Axial3D(AttentionSpec):
    """A cell sees the lines through it: axial attention (arXiv 1912.12180; arXiv 2111.12417, Table 7).

    Attributes:
        axes: along which the lines run. By default one layer sees all three; :func:`axial_in_turn` gives each layer one.

    Raises:
        ValueError: an axis is unknown or named twice, or none is named.
    """

    name: ClassVar[str] = "axial3d"
    axes: tuple[Axis, ...] = ("t", "h", "w")

    def __post_init__(self) -> None:
        known = get_args(Axis)
        if (
            not isinstance(self.axes, tuple)
            or not self.axes
            or sorted(set(self.axes) & set(known)) != sorted(self.axes)
        ):
            raise ValueError(f"axes: expected some of {known}, each once, got {self.axes!r}; one axis is ('t',)")

    def admits(self, centre: Axes, key: Axes) -> Tensor:
        """On a line along one of the axes: the coordinates on both others are equal."""
        t, h, w = (c == k for c, k in zip(centre, key, strict=True))
        lines = {"t": h & w, "h": t & w, "w": t & h}
        return reduce(or_, (lines[axis] for axis in self.axes))


@dataclass(frozen=True, kw_only=True)
class Nearby3D(AttentionSpec):
    """A cell sees the window around it, clipped at the border: the paper's 3DNA (arXiv 2111.12417, section 3.2).

    The paper writes the window as |a - i'| <= e, which reads as a radius; its tensor shapes and its cost table read as
    a full width, and only the width agrees with all its figures. The radius reading of extent 3 is ``(7, 7, 7)`` here.

    Attributes:
        extent: full width of the window in tokens along (frames, rows, columns): odd, or None for the whole axis.

    Raises:
        ValueError: a width is even or below 1.
    """

    name: ClassVar[str] = "nearby3d"
    extent: Extent = (3, 3, 3)

    def __post_init__(self) -> None:
        _check("extent", self.extent)
        for axis, width in zip("thw", self.extent, strict=True):
            if width is not None and width % 2 == 0:
                raise ValueError(
                    f"extent on axis {axis}: expected an odd full window width or None, got {width}; "
                    f"take {width - 1} or {width + 1}, so that the window has a middle"
                )

    def admits(self, centre: Axes, key: Axes) -> Tensor:
        """At most half an extent away on every axis."""
        t, h, w = (
            (c == k) | True if width is None else (c - k).abs() <= width // 2
            for c, k, width in zip(centre, key, self.extent, strict=True)
        )
        return t & h & w


ATTENTION: Registry[type[AttentionSpec]] = Registry("attention variant")
"""The variants by name; each class can be made without arguments."""

for _spec in (Full, Block3D, Axial3D, Nearby3D):
    ATTENTION.add(_spec.name, _spec)


Pattern = AttentionSpec | tuple[AttentionSpec, ...]
"""Attention over depth: one variant for every layer, or several that layers take in turn."""


def axial_in_turn() -> tuple[Axial3D, ...]:
    """The pattern of axial transformers: a layer along frames, one along rows, one along columns, and again."""
    return tuple(Axial3D(axes=(axis,)) for axis in get_args(Axis))


def over_layers(pattern: Pattern, num_layers: int) -> tuple[AttentionSpec, ...]:
    """The variant of each of ``num_layers`` layers.

    >>> [spec.name for spec in over_layers((Full(), Nearby3D()), 3)]
    ['full', 'nearby3d', 'full']
    """
    specs = (pattern,) if isinstance(pattern, AttentionSpec) else pattern
    return tuple(specs[layer % len(specs)] for layer in range(num_layers))


def _check(what: str, widths: Extent) -> None:
    if not isinstance(widths, tuple) or len(widths) != 3:
        raise ValueError(
            f"{what}: expected three widths (frames, rows, columns), got {widths!r}; give a tuple of three"
        )
    for axis, width in zip("thw", widths, strict=True):
        if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
            raise ValueError(
                f"{what} on axis {axis}: expected a whole number >= 1, got {width!r}; use None for the whole axis"
            )
