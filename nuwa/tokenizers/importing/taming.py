"""taming-transformers (arXiv 2012.09841), and latent-diffusion after it: ``model.yaml`` and a checkpoint of Lightning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nuwa.tokenizers.fixed_codebook import Matching
from nuwa.tokenizers.importing.convert import LAYOUTS, Layout, only, substitute
from nuwa.tokenizers.vqgan import TamingConfig

RULES = (
    (r"^encoder\.down\.(\d+)\.block\.", r"encoder.levels.\1.blocks."),
    (r"^encoder\.down\.(\d+)\.attn\.", r"encoder.levels.\1.attention."),
    (r"^encoder\.down\.(\d+)\.downsample\.", r"encoder.levels.\1.resample."),
    (r"^decoder\.up\.(\d+)\.block\.", r"decoder.levels.\1.blocks."),
    (r"^decoder\.up\.(\d+)\.attn\.", r"decoder.levels.\1.attention."),
    (r"^decoder\.up\.(\d+)\.upsample\.", r"decoder.levels.\1.resample."),
    (r"\.mid\.block_1\.", ".middle.0."),
    (r"\.mid\.attn_1\.", ".middle.1."),
    (r"\.mid\.block_2\.", ".middle.2."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"\.proj_out\.", ".out."),
    (r"^quant_conv\.", "encoder.quant."),
    (r"^post_quant_conv\.", "decoder.post_quant."),
    (r"^quantize\.(embedding|embed)\.weight$", "codebook.codes"),
    (r"^quantize\.proj\.", "codebook.logits."),
)

MODELS: dict[str, Matching] = {
    "taming.models.vqgan.VQModel": "nearest",
    "taming.models.vqgan.GumbelVQ": "logits",
    "ldm.models.autoencoder.VQModel": "nearest",
    "ldm.models.autoencoder.VQModelInterface": "nearest",
}
"""Classes of the same design, and how their vectors find a code. GumbelVQ adds noise even after training; here it does not."""

PARAMS = dict.fromkeys(
    (
        "embed_dim", "n_embed", "ddconfig", "lossconfig", "monitor", "image_key", "ckpt_path", "ignore_keys",
        "colorize_nlabels", "sane_index_shape", "temperature_scheduler_config", "scheduler_config", "kl_weight",
        "batch_resize_range", "lr_g_factor",
    ),
    ...,
) | {"remap": None, "use_ema": False}  # fmt: skip

SIZES = dict.fromkeys(
    ("z_channels", "resolution", "ch", "ch_mult", "num_res_blocks", "attn_resolutions", "dropout", "attn_type"), ...
) | {"double_z": False, "in_channels": 3, "out_ch": 3, "resamp_with_conv": True, "tanh_out": False}  # fmt: skip


def sizes(config: Mapping[str, Any] | None) -> TamingConfig:
    """Sizes that a ``model.yaml`` says. ValueError for another class, another design or a key that is missing."""
    if config is None:
        raise ValueError("taming: expected --config with the model.yaml of the release, got none")
    try:
        model = config.get("model", config)
        params, target = model["params"], model["target"]
        found = params["ddconfig"]
        only("taming", params, PARAMS)
        only("taming", found, SIZES)
        widths = tuple(found["ch"] * factor for factor in found["ch_mult"])
        size_px, dense = found["resolution"], found.get("attn_type", "vanilla") != "none"
        last = len(widths) - 1
        down = [size_px // 2**level for level in range(last + 1)]
        up = [size_px // 2**last * 2 ** (last - level) for level in range(last + 1)]
        marked = found["attn_resolutions"] if dense else []
        encoder, decoder = (tuple(level for level, side in enumerate(sides) if side in marked) for sides in (down, up))
        if target not in MODELS or found.get("attn_type", "vanilla") not in ("vanilla", "none"):
            known = ", ".join(MODELS)
            raise ValueError(f"taming: expected one of {known} with attention vanilla or none, got {target}")
        return TamingConfig(
            size_px=size_px,
            widths=widths,
            blocks=found["num_res_blocks"],
            num_codes=params["n_embed"],
            code_width=params["embed_dim"],
            stem_width=found["ch"],
            latent_width=found["z_channels"],
            encoder_attention=encoder,
            decoder_attention=decoder,
            middle_attention=dense,
            matching=MODELS[target],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"taming: expected a model.yaml with model.params.ddconfig, got one without {error}"
        ) from error


def rename(name: str, levels: int) -> str:
    """Its decoder counts levels from the pixels, ours in the order in which they run."""
    ours = substitute(name, RULES)
    return re.sub(r"^decoder\.levels\.(\d+)\.", lambda at: f"decoder.levels.{levels - 1 - int(at[1])}.", ours)


LAYOUTS.add("taming", Layout(title="taming-transformers", sizes=sizes, rename=rename, left_out=("loss.",)))
