"""One real step of the paper's preset, at one layer each: its width, its grid, its codes, its optimizer."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from nuwa.presets import PRESETS
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.training.on_sprites import sprites_data
from nuwa.training.transformer import TransformerStage

from .stages import CPU


@pytest.mark.slow
@pytest.mark.parametrize("task", ["t2i", "t2v"])
def test_one_step_of_paper_336(task: str) -> None:
    """Pixels to 336-px tokens to a step of Adam: it begins at the loss of a guess, and moves all that it reads."""
    preset = PRESETS["paper-336"]().only(task)
    preset = dataclasses.replace(preset, model=dataclasses.replace(preset.model, encoder_layers=1, decoder_layers=1))
    data = sprites_data(336, preset.frames, num_held_out=1, num_captions=50)
    text = TextTokenizer.from_captions(data.vocabulary)
    settings = dataclasses.replace(preset.transformer, steps=2, batch=1, precision="float32", caption_dropout=0.0)
    torch.manual_seed(0)
    stage = TransformerStage(
        preset.config(vocab_size=text.vocab_size), settings, data.sources(preset), VQGAN(preset.tokenizer.model), text,
        origin={"data": data.name}, device=CPU,
    )  # fmt: skip
    before = {name: value.clone() for name, value in stage.model.named_parameters()}
    found = stage.step(0)
    assert float(found["loss"]) == pytest.approx(math.log(12_288), abs=0.5)
    assert 0 < float(found["gradient_norm"]) < math.inf
    moved = {name for name, value in stage.model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == set(before)
    assert all(value.isfinite().all() for value in stage.model.parameters())
