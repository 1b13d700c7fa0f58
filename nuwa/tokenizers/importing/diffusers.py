"""diffusers' ``VQModel``: ``config.json`` and ``diffusion_pytorch_model.safetensors`` of a folder of ``save_pretrained``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nuwa.tokenizers.importing.convert import LAYOUTS, Layout, only, substitute
from nuwa.tokenizers.vqgan import TamingConfig

RULES = (
    (r"^(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.resnets\.", r"\1.levels.\2.blocks."),
    (r"^(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.attentions\.", r"\1.levels.\2.attention."),
    (r"^(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.", r"\1.levels.\2.resample."),
    (r"\.mid_block\.resnets\.0\.", ".middle.0."),
    (r"\.mid_block\.attentions\.0\.", ".middle.1."),
    (r"\.mid_block\.resnets\.1\.", ".middle.2."),
    (r"\.conv_shortcut\.", ".shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.group_norm\.", ".norm."),
    (r"\.(?:to_q|query)\.", ".q."),
    (r"\.(?:to_k|key)\.", ".k."),
    (r"\.(?:to_v|value)\.", ".v."),
    (r"\.(?:to_out\.0|proj_attn)\.", ".out."),
    (r"^quant_conv\.", "encoder.quant."),
    (r"^post_quant_conv\.", "decoder.post_quant."),
    (r"^quantize\.embedding\.weight$", "codebook.codes"),
)
"""The second names of attention's maps are those of files from before version 0.18."""

DOWN = {"DownEncoderBlock2D": False, "AttnDownEncoderBlock2D": True}
UP = {"UpDecoderBlock2D": False, "AttnUpDecoderBlock2D": True}
"""Kinds of levels, and whether they have attention."""

SIZES = dict.fromkeys(
    ("down_block_types", "up_block_types", "block_out_channels", "layers_per_block", "latent_channels", "sample_size",
     "num_vq_embeddings", "norm_num_groups", "vq_embed_dim", "mid_block_add_attention", "scaling_factor", "force_upcast",
     "lookup_from_codebook", "_diffusers_version", "_name_or_path"),
    ...,
) | {"_class_name": "VQModel", "in_channels": 3, "out_channels": 3, "act_fn": "silu", "norm_type": "group"}  # fmt: skip


def sizes(config: Mapping[str, Any] | None) -> TamingConfig:
    """Sizes that a ``config.json`` says. ValueError for another class or design, or a key that is missing."""
    if config is None:
        raise ValueError("diffusers: expected --config with the config.json beside the weights, got none")
    only("diffusers", config, SIZES)
    try:
        widths = tuple(config["block_out_channels"])
        down, up = config["down_block_types"], config["up_block_types"]
        if not len(down) == len(up) == len(widths):
            raise ValueError(
                f"diffusers: expected a kind of block for each of {len(widths)} levels, got {len(down)} and {len(up)}"
            )
        last = len(widths) - 1
        encoder = tuple(level for level, kind in enumerate(down) if DOWN[kind])
        decoder = tuple(sorted(last - at for at, kind in enumerate(up) if UP[kind]))
        return TamingConfig(
            size_px=config["sample_size"],
            widths=widths,
            blocks=config["layers_per_block"],
            num_codes=config["num_vq_embeddings"],
            code_width=config.get("vq_embed_dim") or config["latent_channels"],
            stem_width=widths[0],
            latent_width=config["latent_channels"],
            encoder_attention=encoder,
            decoder_attention=decoder,
            middle_attention=config.get("mid_block_add_attention", True),
            groups=config["norm_num_groups"],
        )
    except KeyError as error:
        known = ", ".join([*DOWN, *UP])
        raise ValueError(
            f"diffusers: expected a config.json of VQModel with blocks of {known}, got one with or without {error}"
        ) from error


def rename(name: str, _: int) -> str:
    """Its levels stand in the order in which they run, as ours do."""
    return substitute(name, RULES)


LAYOUTS.add("diffusers", Layout(title="diffusers", sizes=sizes, rename=rename))
