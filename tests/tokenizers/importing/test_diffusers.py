"""Weights of diffusers' VQModel against diffusers itself, in the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nuwa.tokenizers.importing import LAYOUTS, convert, read_weights
from nuwa.tokenizers.importing.command import ImportOptions, run
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.vqgan import VQGAN, to_float

CONFIG: dict[str, Any] = {
    "_class_name": "VQModel",
    "_diffusers_version": "0.35.2",
    "act_fn": "silu",
    "block_out_channels": [8, 12, 16],
    "down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D", "DownEncoderBlock2D"],
    "in_channels": 3,
    "latent_channels": 5,
    "layers_per_block": 2,
    "mid_block_add_attention": True,
    "norm_num_groups": 4,
    "norm_type": "group",
    "num_vq_embeddings": 40,
    "out_channels": 3,
    "sample_size": 16,
    "scaling_factor": 0.18215,
    "up_block_types": ["AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
    "vq_embed_dim": 6,
}
PLAIN = {
    "mid_block_add_attention": False,
    "vq_embed_dim": None,
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
}
LAYOUT = LAYOUTS["diffusers"]


def theirs(config: dict[str, Any]) -> Any:
    """Their model, with biases and scales that matter, and codes that lie among the vectors."""
    from diffusers.models.autoencoders.vq_model import VQModel

    torch.manual_seed(0)
    model = VQModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
        vectors = model.encode(to_float(pictures())).latents.movedim(1, -1).flatten(0, 2)
        codes = vectors[torch.randperm(len(vectors))[: config["num_vq_embeddings"]]]
        model.quantize.embedding.weight.copy_(codes + 0.1 * vectors.std(dim=0) * torch.randn_like(codes))
    return model


def pictures() -> Tensor:
    return torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def check(ours: VQGAN, model: Any) -> None:
    x = to_float(pictures())
    with torch.no_grad():
        latents = model.encode(x).latents
        _, _, (_, _, indices) = model.quantize(latents)
        sample = model.decode(latents).sample
    torch.testing.assert_close(ours.encoder(x), latents, rtol=1e-4, atol=1e-4)
    tokens = ours.encode(pictures())
    assert torch.equal(tokens.flatten(), indices.flatten())
    assert indices.unique().numel() > 20
    torch.testing.assert_close(ours.channels_of(tokens)[:, 0], sample, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{}, PLAIN], ids=["attention", "plain"])
@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
def test_files_of_save_pretrained(tmp_path: Path, changes: dict[str, Any], safe: bool) -> None:
    model = theirs(CONFIG | changes)
    model.save_pretrained(tmp_path / "theirs", safe_serialization=safe)
    weights = next((tmp_path / "theirs").glob("diffusion_pytorch_model.*"))
    config = tmp_path / "theirs/config.json"
    run(ImportOptions(source="diffusers", weights=weights, config=str(config), out=tmp_path / "ours"))
    check(load_vqgan(tmp_path / "ours"), model)


def test_names_from_before_version_0_18() -> None:
    """Attention's maps had other names: query, key, value, proj_attn."""
    model, old = theirs(CONFIG), {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = dict(model.state_dict())
    for new, name in old.items():
        state = {key.replace(f".{new}.", f".{name}."): value for key, value in state.items()}
    assert sum(".query." in name for name in state) > 1
    check(convert(LAYOUT, state, LAYOUT.sizes(CONFIG)), model)


def test_attention_has_to_be_where_the_config_says() -> None:
    state = theirs(CONFIG).state_dict()
    with pytest.raises(ValueError, match="diffusers: expected weights of the sizes that its config says"):
        convert(LAYOUT, state, LAYOUT.sizes(CONFIG | {"mid_block_add_attention": False}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_type": "spatial"}, r"norm_type = 'spatial' \(expected 'group'\)"),
        ({"_class_name": "AutoencoderKL"}, r"_class_name = 'AutoencoderKL' \(expected 'VQModel'\)"),
        ({"surprise": 1}, "unknown keys surprise"),
        ({"up_block_types": ["UpDecoderBlock2D"]}, "expected a kind of block for each of 3 levels, got 3 and 1"),
        ({"up_block_types": ["UpDecoderBlock3D"] * 3}, "expected a config.json of VQModel with blocks of"),
    ],
)
def test_other_designs(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYOUT.sizes(CONFIG | changes)


def test_a_key_that_is_missing() -> None:
    with pytest.raises(ValueError, match="with or without 'layers_per_block'"):
        LAYOUT.sizes({key: value for key, value in CONFIG.items() if key != "layers_per_block"})


def test_what_is_imported_stands_beside_the_weights(tmp_path: Path) -> None:
    from nuwa import files
    from nuwa.training import checkpoint

    theirs(CONFIG).save_pretrained(tmp_path / "theirs")
    weights = tmp_path / "theirs/diffusion_pytorch_model.safetensors"
    config = str(tmp_path / "theirs/config.json")
    run(ImportOptions(source="diffusers", weights=weights, config=config, size_px=24, out=tmp_path / "ours"))
    said = checkpoint.read_config(tmp_path / "ours" / checkpoint.WEIGHTS)
    assert said["imported"] == {"from": "diffusers", "file": weights.name, "sha256": files.sha256(weights)}
    assert said["model"]["size_px"] == 24
    assert read_weights(weights).keys() == theirs(CONFIG).state_dict().keys()
    assert json.loads(Path(config).read_text())["num_vq_embeddings"] == said["model"]["num_codes"]
