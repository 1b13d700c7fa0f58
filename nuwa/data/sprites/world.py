"""The small world of sprites: which shapes, colours, sizes, places and backgrounds there are.

Lengths are fractions of the picture's side, so one scene renders at any resolution. Changing anything here changes
every picture and every number made from them: raise ``VERSION`` with it.
"""

from __future__ import annotations

import numpy as np

VERSION = "1"

SHAPES = ("circle", "square", "triangle", "cross", "ring", "bar")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SIZES = ("small", "medium", "large")
PLACES = (
    "top left",
    "top",
    "top right",
    "left",
    "center",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)  # raster order over a 3×3 board
BACKGROUNDS = ("white", "grey", "black", "navy")

CLASSES = ("background", *SHAPES)  # of the segmentation map, which serves as the sketch

COLOUR_RGB = np.array(
    [
        (220, 40, 40),
        (245, 140, 30),
        (245, 220, 50),
        (40, 165, 65),
        (60, 205, 220),
        (50, 85, 225),
        (140, 60, 185),
        (245, 140, 195),
    ],
    dtype=np.float32,
)
BACKGROUND_RGB = np.array([(240, 240, 240), (128, 128, 128), (20, 20, 20), (25, 32, 85)], dtype=np.float32)

RADIUS = np.array([0.100, 0.140, 0.190])  # of the circle around a small, medium and large object
RADIUS_JITTER = 0.04  # relative
PLACE_JITTER = 0.04  # of the picture's side, in each direction
MAX_OBJECTS = 3
OBJECT_COUNTS = (0.6, 0.25, 0.15)  # share of scenes with one, two and three objects


def place_centres() -> np.ndarray:
    """Centres (9, 2) of the board's places as (x, y), raster order, float64 in [0, 1]."""
    rows, columns = np.divmod(np.arange(len(PLACES)), 3)
    return np.stack([(columns + 0.5) / 3, (rows + 0.5) / 3], axis=-1)


def held_out_pairs() -> np.ndarray:
    """Combinations (6, 8) bool of shape and colour that only the split ``test-unseen`` shows: a colour a shape."""
    shapes, colours = np.meshgrid(np.arange(len(SHAPES)), np.arange(len(COLOURS)), indexing="ij")
    return (5 * shapes + 3) % len(COLOURS) == colours
