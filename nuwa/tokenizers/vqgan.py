"""VQ-GAN: pictures, or videos frame by frame, to grids of tokens and back (paper §3.1; VQGAN, arXiv 2012.09841)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa.tokenizers.autoencoder import AutoencoderConfig, VQAutoencoder


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(AutoencoderConfig):
    """Sizes of a VQ-GAN."""

    channels: int = 3


class VQGAN(VQAutoencoder):
    """Encoder, codebook and decoder. Pictures are float (b, 3, H, W) in [-1, 1], tokens int64 (b, h, w)."""

    config: VQGANConfig

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__(config, config.channels)

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
        return self.tokens_of(to_float(frames))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Videos (b, t, 3, H, W) uint8 of tokens (b, t, h, w) int64. ValueError for tokens that are none of ours."""
        return to_uint8(self.channels_of(tokens))


def to_float(pictures: Tensor) -> Tensor:
    """uint8 in 0…255 to float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def to_uint8(pictures: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8 in 0…255, clipped and rounded to nearest."""
    return ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
