"""VQ-GAN-Seg: segmentation maps to grids of tokens and back (paper §3.1, the tokenizer of sketches).

A map with C classes goes in as C one-hot channels and comes out as C logits a pixel; the maps of a clip frame by frame. It has
a codebook of its own. There is no critic: a map has no texture to invent, and cross-entropy says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa.tokenizers.autoencoder import AutoencoderConfig, VQAutoencoder


@dataclass(frozen=True, kw_only=True)
class VQGANSegConfig(AutoencoderConfig):
    """Sizes of a VQ-GAN-Seg."""

    widths: tuple[int, ...] = (32, 64)  # after every halving
    num_classes: int = 7  # C; of sprites, with the background

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {self.num_classes}")


class VQGANSeg(VQAutoencoder):
    """Encoder, codebook and decoder of maps, which are one-hot (b, C, H, W) float inside, and logits on the way out."""

    config: VQGANSegConfig

    def __init__(self, config: VQGANSegConfig) -> None:
        super().__init__(config, config.num_classes)

    def one_hot(self, maps: Tensor) -> Tensor:
        """Channels (…, C, H, W) float of maps (…, H, W). ValueError for a class that is none of ours."""
        classes = self.config.num_classes
        if maps.numel() and (int(maps.min()) < 0 or int(maps.max()) >= classes):
            raise ValueError(
                f"sketch: expected classes 0…{classes - 1}, got {int(maps.min())}…{int(maps.max())}; "
                "the map has classes that this tokenizer was not trained on"
            )
        return F.one_hot(maps.long(), classes).movedim(-1, -3).float()

    @torch.no_grad()
    def encode(self, maps: Tensor) -> Tensor:
        """Tokens (b, t, h, w) int64 of maps (b, H, W) or (b, t, H, W), uint8 or int64 in 0…C-1.

        ValueError for an unknown class, another type or sides that are no multiples of the factor.
        """
        frames = maps if maps.ndim == 4 else maps[:, None]
        factor = self.config.factor
        right = maps.dtype in (torch.uint8, torch.int64) and frames.ndim == 4
        if not right or frames.shape[2] % factor or frames.shape[3] % factor:
            raise ValueError(
                f"sketch: expected uint8 or int64 (b, H, W) or (b, t, H, W) with sides that are multiples of {factor}, "
                f"got {maps.dtype} {tuple(maps.shape)}"
            )
        return self.encoded(frames[:, :, None], lambda some: self.one_hot(some[:, :, 0]))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Maps (b, t, H, W) uint8 of tokens (b, t, h, w) int64, the likeliest class of every pixel."""
        return self.channels_of(tokens).argmax(dim=2).to(torch.uint8)
