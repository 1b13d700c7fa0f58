"""Scenes to pixels: signed distances, anti-aliased over one pixel, the largest object at the back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nuwa.data.sprites import world
from nuwa.data.sprites.scenes import Scenes

Floats = NDArray[np.float32]


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


def render(scenes: Scenes, size_px: int) -> NDArray[np.uint8]:
    """Pictures (b, 3, size_px, size_px) uint8 RGB in 0…255."""
    canvas = np.broadcast_to(
        world.BACKGROUND_RGB[scenes.background][:, :, None, None], (len(scenes), 3, size_px, size_px)
    ).copy()
    for slot in range(world.MAX_OBJECTS):
        rows, coverage = _coverage(scenes, slot, size_px)
        ink = world.COLOUR_RGB[scenes.colour[rows, slot]][:, :, None, None]
        canvas[rows] += coverage[:, None] * (ink - canvas[rows])
    return np.rint(canvas).astype(np.uint8)


def segment(scenes: Scenes, size_px: int) -> NDArray[np.uint8]:
    """Segmentation maps (b, size_px, size_px) uint8: 0 background, 1 + shape index where it covers half a pixel."""
    canvas = np.zeros((len(scenes), size_px, size_px), dtype=np.uint8)
    for slot in range(world.MAX_OBJECTS):
        rows, coverage = _coverage(scenes, slot, size_px)
        label = (scenes.shape[rows, slot] + 1).astype(np.uint8)[:, None, None]
        canvas[rows] = np.where(coverage >= 0.5, label, canvas[rows])
    return canvas


def _coverage(scenes: Scenes, slot: int, size_px: int) -> tuple[NDArray[np.int64], Floats]:
    """Scenes that have an object in this slot, and the share of each pixel (rows, size_px, size_px) that it covers."""
    rows = np.flatnonzero(scenes.num_objects > slot)
    pixel = ((np.arange(size_px) + 0.5) / size_px).astype(np.float32)
    centre = scenes.centre[rows, slot].astype(np.float32)
    radius = scenes.radius[rows, slot].astype(np.float32)
    coverage = np.empty((len(rows), size_px, size_px), dtype=np.float32)
    for shape, distance in enumerate(DISTANCES):
        mine = np.flatnonzero(scenes.shape[rows, slot] == shape)
        r = radius[mine, None, None]
        x = (pixel[None, None, :] - centre[mine, 0, None, None]) / r
        y = (pixel[None, :, None] - centre[mine, 1, None, None]) / r
        coverage[mine] = np.clip(np.float32(0.5) - distance(x, y) * (r * np.float32(size_px)), 0, 1)
    return rows, coverage
