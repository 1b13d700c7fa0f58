"""Complete set-ups by name. A preset is a function that returns one; an ablation is ``dataclasses.replace`` on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nuwa.model.config import ModelSizes
from nuwa.registry import Registry
from nuwa.sampling.decode import Sampling
from nuwa.tokenizers.vqgan import VQGANConfig
from nuwa.training.tokenizer import TokenizerTraining
from nuwa.training.transformer import TransformerTraining


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything between raw data and samples."""

    name: str
    tokenizer: TokenizerTraining
    model: ModelSizes
    transformer: TransformerTraining
    sampling: Sampling


PRESETS: Registry[Callable[[], Preset]] = Registry("preset")


@PRESETS.register("tiny")
def tiny() -> Preset:
    """32 px, 8×8 tokens, 1,024 codes, 2.5M parameters: trained from nothing in ten minutes on two CPU cores."""
    return Preset(
        name="tiny",
        tokenizer=TokenizerTraining(model=VQGANConfig(size_px=32, widths=(64, 128), num_codes=1024), steps=1600),
        model=ModelSizes(d=128, num_heads=4, encoder_layers=2, decoder_layers=6),
        transformer=TransformerTraining(steps=1000, batch=64),
        sampling=Sampling(guidance=2.0, temperature=0.7),  # the best of a few on the split val
    )


@PRESETS.register("smoke")
def smoke() -> Preset:
    """The whole path in seconds, for tests and for trying a dataset; the samples mean nothing."""
    return Preset(
        name="smoke",
        tokenizer=TokenizerTraining(
            model=VQGANConfig(size_px=32, widths=(16, 32), num_codes=32), steps=20, batch=8, precision="float32"
        ),
        model=ModelSizes(d=32, num_heads=2, encoder_layers=1, decoder_layers=2),
        transformer=TransformerTraining(steps=10, batch=8, precision="float32"),
        sampling=Sampling(guidance=2.0),
    )


@PRESETS.register("paper-image")
def paper_image() -> Preset:
    """NÜWA-336 for pictures: 21×21 tokens, 12,288 codes of width 256, 12 + 24 layers of width 1280 (about 920M)."""
    return Preset(
        name="paper-image",
        tokenizer=TokenizerTraining(
            model=VQGANConfig(size_px=336, widths=(128, 128, 256, 512), blocks=2, num_codes=12288, code_width=256),
            steps=500_000,
            lr=1e-4,
        ),
        model=ModelSizes(d=1280, num_heads=20, encoder_layers=12, decoder_layers=24),
        transformer=TransformerTraining(steps=500_000, batch=128, lr=1e-3),
        sampling=Sampling(guidance=2.0),
    )
