"""Every preset is a complete and consistent set-up; the one for tests is trained and used."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch

from nuwa import PRESETS, Nuwa
from nuwa.attention import mask
from nuwa.model.config import ModelConfig
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import Preset
from nuwa.sampling import plan
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig

VOCABULARY = 120


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> Preset:
    return PRESETS[request.param]()


def config_of(preset: Preset) -> ModelConfig:
    return preset.config(vocab_size=VOCABULARY)


def test_a_preset_knows_its_name_and_says_what_it_is(preset: Preset) -> None:
    assert PRESETS[preset.name]() == preset
    assert len((PRESETS[preset.name].__doc__ or "").strip()) > 30


def test_the_papers_preset_trains_as_the_paper_says() -> None:
    """Adam, 1e-3, batches of 128; codes of width 256 from an encoder that looks around."""
    preset = PRESETS["paper-image"]()
    settings = preset.transformer
    assert (settings.optimizer, settings.lr, settings.batch, settings.weight_decay) == ("adam", 1e-3, 128, 0.0)
    assert preset.tokenizer.model.encoder_kernel == 3


def test_it_goes_through_json(preset: Preset) -> None:
    config = config_of(preset)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    tokenizer = preset.tokenizer.model
    assert VQGANConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(tokenizer)))) == tokenizer


def test_its_parts_fit_each_other(preset: Preset) -> None:
    """Built without memory, whatever its size."""
    with torch.device("meta"):
        tokenizer, model = VQGAN(preset.tokenizer.model), NuwaModel(config_of(preset))
    side = preset.tokenizer.model.size_px
    vectors = tokenizer.encoder(torch.zeros(1, 3, side, side, device="meta"))
    assert (preset.frames, *vectors.shape[2:]) == model.config.grid.shape
    assert vectors.shape[1] == tokenizer.codebook.width
    assert tokenizer.decoder(vectors).shape == (1, 3, side, side)
    assert model.decoder.head.out_features == tokenizer.codebook.num_codes
    assert model.decoder.stem.tokens.num_embeddings == tokenizer.codebook.num_codes


def test_the_size_that_it_states(preset: Preset) -> None:
    stated = re.search(r"(?:about )?([\d.]+)M", PRESETS[preset.name].__doc__ or "")
    with torch.device("meta"):
        millions = NuwaModel(config_of(preset)).num_parameters / 1e6
    assert stated is None or float(stated.group(1)) == pytest.approx(millions, rel=0.03)


def test_its_moments_are_in_order(preset: Preset) -> None:
    training = preset.tokenizer
    assert 0 <= training.quantise_from <= training.critic_from <= training.adversarial_from <= 1
    assert min(training.steps, preset.transformer.steps, training.batch, preset.transformer.batch) > 0


def test_it_is_decoded_in_fewer_steps_than_cells(preset: Preset) -> None:
    config = config_of(preset)
    with torch.device("meta"):
        decoder = NuwaModel(dataclasses.replace(config, d=2, num_heads=1, decoder_layers=1, encoder_layers=1)).decoder
    assert len(plan(decoder).order) < config.grid.size / 2
    assert all(mask(spec, config.grid, causal=True).diagonal().all() for spec in config.decoder_specs)


def test_smoke_makes_pictures() -> None:
    smoke, text = PRESETS["smoke"]().only("t2i"), TextTokenizer.from_captions(["a red circle"])
    tokenizer = VQGAN(smoke.tokenizer.model)
    model = NuwaModel(smoke.config(vocab_size=text.vocab_size))
    picture = Nuwa(tokenizer, text, model, smoke.sampling).t2i("a red circle")
    assert picture.shape == (3, 32, 32)
