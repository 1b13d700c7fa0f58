"""Convolutional parts shared by the tokenizers: encoder and decoder pyramids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Root-mean-square norm over the channels of each place.

    The usual group norm also averages over the picture: then every token depends on every pixel, and an empty background
    takes dozens of codes instead of one, which the transformer has to learn as noise.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        return F.rms_norm(x.movedim(1, -1), self.weight.shape, self.weight.to(x.dtype), eps=1e-6).movedim(-1, 1)


class ResBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x))))), channels unchanged."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.conv1 = _conv(channels, channels, kernel)
        self.conv2 = _conv(channels, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class Down(nn.Module):
    """Halve height and width: space to channels, then a convolution."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = _conv(4 * c_in, c_out, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, h / 2, w / 2)."""
        return self.conv(F.pixel_unshuffle(x, 2))


class Up(nn.Module):
    """Double height and width: a convolution, then channels to space."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = _conv(c_in, 4 * c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, 2h, 2w)."""
        return F.pixel_shuffle(self.conv(x), 2)


def encoder(c_in: int, widths: Sequence[int], blocks: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """(b, c_in, H, W) to (b, c_out, H / 2^m, W / 2^m) for m widths; ``blocks`` residual blocks at every level.

    With ``kernel`` 1 every output is made from its own patch of pixels alone.
    """
    layers: list[nn.Module] = []
    channels = c_in
    for width in widths:
        layers += [Down(channels, width, kernel), *(ResBlock(width, kernel) for _ in range(blocks))]
        channels = width
    return nn.Sequential(*layers, ChannelNorm(channels), nn.SiLU(), nn.Conv2d(channels, c_out, 1))


def decoder(c_in: int, widths: Sequence[int], blocks: int, c_out: int) -> nn.Sequential:
    """Mirror of :func:`encoder`: (b, c_in, h, w) to (b, c_out, h · 2^m, w · 2^m)."""
    layers: list[nn.Module] = [_conv(c_in, widths[-1], 3)]
    for width, following in zip(reversed(widths), [*reversed(widths[:-1]), None], strict=True):
        layers += [ResBlock(width) for _ in range(blocks)]
        layers += [nn.SiLU(), Up(width, following if following is not None else c_out)]
    return nn.Sequential(*layers)


def _conv(c_in: int, c_out: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
