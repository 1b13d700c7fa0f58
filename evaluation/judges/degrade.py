"""Damage that reconstructed and generated pictures show, so that a judge stays sane on them.

Most practice pictures are whole or slightly damaged; some are damaged until a shape cannot be told, and there the loss
teaches the judge to be unsure instead of guessing with confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Severity:
    """Largest damage of each kind; each picture group draws its own below it."""

    blur_px: float
    """Standard deviation of a Gaussian blur, in pixels."""
    noise: float
    """Standard deviation of Gaussian noise, in grey levels."""
    shift: float
    """Offset of a colour channel, in grey levels."""
    gain: float
    """Relative change of a colour channel's contrast."""
    step: float
    """Quantisation step of the block transform at its lowest frequency, in grey levels."""


MILD = Severity(blur_px=0.8, noise=10.0, shift=10.0, gain=0.08, step=24.0)
STRONG = Severity(blur_px=5.0, noise=60.0, shift=25.0, gain=0.2, step=200.0)


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Shares of practice pictures; what is left over is mildly damaged."""

    whole: float = 0.35
    strong: float = 0.15
    group: int = 16
    """Pictures that share one draw of strengths."""
    strong_step: float = 200.0
    """Largest quantisation step of strong damage, in grey levels."""


def degrade(levels: Tensor, generator: torch.Generator, mix: Mix) -> Tensor:
    """Pictures (b, 3, h, w) float in 0…255 with damage drawn from ``generator``; rounded to whole levels in 0…255."""
    return torch.cat([_degrade_group(group, generator, mix) for group in levels.split(mix.group)])


def _degrade_group(levels: Tensor, generator: torch.Generator, mix: Mix) -> Tensor:
    draws = torch.rand(10, generator=generator).tolist()
    if draws[0] < mix.whole:
        return levels
    severity = replace(STRONG, step=mix.strong_step) if draws[0] > 1 - mix.strong else MILD
    strength = iter(draws[1:])

    def drawn(largest: float) -> float:
        """0 half of the time, otherwise uniform up to the largest."""
        return largest * max(0.0, 2 * next(strength) - 1)

    levels = blur(levels, drawn(severity.blur_px))
    levels = quantise_blocks(levels, 4 if next(strength) < 0.5 else 8, drawn(severity.step))
    gain, shift, spread = drawn(severity.gain), drawn(severity.shift), drawn(severity.noise)
    channel = torch.rand((2, len(levels), 3, 1, 1), generator=generator) * 2 - 1
    levels = (levels - 128) * (1 + gain * channel[0]) + 128 + shift * channel[1]
    levels = levels + spread * torch.randn(levels.shape, generator=generator)
    return levels.round().clamp(0, 255)


def blur(levels: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (b, c, h, w), reflected at the borders, cut off after three standard deviations."""
    reach = min(math.ceil(3 * sigma_px), levels.shape[-1] - 1, levels.shape[-2] - 1)
    if reach == 0:
        return levels
    offsets = torch.arange(-reach, reach + 1, dtype=levels.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    planes = F.pad(levels.flatten(0, 1)[:, None], (reach,) * 4, mode="reflect")
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return planes[:, 0].view_as(levels)


def quantise_blocks(levels: Tensor, block: int, step: float) -> Tensor:
    """Round the cosine transform of square blocks, higher frequencies more: JPEG's damage, and much of a codebook's.

    The step of frequency (i, j) is ``step · (1 + i + j)``; h and w are multiples of ``block``.
    """
    if step == 0:
        return levels
    b, c, h, w = levels.shape
    basis = cosine_basis(block, levels.dtype)
    blocks = levels.view(b, c, h // block, block, w // block, block).transpose(3, 4)
    frequency = torch.arange(block, dtype=levels.dtype)
    steps = step * (1 + frequency[:, None] + frequency[None])
    rounded = ((basis @ (blocks - 128) @ basis.T) / steps).round() * steps
    return (basis.T @ rounded @ basis + 128).transpose(3, 4).reshape(b, c, h, w)


def cosine_basis(length: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Orthonormal cosine transform (length, length), DCT-II; row i holds frequency i."""
    frequency, place = torch.arange(length, dtype=dtype)[:, None], torch.arange(length, dtype=dtype)[None]
    basis = torch.cos(math.pi * frequency * (place + 0.5) / length) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis
