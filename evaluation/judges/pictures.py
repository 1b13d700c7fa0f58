"""Pictures as the judges take them: bytes at any size in, floats at 32 px out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.images import as_bytes

SIZE_PX = 32
"""Side of the pictures that the judges look at."""


def prepare(images: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) uint8 in 0…255 as float32 (b, 3, 32, 32) in [-1, 1].

    Another size is resized by antialiased bilinear interpolation, without rounding; where the size divides, that
    weighs every pixel of an area. ValueError for another dtype or layout.
    """
    if isinstance(images, Tensor) and images.dtype != torch.uint8:
        raise ValueError(f"images: expected uint8 in 0…255, got {images.dtype}; use evaluation.images.as_bytes")
    levels = as_bytes(images).float()
    if levels.shape[2:] != (SIZE_PX, SIZE_PX):
        levels = F.interpolate(levels, size=(SIZE_PX, SIZE_PX), mode="bilinear", antialias=True, align_corners=False)
    return normalise(levels)


def normalise(levels: Tensor) -> Tensor:
    """Grey levels in 0…255 to [-1, 1]."""
    return levels / 127.5 - 1
