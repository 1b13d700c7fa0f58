"""Imported weights against what their publishers compute, and the lists of what does not fit."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch
from published_vq import LLAMAGEN, TAMING, Sizes, vectors
from torch import Tensor

from nuwa.tokenizers.importing import LAYOUTS, convert
from nuwa.tokenizers.vqgan import VQGAN, TamingConfig, VQGANConfig, to_float

from .made import MADE, SIZE_PX, Published, taming_config


@pytest.fixture(params=MADE)
def published(request: pytest.FixtureRequest) -> Published:
    return MADE[request.param]()


def imported(published: Published, **changes: Any) -> VQGAN:
    layout = LAYOUTS[published.layout]
    sizes = dataclasses.replace(layout.sizes(published.config), size_px=SIZE_PX)
    return convert(layout, {**published.state, **changes}, sizes)


def pictures(b: int = 3, side: int = SIZE_PX) -> Tensor:
    return torch.randint(0, 256, (b, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("side", [SIZE_PX, 24])
def test_tokens_and_pixels_are_the_publishers(published: Published, side: int) -> None:
    model, seen = imported(published), pictures(side=side)
    expected = published.encode(to_float(seen))
    assert torch.equal(model.encode(seen)[:, 0], expected)
    assert expected.unique().numel() > 5
    made = model.channels_of(expected[:, None])[:, 0]
    torch.testing.assert_close(made, published.decode(expected), rtol=1e-4, atol=1e-4)


def test_vectors_before_the_codes(published: Published) -> None:
    """Not only the same codes: the same numbers, through every block of the encoder."""
    names = LLAMAGEN if published.layout == "llamagen" else TAMING
    x = to_float(pictures())
    torch.testing.assert_close(imported(published).encoder(x), vectors(published.state, names, x), rtol=1e-4, atol=1e-4)


def test_videos_frame_by_frame(published: Published) -> None:
    model, clip = imported(published), pictures(4)[None]
    found = model.encode(clip)
    assert found.shape == (1, 4, 4, 4)
    assert torch.equal(found[0, :, None], model.encode(clip[0]))
    assert model.decode(found).shape == clip.shape


def test_the_config_goes_through_json(published: Published) -> None:
    config = imported(published).config
    assert isinstance(config, TamingConfig)
    assert VQGANConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_half_precision_becomes_single(published: Published) -> None:
    halved = {name: value.half() for name, value in published.state.items()}
    model = imported(published, **halved)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}


def test_names_without_a_place_and_parts_without_weights(published: Published) -> None:
    state = published.state
    del state["encoder.conv_out.bias"]
    state["encoder.extra.weight"] = torch.zeros(3)
    state["decoder.conv_in.bias"] = torch.zeros(7)
    with pytest.raises(ValueError, match=r"expected weights of the sizes that its config says, got") as refusal:
        imported(published)
    said = str(refusal.value)
    assert "1 names without a place: encoder.extra.weight" in said
    assert "1 parts without weights: encoder.conv_out.bias" in said
    assert "1 shapes that differ: decoder.conv_in.bias (7,) for (64,)" in said


def test_no_weight_is_given_twice() -> None:
    published = MADE["taming"]()
    published.state["quantize.embed.weight"] = published.state["quantize.embedding.weight"]
    with pytest.raises(ValueError, match=r"1 names without a place: quantize\.embed\.weight"):
        imported(published)


def test_attention_is_where_the_config_says() -> None:
    published = MADE["taming"]()
    assert published.config is not None
    published.config["model"]["params"]["ddconfig"]["attn_resolutions"] = [4]
    with pytest.raises(ValueError, match=r"50 names without a place: encoder\.down\.1\.attn\.0"):
        imported(published)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ddconfig.double_z": True}, r"double_z = True \(expected False\)"),
        ({"ddconfig.in_channels": 183}, r"in_channels = 183 \(expected 3\)"),
        ({"ddconfig.surprise": 1}, "unknown keys surprise"),
        ({"ddconfig.attn_type": "linear"}, "with attention vanilla or none, got"),
        ({"remap": "used.npy"}, r"remap = 'used.npy' \(expected None\)"),
        ({"target": "taming.models.vqgan.VQSegmentationModel"}, "got taming.models.vqgan.VQSegmentationModel"),
        ({"n_embed": None}, "expected a model.yaml with model.params.ddconfig, got one without 'n_embed'"),
    ],
)
def test_other_designs_of_taming(changes: dict[str, Any], message: str) -> None:
    published = MADE["taming"]()
    assert published.config is not None
    for name, value in changes.items():
        model = published.config["model"]
        where = model if name == "target" else model["params"]
        *outer, key = name.split(".")
        where = where[outer[0]] if outer else where
        if value is None:
            del where[key]
        else:
            where[key] = value
    with pytest.raises(ValueError, match=message):
        LAYOUTS["taming"].sizes(published.config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "VQ-32"}, "llamagen: expected the name VQ-16 or VQ-8, got 'VQ-32'"),
        ({"codebook_l2_norm": False}, r"codebook_l2_norm = False \(expected True\)"),
        ({"encoder_ch_mult": [1, 2]}, "expected encoder and decoder of the same widths"),
        ({"codebok_size": 5}, "unknown keys codebok_size"),
    ],
)
def test_other_designs_of_llamagen(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYOUTS["llamagen"].sizes(config)


@pytest.mark.parametrize("layout", ["taming", "diffusers"])
def test_sizes_have_to_be_said(layout: str) -> None:
    with pytest.raises(ValueError, match=f"{layout}: expected --config with the"):
        LAYOUTS[layout].sizes(None)


@pytest.mark.parametrize(
    ("sizes", "millions", "grid"),
    [
        # LlamaGen's table says 72M and 70M; VQGAN's f16 has the same encoder and decoder and wider codes
        (LAYOUTS["llamagen"].sizes(None), 72, (1, 16, 16)),
        (LAYOUTS["llamagen"].sizes({"name": "VQ-8"}), 70, (1, 32, 32)),
        (TamingConfig(), 72, (1, 16, 16)),
        (TamingConfig(size_px=336), 72, (1, 21, 21)),  # the paper's grid
    ],
    ids=["VQ-16", "VQ-8", "f16", "f16-336"],
)
def test_published_sizes(sizes: TamingConfig, millions: float, grid: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        model = VQGAN(sizes)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.6)
    assert sizes.grid().shape == grid


def test_taming_levels_with_attention() -> None:
    """By the side of the picture at each level: f16 at 256 px has it at 16, the last."""
    config = taming_config(Sizes())
    found = config["model"]["params"]["ddconfig"]
    found |= {"resolution": 256, "ch": 128, "ch_mult": [1, 1, 2, 2, 4], "attn_resolutions": [16]}
    sizes = LAYOUTS["taming"].sizes(config)
    assert (sizes.encoder_attention, sizes.decoder_attention, sizes.middle_attention) == ((4,), (4,), True)
    found["attn_type"] = "none"
    sizes = LAYOUTS["taming"].sizes(config)
    assert (sizes.encoder_attention, sizes.decoder_attention, sizes.middle_attention) == ((), (), False)


@pytest.mark.parametrize(
    "changes", [{"encoder_attention": (5,)}, {"widths": (48, 128)}, {"encoder_kernel": 1}], ids=str
)
def test_bad_sizes(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"taming: expected attention at levels 0…"):
        TamingConfig(**{"encoder_attention": (1,), "decoder_attention": (1,), **changes})


def test_an_unknown_design() -> None:
    with pytest.raises(ValueError, match=r"unknown design of a VQ-GAN 'tamming'; did you mean 'taming'"):
        VQGANConfig.from_dict({"network": "tamming", "widths": [32]})
