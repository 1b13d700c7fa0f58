"""Encoder and decoder of VQGAN as they were published (arXiv 2012.09841, taming-transformers), for weights made elsewhere.

LlamaGen and diffusers kept this design: group norms, residual blocks, attention over all cells of a picture where it is small,
halving by a convolution of stride 2 that is padded on the right and below alone, doubling by repeated pixels. What differs from
one to the other are sizes and names. A tokenizer that is trained here has the design of :mod:`nuwa.tokenizers.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """Sizes of an encoder, or of a decoder. Level 0 is that of the pixels, the last one that of the tokens."""

    stem_width: int  # channels that the pixels become
    widths: Sequence[int]  # channels at every level
    blocks: int  # residual blocks at every level
    latent_width: int  # channels before codes are looked for
    attention: Sequence[int]  # levels with attention after each block
    middle_attention: bool  # at the last level, between the two blocks that stand alone
    groups: int  # of the norms


class ResnetBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x))))), with a 1×1 convolution of x where the channels change."""

    def __init__(self, c_in: int, c_out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(c_in, groups), _norm(c_out, groups)
        self.conv1, self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, h, w)."""
        y = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class SpatialAttention(nn.Module):
    """x + attention(norm x) of one head over all places of a picture."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, groups)
        self.q, self.k, self.v, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        y = self.norm(x)
        q, k, v = (part(y).flatten(2).mT[:, None] for part in (self.q, self.k, self.v))  # (b, 1, h·w, c)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(seen[:, 0].mT.unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """Halve height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, h / 2, w / 2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, 2h, 2w)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Blocks of one size, with attention after each or after none, then the step to the next size."""

    def __init__(
        self, c_in: int, c_out: int, *, blocks: int, attention: bool, groups: int, resample: nn.Module | None
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResnetBlock(c_out if at else c_in, c_out, groups) for at in range(blocks))
        self.attention = nn.ModuleList(SpatialAttention(c_out, groups) for _ in range(blocks if attention else 0))
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        """(b, c_in, h, w) to (b, c_out, h', w')."""
        for at, block in enumerate(self.blocks):
            x = block(x)
            if self.attention:
                x = self.attention[at](x)
        return x if self.resample is None else self.resample(x)


class Encoder(nn.Module):
    """Pixels (b, c, H, W) to vectors (b, code_width, h, w)."""

    def __init__(self, channels: int, pyramid: Pyramid, code_width: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, pyramid.stem_width, 3, padding=1)
        self.levels = nn.ModuleList()
        last, width = len(pyramid.widths) - 1, pyramid.stem_width
        for at, following in enumerate(pyramid.widths):
            resample = Downsample(following) if at < last else None
            self.levels.append(_level(pyramid, at, width, following, pyramid.blocks, resample))
            width = following
        self.middle = _middle(width, pyramid)
        self.norm_out = _norm(width, pyramid.groups)
        self.conv_out = nn.Conv2d(width, pyramid.latent_width, 3, padding=1)
        self.quant = nn.Conv2d(pyramid.latent_width, code_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.conv_in(x)
        for part in (*self.levels, *self.middle):
            x = part(x)
        return self.quant(self.conv_out(F.silu(self.norm_out(x))))


class Decoder(nn.Module):
    """Codes (b, code_width, h, w) to pixels (b, c, H, W). Levels stand in the order in which they run, the smallest first."""

    def __init__(self, code_width: int, pyramid: Pyramid, channels: int) -> None:
        super().__init__()
        width = pyramid.widths[-1]
        self.post_quant = nn.Conv2d(code_width, pyramid.latent_width, 1)
        self.conv_in = nn.Conv2d(pyramid.latent_width, width, 3, padding=1)
        self.middle = _middle(width, pyramid)
        self.levels = nn.ModuleList()
        for at, following in reversed(list(enumerate(pyramid.widths))):
            resample = Upsample(following) if at else None
            self.levels.append(_level(pyramid, at, width, following, pyramid.blocks + 1, resample))
            width = following
        self.norm_out = _norm(width, pyramid.groups)
        self.conv_out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.conv_in(self.post_quant(x))
        for part in (*self.middle, *self.levels):
            x = part(x)
        return self.conv_out(F.silu(self.norm_out(x)))


def _level(pyramid: Pyramid, at: int, c_in: int, c_out: int, blocks: int, resample: nn.Module | None) -> Level:
    attention = at in pyramid.attention
    return Level(c_in, c_out, blocks=blocks, attention=attention, groups=pyramid.groups, resample=resample)


def _middle(width: int, pyramid: Pyramid) -> nn.ModuleList:
    attention = SpatialAttention(width, pyramid.groups) if pyramid.middle_attention else nn.Identity()
    return nn.ModuleList(
        [ResnetBlock(width, width, pyramid.groups), attention, ResnetBlock(width, width, pyramid.groups)]
    )


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)
