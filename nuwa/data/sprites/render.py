"""Scenes to pixels: signed distances, anti-aliased over one pixel, the largest object at the back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuwa.data.sprites import world
from nuwa.data.sprites.scenes import Scenes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def _box(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _circle(x: Floats, y: Floats) -> Floats:
    return np.hypot(x, y) - np.float32(0.95)


def _square(x: Floats, y: Floats) -> Floats:
    return _box(x, y, 0.86, 0.86)


def _triangle(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.float32(0.894) * np.abs(x) - np.float32(0.447) * (y + 1), y - np.float32(0.85))


def _cross(x: Floats, y: Floats) -> Floats:
    return np.minimum(_box(x, y, 1.0, 0.34), _box(x, y, 0.34, 1.0))


def _ring(x: Floats, y: Floats) -> Floats:
    return np.abs(np.hypot(x, y) - np.float32(0.74)) - np.float32(0.26)


def _bar(x: Floats, y: Floats) -> Floats:
    return _box(x, y, 1.0, 0.42)


# Signed distance to the outline, in radii, x to the right and y down; in the order of world.SHAPES.
DISTANCES: tuple[Callable[[Floats, Floats], Floats], ...] = (_circle, _square, _triangle, _cross, _ring, _bar)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is painted: m pictures of at most 3 objects, the first at the back; shape -1 where there is none."""

    shape: Ints  # (m, 3)
    colour: Ints  # (m, 3)
    centre: NDArray[np.float64]  # (m, 3, 2) as (x, y), fractions of the side
    radius: NDArray[np.float64]  # (m, 3) fraction of the side
    angle: NDArray[np.float64]  # (m, 3) turn clockwise in radians
    background: Ints  # (m,)

    def __len__(self) -> int:
        return len(self.background)

    def __getitem__(self, rows: slice) -> Figures:
        return Figures(**{name: value[rows] for name, value in vars(self).items()})


def render(scenes: Scenes, size_px: int) -> NDArray[np.uint8]:
    """Pictures (b, 3, size_px, size_px) uint8 RGB in 0…255."""
    return paint(still(scenes), size_px)


def segment(scenes: Scenes, size_px: int) -> NDArray[np.uint8]:
    """Segmentation maps (b, size_px, size_px) uint8: 0 background, 1 + shape index where it covers half a pixel."""
    return label(still(scenes), size_px)


def paint(figures: Figures, size_px: int) -> NDArray[np.uint8]:
    """Pictures (m, 3, size_px, size_px) uint8 RGB in 0…255."""
    painted = np.empty((len(figures), 3, size_px, size_px), dtype=np.uint8)
    for part, some in _chunks(figures, size_px):
        canvas = world.BACKGROUND_RGB[some.background][:, :, None, None] * np.ones((size_px, size_px), np.float32)
        for slot in range(world.MAX_OBJECTS):
            rows, coverage = cover(some, slot, size_px)
            ink = world.COLOUR_RGB[some.colour[rows, slot]][:, :, None, None]
            canvas[rows] += coverage[:, None] * (ink - canvas[rows])
        painted[part] = np.rint(canvas)
    return painted


def label(figures: Figures, size_px: int) -> NDArray[np.uint8]:
    """Segmentation maps (m, size_px, size_px) uint8, as :func:`segment`."""
    labelled = np.zeros((len(figures), size_px, size_px), dtype=np.uint8)
    for part, some in _chunks(figures, size_px):
        canvas = labelled[part]
        for slot in range(world.MAX_OBJECTS):
            rows, coverage = cover(some, slot, size_px)
            shape = (some.shape[rows, slot] + 1).astype(np.uint8)[:, None, None]
            canvas[rows] = np.where(coverage >= 0.5, shape, canvas[rows])
    return labelled


def cover(figures: Figures, slot: int, size_px: int) -> tuple[Ints, Floats]:
    """Pictures (rows,) that have an object in this slot, and what it covers of each pixel, (rows, size_px, size_px)."""
    rows = np.flatnonzero(figures.shape[:, slot] >= 0)
    pixel = ((np.arange(size_px) + 0.5) / size_px).astype(np.float32)
    centre = figures.centre[rows, slot].astype(np.float32)
    radius = figures.radius[rows, slot].astype(np.float32)
    turned = figures.angle[rows, slot]
    coverage = np.empty((len(rows), size_px, size_px), dtype=np.float32)
    for shape, distance in enumerate(DISTANCES):
        mine = np.flatnonzero(figures.shape[rows, slot] == shape)
        r = radius[mine, None, None]
        x = (pixel[None, None, :] - centre[mine, 0, None, None]) / r
        y = (pixel[None, :, None] - centre[mine, 1, None, None]) / r
        if turned[mine].any():
            cos, sin = (f(turned[mine]).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
            x, y = cos * x + sin * y, cos * y - sin * x  # the pixel as the upright object sees it
        coverage[mine] = np.clip(np.float32(0.5) - distance(x, y) * (r * np.float32(size_px)), 0, 1)
    return rows, coverage


def still(scenes: Scenes) -> Figures:
    """What the pictures of scenes show."""
    there = np.arange(world.MAX_OBJECTS) < scenes.num_objects[:, None]
    return Figures(
        shape=np.where(there, scenes.shape, -1),
        colour=scenes.colour,
        centre=scenes.centre,
        radius=scenes.radius,
        angle=np.zeros_like(scenes.radius),
        background=scenes.background,
    )


def _chunks(figures: Figures, size_px: int) -> Iterator[tuple[slice, Figures]]:
    """Pictures in groups that stay in the processor's cache, which is three times as fast as all at once."""
    step = max(1, 2**17 // size_px**2)
    for start in range(0, len(figures), step):
        part = slice(start, start + step)
        yield part, figures[part]
