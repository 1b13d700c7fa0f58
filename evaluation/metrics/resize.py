"""The resize rules behind published scores, as pure functions: the same pictures, and as many different scores.

Each follows one implementation to the last digit and runs on the device of the pictures. Widths come before heights, as
in Pillow up to 12; Pillow 13 takes the cheaper axis first, which moves single bytes of pictures higher than wide.
"""

from __future__ import annotations

import math
import typing
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.protocols.kinds import Resize

_FIXED_POINT = 1 << 22  # Pillow's weights for bytes


def resize(images: Tensor, size_px: int, rule: Resize) -> Tensor:
    """Pictures (b, c, h, w) uint8 to (b, c, ``size_px``, ``size_px``) float32 in 0…255.

    The aspect is lost, or what lies outside the central square, as the rule says; ``"none"`` only turns bytes into floats,
    and ``"torch-bicubic-antialias"`` may overshoot 0…255. ValueError for another dtype or rule.
    """
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise ValueError(f"resize: expected uint8 (b, c, h, w), got {images.dtype} {tuple(images.shape)}; use as_bytes")
    if rule == "none":
        return images.float()
    if rule == "tf1-bilinear":
        return tf1_bilinear(images.float(), size_px)
    if rule in ("torch-bilinear", "torch-bilinear-antialias"):
        antialias = rule == "torch-bilinear-antialias"
        return F.interpolate(images.float(), (size_px, size_px), mode="bilinear", antialias=antialias)
    if rule == "pil-bicubic-float":
        return pil_float(images.float(), size_px, "bicubic").clamp(0, 255)
    if rule == "pil-bilinear-uint8":
        return pil_bytes(images, size_px, "bilinear").float()
    if rule == "pil-bicubic-uint8":
        return pil_bytes(images, size_px, "bicubic").float()
    if rule == "square-bicubic-uint8":
        h, w = images.shape[2:]
        side = min(h, w)
        top, left = (h - side) // 2, (w - side) // 2
        return pil_bytes(images[..., top : top + side, left : left + side], size_px, "bicubic").float()
    if rule == "clip-bicubic-uint8":
        return clip_bicubic(images, size_px).float()
    if rule == "torch-bicubic-antialias":
        return F.interpolate(images.float(), (size_px, size_px), mode="bicubic", antialias=True)
    raise ValueError(f"unknown resize rule {rule!r}; expected one of {', '.join(typing.get_args(Resize))}")


def tf1_bilinear(images: Tensor, size_px: int) -> Tensor:
    """``tf.image.resize_bilinear`` of TensorFlow 1 with align_corners=False, on floats (b, c, h, w).

    Output pixel i looks at input position i · in / out: no shift by half a pixel, no antialias.
    """
    for _ in ("widths", "heights"):
        images = images.transpose(2, 3).contiguous()  # whole rows are copied twice as fast as single pixels
        length = images.shape[2]
        position = torch.arange(size_px, device=images.device, dtype=torch.float32) * (length / size_px)
        low = position.long()
        high = (low + 1).clamp_max(length - 1)
        share = (position - low).view(-1, 1)
        first = images.index_select(2, low)
        images = images.index_select(2, high).sub_(first).mul_(share).add_(first)
    return images


def pil_float(images: Tensor, size_px: int, kernel: Literal["bilinear", "bicubic"]) -> Tensor:
    """``PIL.Image.resize`` of float channels (mode F), on floats (b, c, h, w); antialiased, not clipped."""
    for dim in (3, 2):
        weights = _pil_weights(images.shape[dim], size_px, kernel).to(images.device)
        images = torch.movedim(torch.movedim(images, dim, -1).double() @ weights.T, -1, dim).float()
    return images


def clip_bicubic(images: Tensor, size_px: int) -> Tensor:
    """``Resize`` and ``CenterCrop`` of CLIP's transform on uint8 (b, c, h, w), byte for byte as on Pillow's pictures."""
    h, w = images.shape[2:]
    shorter, longer = min(h, w), max(h, w)
    long_px = int(size_px * longer / shorter)
    resized = pil_bytes(images, (long_px, size_px) if h > w else (size_px, long_px), "bicubic")
    start = round((long_px - size_px) / 2)  # halves to the even side, as torchvision does
    return resized.narrow(2 if h > w else 3, start, size_px)


def pil_bytes(images: Tensor, size_px: int | tuple[int, int], kernel: Literal["bilinear", "bicubic"]) -> Tensor:
    """``PIL.Image.resize`` of RGB pictures byte for byte, on uint8 (b, c, h, w): fixed point, rounded after each axis.

    ``size_px`` is the side of a square, or (height, width).
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    for dim, length_px in ((3, width), (2, height)):
        weights = _pil_weights(images.shape[dim], length_px, kernel).to(images.device) * _FIXED_POINT
        weights = torch.where(weights < 0, weights - 0.5, weights + 0.5).trunc()
        # Whole numbers below 2^53: the product is exact in float64.
        sums = torch.movedim(images, dim, -1).double() @ weights.T + _FIXED_POINT / 2
        images = torch.movedim((sums / _FIXED_POINT).floor().clamp(0, 255).to(torch.uint8), -1, dim)
    return images


@lru_cache(maxsize=64)
def _pil_weights(length: int, size_px: int, kernel: Literal["bilinear", "bicubic"]) -> Tensor:
    """Weights (size_px, length) float64 of Pillow's Resample.c: the kernel widens where the picture shrinks."""
    function, support = {"bilinear": (_triangle, 1.0), "bicubic": (_cubic, 2.0)}[kernel]
    scale = length / size_px
    stretch = max(scale, 1.0)
    weights = torch.zeros(size_px, length, dtype=torch.float64)
    for i in range(size_px):
        centre = (i + 0.5) * scale
        low = max(int(centre - support * stretch + 0.5), 0)
        high = min(int(centre + support * stretch + 0.5), length)
        row = torch.tensor([function((x - centre + 0.5) / stretch) for x in range(low, high)], dtype=torch.float64)
        weights[i, low:high] = row / row.sum()
    return weights


def _triangle(x: float) -> float:
    return max(1 - math.fabs(x), 0.0)


def _cubic(x: float, a: float = -0.5) -> float:
    x = math.fabs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0
