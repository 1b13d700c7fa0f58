"""Presets of an ablation: those of the library, and one so small that a whole table takes half an hour on two CPU cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nuwa.presets import PRESETS, Preset
from nuwa.registry import Registry
from nuwa.training.transformer import TransformerTraining

QUICK = "quick"

SIZES: Registry[Callable[[], Preset]] = Registry("preset")
"""What ``--preset`` names."""

for _name in PRESETS:
    SIZES.add(_name, PRESETS[_name])


@SIZES.register(QUICK)
def quick() -> Preset:
    """``tiny`` with half the width and fewer layers and steps: its pixels, its 5×8×8 tokens, 0.55M parameters."""
    tiny = PRESETS["tiny"]()
    assert tiny.sketch is not None
    return replace(
        tiny,
        name=QUICK,
        tokenizer=replace(tiny.tokenizer, steps=700),
        sketch=replace(tiny.sketch, steps=400),
        model=replace(tiny.model, d=64, num_heads=2, encoder_layers=1, decoder_layers=4),
        alone=TransformerTraining(steps=450, batch=64),
    )
