"""Every preset is a complete and consistent set-up; the one for tests is trained and used."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch

from nuwa import PRESETS, TASKS, Grid, Nuwa
from nuwa.attention import Nearby3D, mask
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


def test_it_has_what_its_tasks_need(preset: Preset) -> None:
    for name in preset.transformer.tasks:
        assert set(TASKS[name].conditions) <= set(preset.model.conditions)
        assert preset.frames > 1 or TASKS[name].target == "picture"


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("paper")])
def test_the_papers_presets_train_as_the_paper_says(name: str) -> None:
    """Adam, 1e-3, batches of 128; 12,288 codes of width 256 from an encoder that looks around; 20 heads of 64."""
    preset = PRESETS[name]()
    settings, model = preset.transformer, preset.model
    grid = Grid(preset.frames, 1, 1)
    assert (settings.optimizer, settings.lr, settings.size(grid), settings.weight_decay) == ("adam", 1e-3, 128, 0.0)
    codes = preset.tokenizer.model
    assert (codes.encoder_kernel, codes.num_codes, codes.code_width) == (3, 12_288, 256)
    assert (model.d, model.d // model.num_heads, model.encoder_layers, model.decoder_layers) == (1280, 64, 12, 24)
    assert model.encoder_attention == model.decoder_attention == Nearby3D(extent=(3, 3, 3))


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("paper-336", (10, 21, 21)),
        ("paper-336-eight", (10, 21, 21)),
        ("paper-256", (4, 32, 32)),
        ("paper-image", (1, 21, 21)),
    ],
)
def test_the_papers_grids(name: str, grid: tuple[int, int, int]) -> None:
    assert config_of(PRESETS[name]()).grid.shape == grid


def test_the_papers_pre_training_and_fine_tuning() -> None:
    """Three tasks without sketches, then one at a time; the larger model has all of the smaller one's weights."""
    first, then = PRESETS["paper-336"](), PRESETS["paper-336-eight"]().only("s2v")
    assert (list(first.transformer.tasks), first.model.conditions) == (["t2i", "v2v", "t2v"], ("text", "partial"))
    with torch.device("meta"):
        small, large = (NuwaModel(config_of(preset)).state_dict() for preset in (first, then))
    shared = small.keys() & large.keys()
    assert all(large[name].shape == small[name].shape for name in shared)
    assert {name.split(".")[1] for name in large.keys() - shared} == {"sketch"}
    assert {name.split(".")[1] for name in small.keys() - shared} == {"partial"}  # goes on reading it: also_reading


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
