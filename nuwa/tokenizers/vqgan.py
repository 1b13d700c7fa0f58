"""VQ-GAN: pictures, or videos frame by frame, to grids of tokens and back (paper §3.1; VQGAN, arXiv 2012.09841).

The config chooses the design: :class:`VQGANConfig` that of this suite, which is trained here, :class:`TamingConfig` that of
weights made elsewhere (:mod:`nuwa.tokenizers.importing`). Whatever takes a :class:`VQGAN` takes either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from nuwa.registry import Registry
from nuwa.tokenizers import taming
from nuwa.tokenizers.autoencoder import AutoencoderConfig, VQAutoencoder
from nuwa.tokenizers.fixed_codebook import FixedCodebook, Matching
from nuwa.tokenizers.quantize import Codes


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(AutoencoderConfig):
    """Sizes of a VQ-GAN."""

    channels: int = 3

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The config from plain JSON values; the key ``network`` names another design than this suite's."""
        if "network" not in state:
            return super().from_dict(state)
        lists = {name: tuple(value) for name, value in state.items() if isinstance(value, list)}
        config: Any = NETWORKS[state["network"]](**{**state, **lists})
        return config


NETWORKS: Registry[type[VQGANConfig]] = Registry("design of a VQ-GAN")
"""Designs of other projects, by the name that their config says."""


@NETWORKS.register("taming")
@dataclass(frozen=True, kw_only=True)
class TamingConfig(VQGANConfig):
    """Sizes of a VQ-GAN in the design of :mod:`nuwa.tokenizers.taming`. The defaults are those of VQGAN's f16.

    The first of ``widths`` is that of the pixels' level, so there is a halving less than there are widths.
    """

    network: Literal["taming"] = "taming"
    size_px: int = 256
    widths: tuple[int, ...] = (128, 128, 256, 256, 512)
    blocks: int = 2
    num_codes: int = 16_384
    code_width: int = 256
    encoder_kernel: int = 3  # no other
    stem_width: int = 128
    latent_width: int = 256
    encoder_attention: tuple[int, ...] = (4,)  # levels; see Pyramid
    decoder_attention: tuple[int, ...] = (4,)
    middle_attention: bool = True
    groups: int = 32
    matching: Matching = "nearest"

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = range(len(self.widths))
        wrong = [level for level in (*self.encoder_attention, *self.decoder_attention) if level not in levels]
        uneven = [width for width in (self.stem_width, *self.widths) if width % self.groups]
        if wrong or uneven or self.encoder_kernel != 3:
            raise ValueError(
                f"taming: expected attention at levels 0…{levels[-1]}, widths that are multiples of {self.groups} and "
                f"kernels of 3, got the levels {wrong}, the widths {uneven} and {self.encoder_kernel}"
            )

    @property
    def factor(self) -> int:
        """Pixels a token is wide."""
        return 2 ** (len(self.widths) - 1)

    def networks(self, channels: int) -> tuple[nn.Module, Codes, nn.Module]:
        """Encoder, codebook, decoder."""
        return (
            taming.Encoder(channels, self._pyramid(self.encoder_attention), self.code_width),
            FixedCodebook(self.num_codes, self.code_width, self.matching),
            taming.Decoder(self.code_width, self._pyramid(self.decoder_attention), channels),
        )

    def _pyramid(self, attention: tuple[int, ...]) -> taming.Pyramid:
        return taming.Pyramid(
            stem_width=self.stem_width, widths=self.widths, blocks=self.blocks, latent_width=self.latent_width,
            attention=attention, middle_attention=self.middle_attention, groups=self.groups,
        )  # fmt: skip


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
        return self.encoded(frames, to_float)

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
