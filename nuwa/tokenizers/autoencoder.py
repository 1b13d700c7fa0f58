"""What the tokenizers of pictures and of sketches share: an encoder, a codebook, a decoder, and a grid of tokens between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.tokenizers import blocks
from nuwa.tokenizers.patches import distinct
from nuwa.tokenizers.quantize import Codebook, Codes, Quantized


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes of a tokenizer. The factor between pixels and tokens is 2 to the number of ``widths``."""

    size_px: int = 32
    widths: tuple[int, ...] = (64, 128)  # after every halving
    blocks: int = 1  # residual blocks at every level
    num_codes: int = 512
    code_width: int = 8
    encoder_kernel: int = 1  # 1: a token is made from its own patch, equal patches are equal tokens; 3: from around

    def __post_init__(self) -> None:
        if self.size_px % self.factor:
            raise ValueError(
                f"size_px: expected a multiple of {self.factor} for {self.factor.bit_length() - 1} halvings, got {self.size_px}"
            )

    @property
    def factor(self) -> int:
        """Pixels a token is wide."""
        return 2 ** len(self.widths)

    def grid(self, frames: int = 1) -> Grid:
        """The grid of tokens of a square picture, or of a clip of so many frames."""
        side = self.size_px // self.factor
        return Grid(frames, side, side)

    def networks(self, channels: int) -> tuple[nn.Module, Codes, nn.Module]:
        """Encoder (b, c, H, W) to (b, code_width, h, w), codebook, and decoder back."""
        return (
            blocks.encoder(channels, self.widths, self.blocks, self.code_width, self.encoder_kernel),
            Codebook(self.num_codes, self.code_width),
            blocks.decoder(self.code_width, self.widths, self.blocks, channels),
        )

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The config from plain JSON values, as ``dataclasses.asdict`` gives them."""
        return cls(**{**state, "widths": tuple(state["widths"])})


TOGETHER = 128
"""Patches are encoded in multiples of so many, since PyTorch prepares convolutions anew for every shape that it has not met."""


class VQAutoencoder(nn.Module):
    """Channels in, channels out, over codes."""

    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.encoder, codebook, self.decoder = config.networks(channels)
        self.codebook: Any = codebook  # some Codes; trainings ask more of it, which :meth:`train` sees to

    def train(self, mode: bool = True) -> Self:
        """As every module does it. ValueError for a training of codes that do not learn."""
        if mode and not isinstance(self.codebook, Codebook):
            raise ValueError(
                f"{type(self).__name__}: expected a tokenizer of this suite's design to train, got one that was imported; "
                "use it as it is"
            )
        return super().train(mode)

    def forward(self, x: Tensor, *, quantise: bool = True) -> tuple[Tensor, Quantized | None]:
        """Rebuild (b, c, H, W) float while training; without ``quantise`` as a plain autoencoder on the unit sphere.

        The latter is the start of training.
        """
        vectors = self.encoder(x)
        if not quantise:
            return self.decoder(F.normalize(vectors.float(), dim=1)), None
        quantized = self.codebook(vectors)
        return self.decoder(quantized.vectors), quantized

    @property
    def last_layer(self) -> Tensor:
        """Weight of the decoder's last convolution, where the adaptive adversarial weight compares gradients."""
        assert isinstance(self.decoder, nn.Sequential)
        last = self.decoder[-1]
        assert isinstance(last, blocks.Up)
        return last.conv.weight

    def encoded(self, frames: Tensor, channels: Callable[[Tensor], Tensor]) -> Tensor:
        """Tokens (b, t, h, w) int64 of frames (b, t, c, H, W) of whole numbers.

        ``channels`` makes of some of them what the encoder reads. On a CPU equal patches are encoded once, where a token is
        made from its own patch; a GPU would have to be waited for.
        """
        config, found = self.config, None
        if config.encoder_kernel == 1 and frames.device.type == "cpu":
            found = distinct(frames.flatten(0, 1), config.factor)
        if found is None:
            return self.tokens_of(channels(frames))
        patches, place = found
        rows = torch.arange(-(-len(patches) // TOGETHER) * TOGETHER).clamp(max=len(patches) - 1)
        return self.tokens_of(channels(patches[None, rows])).flatten()[place].unflatten(0, frames.shape[:2])

    def tokens_of(self, frames: Tensor) -> Tensor:
        """Tokens (b, t, h, w) int64 of frames as channels (b, t, c, H, W) float."""
        vectors = self.encoder(frames.flatten(0, 1))
        return self.codebook.nearest(vectors).unflatten(0, frames.shape[:2])

    def channels_of(self, tokens: Tensor) -> Tensor:
        """Channels (b, t, c, H, W) float of tokens (b, t, h, w) int64. ValueError for tokens that are none of ours."""
        if tokens.ndim != 4 or tokens.dtype != torch.int64:
            raise ValueError(f"tokens: expected int64 (b, t, h, w), got {tokens.dtype} {tuple(tokens.shape)}")
        return self.decoder(self.codebook.lookup(tokens.flatten(0, 1))).unflatten(0, tokens.shape[:2])
