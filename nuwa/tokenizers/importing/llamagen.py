"""LlamaGen (arXiv 2406.06525): ``vq_ds16_c2i.pt`` and its kin, whose sizes stand in its code under the names VQ-16 and VQ-8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nuwa.tokenizers.importing.convert import LAYOUTS, Layout, only, substitute
from nuwa.tokenizers.vqgan import TamingConfig

RULES = (
    (r"^(encoder|decoder)\.conv_blocks\.(\d+)\.res\.", r"\1.levels.\2.blocks."),
    (r"^(encoder|decoder)\.conv_blocks\.(\d+)\.attn\.", r"\1.levels.\2.attention."),
    (r"^(encoder|decoder)\.conv_blocks\.(\d+)\.(down|up)sample\.", r"\1.levels.\2.resample."),
    (r"\.mid\.", ".middle."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"\.proj_out\.", ".out."),
    (r"^quant_conv\.", "encoder.quant."),
    (r"^post_quant_conv\.", "decoder.post_quant."),
    (r"^quantize\.embedding\.weight$", "codebook.codes"),
)

NAMED = {"VQ-16": (1, 1, 2, 2, 4), "VQ-8": (1, 2, 2, 4)}
"""Multiples of 128 channels at every level."""

WIDTH = 128
SIZES = dict.fromkeys(
    ("name", "codebook_size", "codebook_embed_dim", "encoder_ch_mult", "decoder_ch_mult", "z_channels", "dropout_p",
     "codebook_show_usage", "commit_loss_beta", "entropy_loss_ratio", "ch"),
    ...,
) | {"codebook_l2_norm": True}  # fmt: skip


def sizes(config: Mapping[str, Any] | None) -> TamingConfig:
    """Sizes of VQ-16, or of what is named ``{"name": "VQ-8"}``, with the values of LlamaGen's ``ModelArgs`` that differ.

    ValueError for an unknown name or key, or for encoder and decoder of different sizes.
    """
    found = dict(config or {})
    only("llamagen", found, SIZES)
    name = found.get("name", "VQ-16")
    if name not in NAMED:
        raise ValueError(f"llamagen: expected the name {' or '.join(NAMED)}, got {name!r}")
    encoder = tuple(found.get("encoder_ch_mult", NAMED[name]))
    decoder = tuple(found.get("decoder_ch_mult", NAMED[name]))
    if encoder != decoder:
        raise ValueError(f"llamagen: expected encoder and decoder of the same widths, got {encoder} and {decoder}")
    width, last = found.get("ch", WIDTH), len(encoder) - 1
    return TamingConfig(
        size_px=256,
        widths=tuple(width * factor for factor in encoder),
        num_codes=found.get("codebook_size", 16_384),
        code_width=found.get("codebook_embed_dim", 8),
        stem_width=width,
        latent_width=found.get("z_channels", 256),
        encoder_attention=(last,),
        decoder_attention=(last,),
    )


def rename(name: str, _: int) -> str:
    """Its levels stand in the order in which they run, as ours do."""
    return substitute(name, RULES)


LAYOUTS.add(
    "llamagen",
    Layout(title="LlamaGen", sizes=sizes, rename=rename, left_out=("quantize.codebook_used",), normalised=True),
)
