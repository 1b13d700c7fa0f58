"""VQ-GAN-Seg: segmentation maps to grids of tokens and back (paper §3.1, the tokenizer of sketches).

A map with C classes goes in as C one-hot channels and comes out as C logits a pixel; the clips' maps frame by frame. It has
a codebook of its own. There is no critic: a map has no texture to invent, and cross-entropy says what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.tokenizers import blocks
from nuwa.tokenizers.quantize import Codebook, Quantized


@dataclass(frozen=True, kw_only=True)
class VQGANSegConfig:
    """Sizes of a VQ-GAN-Seg. The factor between pixels and tokens is 2 to the number of ``widths``."""

    size_px: int = 32
    num_classes: int = 7  # C; of sprites, with the background
    widths: tuple[int, ...] = (32, 64)  # after every halving
    blocks: int = 1  # residual blocks at every level
    num_codes: int = 512
    code_width: int = 8
    encoder_kernel: int = 1  # 1: a token is made from its own patch, equal patches are equal tokens; 3: from around

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {self.num_classes}")
        if self.size_px % self.factor:
            raise ValueError(
                f"size_px: expected a multiple of {self.factor} for {len(self.widths)} halvings, got {self.size_px}"
            )

    @property
    def factor(self) -> int:
        """Pixels a token is wide."""
        return 2 ** len(self.widths)

    def grid(self, frames: int = 1) -> Grid:
        """The grid of tokens of a square map, or of the maps of so many frames."""
        side = self.size_px // self.factor
        return Grid(frames, side, side)


class VQGANSeg(nn.Module):
    """Encoder, codebook and decoder of maps."""

    def __init__(self, config: VQGANSegConfig) -> None:
        super().__init__()
        self.config = config
        c = config.num_classes
        self.encoder = blocks.encoder(c, config.widths, config.blocks, config.code_width, config.encoder_kernel)
        self.codebook = Codebook(config.num_codes, config.code_width)
        self.decoder = blocks.decoder(config.code_width, config.widths, config.blocks, c)

    def forward(self, maps: Tensor, *, quantise: bool = True) -> tuple[Tensor, Quantized | None]:
        """Class logits (b, C, H, W) of one-hot maps (b, C, H, W) float; without ``quantise`` as a plain autoencoder."""
        vectors = self.encoder(maps)
        if not quantise:
            return self.decoder(F.normalize(vectors.float(), dim=1)), None
        quantized = self.codebook(vectors)
        return self.decoder(quantized.vectors), quantized

    def one_hot(self, maps: Tensor) -> Tensor:
        """Channels (b, C, H, W) float of maps (b, H, W). ValueError for a class that is none of ours."""
        classes = self.config.num_classes
        if maps.numel() and (int(maps.min()) < 0 or int(maps.max()) >= classes):
            raise ValueError(
                f"sketch: expected classes 0…{classes - 1}, got {int(maps.min())}…{int(maps.max())}; "
                "the map has classes that this tokenizer was not trained on"
            )
        return F.one_hot(maps.long(), classes).movedim(-1, 1).float()

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
        vectors = self.encoder(self.one_hot(frames.flatten(0, 1)))
        return self.codebook.nearest(vectors).unflatten(0, frames.shape[:2])

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Maps (b, t, H, W) uint8 of tokens (b, t, h, w) int64, the likeliest class of every pixel."""
        if tokens.ndim != 4 or tokens.dtype != torch.int64:
            raise ValueError(f"tokens: expected int64 (b, t, h, w), got {tokens.dtype} {tuple(tokens.shape)}")
        logits = self.decoder(self.codebook.lookup(tokens.flatten(0, 1)))
        return logits.argmax(dim=1).to(torch.uint8).unflatten(0, tokens.shape[:2])
