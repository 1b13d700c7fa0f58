"""Small published tokenizers: their files, their configs, and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from published_vq import LLAMAGEN, TAMING, Names, Sizes, State, pixels, state_of, tokens, vectors
from torch import Tensor

SIZE_PX = 16
CODES = "quantize.embed.weight"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A small tokenizer of one project."""

    layout: str
    config: dict[str, Any] | None
    state: State
    encode: Callable[[Tensor], Tensor]  # pixels (b, 3, H, W) in [-1, 1] to tokens (b, h, w)
    decode: Callable[[Tensor], Tensor]  # and back


def taming_config(sizes: Sizes, target: str = "taming.models.vqgan.VQModel") -> dict[str, Any]:
    """As ``model.yaml`` has it."""
    return {
        "model": {
            "base_learning_rate": 4.5e-6,
            "target": target,
            "params": {
                "embed_dim": sizes.code_width,
                "n_embed": sizes.num_codes,
                "monitor": "val/rec_loss",
                "ddconfig": {
                    "double_z": False,
                    "z_channels": sizes.latent,
                    "resolution": SIZE_PX,
                    "in_channels": 3,
                    "out_ch": 3,
                    "ch": 32,
                    "ch_mult": [width // 32 for width in sizes.widths],
                    "num_res_blocks": sizes.blocks,
                    "attn_resolutions": [SIZE_PX // 2**level for level in sizes.attention],
                    "dropout": 0.0,
                },
                "lossconfig": {"target": "taming.modules.losses.vqperceptual.VQLPIPSWithDiscriminator"},
            },
        }
    }


def taming() -> Published:
    sizes = Sizes()
    state = state_of(TAMING, sizes)
    state["loss.discriminator.main.0.weight"] = torch.zeros(4, 3, 4, 4)  # what a training leaves beside it
    return _published("taming", taming_config(sizes), state, TAMING)


def gumbel() -> Published:
    names, sizes = replace(TAMING, codes=CODES, proj="quantize.proj"), Sizes(latent=6, code_width=6, gumbel=True)
    config = taming_config(sizes, "taming.models.vqgan.GumbelVQ")
    config["model"]["params"] |= {"kl_weight": 1e-8, "temperature_scheduler_config": {"target": "x"}}
    return _published("taming", config, state_of(names, sizes), names)


def llamagen() -> Published:
    sizes = Sizes(attention=(2,))
    state = state_of(LLAMAGEN, sizes)
    state["quantize.codebook_used"] = torch.zeros(65536)
    config = {
        "codebook_size": sizes.num_codes,
        "codebook_embed_dim": sizes.code_width,
        "encoder_ch_mult": [width // 32 for width in sizes.widths],
        "decoder_ch_mult": [width // 32 for width in sizes.widths],
        "z_channels": sizes.latent,
        "ch": 32,
    }
    return _published("llamagen", config, state, LLAMAGEN, normalised=True)


def _published(
    layout: str, config: dict[str, Any], state: State, names: Names, *, normalised: bool = False
) -> Published:
    return Published(
        layout=layout,
        config=config,
        state=state,
        encode=lambda x: tokens(state, names, vectors(state, names, x), normalised=normalised),
        decode=lambda indices: pixels(state, names, indices, normalised=normalised),
    )


MADE: dict[str, Callable[[], Published]] = {"taming": taming, "gumbel": gumbel, "llamagen": llamagen}
