"""From a preset and data to a trained system: train what is missing, go on with what was begun, reuse what is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nuwa import files
from nuwa.data.captioned import CaptionedPictures
from nuwa.data.shards.layout import MANIFEST
from nuwa.data.shards.read import Shards
from nuwa.data.shards.stream import ShardStream
from nuwa.data.shards.write import write_shards
from nuwa.data.streams import Stream
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import Preset
from nuwa.system import Nuwa, vqgan_config
from nuwa.tokenizers.perceptual import PerceptualDistance
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.training import checkpoint
from nuwa.training.loop import finished, fit
from nuwa.training.tokenizer import TokenizerStage
from nuwa.training.transformer import TransformerStage


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a training reads."""

    name: str  # goes into the checkpoint's config: name, version, split and fingerprint of the data
    stream: Stream
    validation: tuple[Tensor, Sequence[str]]  # pictures uint8 (m, 3, h, w) and captions
    vocabulary: Sequence[str]  # captions whose word pieces the text tokenizer knows
    perceptual: PerceptualDistance | None
    samples: CaptionedPictures | None = None  # a fixed list of what the stream shows, for a training that reads shards


def prepare(
    preset: Preset, data: TrainingData, folder: Path, device: torch.device, *, shards: Path | None = None
) -> Nuwa:
    """The trained system of ``preset`` on ``data``, kept in ``folder/tokenizer`` and ``folder/transformer``.

    With ``shards`` the model reads tokens and words from that folder instead of encoding them at every step. Where nothing
    is there yet, ``data.samples`` are encoded into it first. ValueError where it holds shards of another tokenizer.
    """
    tokenizer = _tokenizer(preset, data, folder / "tokenizer", device)
    digest = files.sha256(folder / "tokenizer" / checkpoint.WEIGHTS)
    stream: Stream | ShardStream = data.stream
    text, origin = None, {"data": data.name, "tokenizer_sha256": digest}
    if shards is not None:
        encoded = _shards(shards, data, tokenizer)
        text, origin["shards"] = encoded.text, encoded.fingerprint
        stream = ShardStream(encoded, preset.transformer.seed)
    text = text or TextTokenizer.from_captions(data.vocabulary)
    grid = preset.tokenizer.model.grid()
    config = preset.model.on(grid, num_codes=preset.tokenizer.model.num_codes, vocab_size=text.vocab_size)
    stage = TransformerStage(
        config, preset.transformer, stream, tokenizer, text, data.validation, origin=origin, device=device
    )
    home = folder / "transformer"
    if not finished(home, stage.config):
        fit(stage, home, steps=preset.transformer.steps, seed=preset.transformer.seed)
    model = NuwaModel(config)
    checkpoint.load_weights(home / checkpoint.WEIGHTS, model)
    return Nuwa(tokenizer, text, model, preset.sampling).to(device)


def _tokenizer(preset: Preset, data: TrainingData, home: Path, device: torch.device) -> VQGAN:
    settings = preset.tokenizer
    stage = TokenizerStage(settings, data.stream, data.validation[0], data.perceptual, data=data.name, device=device)
    if not finished(home, stage.config):
        fit(stage, home, steps=settings.steps, seed=settings.seed)
    model = VQGAN(vqgan_config(checkpoint.read_config(home / checkpoint.WEIGHTS)["model"]))
    checkpoint.load_weights(home / checkpoint.WEIGHTS, model)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _shards(folder: Path, data: TrainingData, tokenizer: VQGAN) -> Shards:
    """The shards in ``folder``; made, or finished, where there is no whole set yet."""
    if not (folder / MANIFEST).exists():
        if data.samples is None:
            raise ValueError(f"{folder}: expected finished shards, got none; make them with nox -s tokenize")
        write_shards(data.samples, tokenizer, folder, text=TextTokenizer.from_captions(data.vocabulary))
    return Shards(folder, tokenizer)
