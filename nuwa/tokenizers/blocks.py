"""Convolutional parts shared by the tokenizers: encoder and decoder pyramids."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ResBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x))))), channels unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels), _norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class Down(nn.Module):
    """Halve height and width: space to channels, then a convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * c_in, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, h / 2, w / 2)."""
        return self.conv(F.pixel_unshuffle(x, 2))


class Up(nn.Module):
    """Double height and width: a convolution, then channels to space."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, 4 * c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, 2h, 2w)."""
        return F.pixel_shuffle(self.conv(x), 2)


def encoder(c_in: int, widths: Sequence[int], blocks: int, c_out: int) -> nn.Sequential:
    """(b, c_in, H, W) to (b, c_out, H / 2^m, W / 2^m) for m widths; ``blocks`` residual blocks at every level."""
    layers: list[nn.Module] = []
    channels = c_in
    for width in widths:
        layers += [Down(channels, width), *(ResBlock(width) for _ in range(blocks))]
        channels = width
    return nn.Sequential(*layers, _norm(channels), nn.SiLU(), nn.Conv2d(channels, c_out, 1))


def decoder(c_in: int, widths: Sequence[int], blocks: int, c_out: int) -> nn.Sequential:
    """Mirror of :func:`encoder`: (b, c_in, h, w) to (b, c_out, h · 2^m, w · 2^m)."""
    layers: list[nn.Module] = [nn.Conv2d(c_in, widths[-1], 3, padding=1)]
    for width, following in zip(reversed(widths), [*reversed(widths[:-1]), None], strict=True):
        layers += [ResBlock(width) for _ in range(blocks)]
        layers += [nn.SiLU(), Up(width, following if following is not None else c_out)]
    return nn.Sequential(*layers)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 16), channels)
