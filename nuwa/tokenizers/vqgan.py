"""VQ-GAN: pictures, or videos frame by frame, to grids of tokens and back (paper §3.1; VQGAN, arXiv 2012.09841)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.tokenizers import blocks
from nuwa.tokenizers.quantize import Codebook, Quantized


@dataclass(frozen=True, kw_only=True)
class VQGANConfig:
    """Sizes of a VQ-GAN. The factor between pixels and tokens is 2 to the number of ``widths``."""

    size_px: int = 32
    channels: int = 3
    widths: tuple[int, ...] = (64, 128)  # after every halving
    blocks: int = 1  # residual blocks at every level
    num_codes: int = 512
    code_width: int = 8
    encoder_kernel: int = 1  # 1: a token is made from its own patch, equal patches are equal tokens; 3: from around

    def __post_init__(self) -> None:
        if self.size_px % self.factor:
            raise ValueError(
                f"size_px: expected a multiple of {self.factor} for {len(self.widths)} halvings, got {self.size_px}"
            )

    @property
    def factor(self) -> int:
        """Pixels a token is wide."""
        return 2 ** len(self.widths)

    def grid(self, frames: int = 1) -> Grid:
        """The grid of tokens of a square picture, or of a video of so many frames."""
        side = self.size_px // self.factor
        return Grid(frames, side, side)


class VQGAN(nn.Module):
    """Encoder, codebook and decoder. Pictures are float (b, 3, H, W) in [-1, 1], tokens int64 (b, h, w)."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = blocks.encoder(
            config.channels, config.widths, config.blocks, config.code_width, config.encoder_kernel
        )
        self.codebook = Codebook(config.num_codes, config.code_width)
        self.decoder = blocks.decoder(config.code_width, config.widths, config.blocks, config.channels)

    def forward(self, pictures: Tensor, *, quantise: bool = True) -> tuple[Tensor, Quantized | None]:
        """Reconstruct pictures; without ``quantise`` as a plain autoencoder on the unit sphere (the start of training)."""
        vectors = self.encoder(pictures)
        if not quantise:
            return self.decoder(nn.functional.normalize(vectors.float(), dim=1)), None
        quantized = self.codebook(vectors)
        return self.decoder(quantized.vectors), quantized

    @property
    def last_layer(self) -> Tensor:
        """Weight of the decoder's last convolution, where the adaptive adversarial weight compares gradients."""
        last = self.decoder[-1]
        assert isinstance(last, blocks.Up)
        return last.conv.weight

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Tokens (b, t, h, w) int64 of pictures (b, 3, H, W) or videos (b, t, 3, H, W), uint8 in 0…255."""
        frames = pictures if pictures.ndim == 5 else pictures[:, None]
        channels, factor = self.config.channels, self.config.factor
        right = pictures.dtype == torch.uint8 and frames.ndim == 5 and frames.shape[2] == channels
        if not right or frames.shape[3] % factor or frames.shape[4] % factor:
            raise ValueError(
                f"pictures: expected uint8 (b, {channels}, H, W) or (b, t, {channels}, H, W) with sides that are multiples "
                f"of {factor}, got {pictures.dtype} {tuple(pictures.shape)}"
            )
        vectors = self.encoder(to_float(frames.flatten(0, 1)))
        return self.codebook.nearest(vectors).unflatten(0, frames.shape[:2])

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Videos (b, t, 3, H, W) uint8 of tokens (b, t, h, w) int64. ValueError for tokens that are none of ours."""
        if tokens.ndim != 4 or tokens.dtype != torch.int64:
            raise ValueError(f"tokens: expected int64 (b, t, h, w), got {tokens.dtype} {tuple(tokens.shape)}")
        pictures = self.decoder(self.codebook.lookup(tokens.flatten(0, 1)))
        return to_uint8(pictures).unflatten(0, tokens.shape[:2])


def to_float(pictures: Tensor) -> Tensor:
    """uint8 in 0…255 to float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def to_uint8(pictures: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8 in 0…255, clipped and rounded to nearest."""
    return ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
