"""``@openai-*``: CLIPSIM and RM with OpenAI's CLIP. Most papers do not name the model; ViT-B/32 is the convention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluation.protocols.base import register
from evaluation.protocols.kinds import CLIPSIMProtocol

SHA256 = {
    "clip-vit-b-32": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    "clip-vit-b-16": "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
    "clip-vit-l-14": "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    "clip-vit-l-14-336": "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
}


def pictures(network: str) -> dict[str, Any]:
    """The constants of one of OpenAI's CLIPs: its name and weights, and its own transform of pictures."""
    return {
        "network": network,
        "layer": "embeddings",
        "weights_sha256": SHA256[network],
        "size_px": 336 if network.endswith("336") else 224,
        "resize": "clip-bicubic-uint8",
        "normalise": "clip",
    }


def _clipsim(network: str, family: str) -> CLIPSIMProtocol:
    return CLIPSIMProtocol(
        **pictures(network),
        family=family,
        replicates=1000,
        interval_seed=2020,
        source="CLIPSIM of GODIVA (Wu et al. 2021) and NÜWA with OpenAI's model and its own transform, caption without "
        "prefix, raw cosine as in NÜWA, table 2; computed in float32",
    )


CLIPSIM_B32 = register(_clipsim("clip-vit-b-32", "openai-b32-1"))
CLIPSIM_B16 = register(_clipsim("clip-vit-b-16", "openai-b16-1"))
CLIPSIM_L14 = register(_clipsim("clip-vit-l-14", "openai-l14-1"))
CLIPSIM_B32_X100 = register(
    replace(
        CLIPSIM_B32,
        family="openai-b32-x100-1",
        scale=100.0,
        source="as openai-b32-1, times 100 as in NÜWA, table 1",
    )
)

RM_B32 = register(
    replace(
        CLIPSIM_B32,
        metric="rm",
        source="RM of GODIVA (Wu et al. 2021): CLIPSIM of the generated over that of the real pictures, with openai-b32-1",
    )
)
