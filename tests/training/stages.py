"""Small trainings of both stages, in the sizes of the preset ``smoke``.

``python tests/training/stages.py FOLDER STEPS`` trains the transformer in a process of its own, to be killed.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nuwa.data.sources import HeldOut, Source
from nuwa.data.sprites import captions, draw, render, segment
from nuwa.data.sprites.dataset import SpritesStream
from nuwa.data.streams import MapStream
from nuwa.presets import PRESETS
from nuwa.tokenizers.perceptual import load_sprites
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training import checkpoint
from nuwa.training.checkpoints import Checkpoints
from nuwa.training.loop import LOG, Stage, fit
from nuwa.training.on_sprites import sprites_data
from nuwa.training.optim import clipped_step
from nuwa.training.parallel import Parallel
from nuwa.training.prepare import TrainingData
from nuwa.training.sketch_tokenizer import SketchStage
from nuwa.training.tokenizer import TokenizerStage
from nuwa.training.transformer import TransformerStage

CPU = torch.device("cpu")
STEPS = {"tokenizer": 12, "sketch tokenizer": 12, "transformer": 8, "eight tasks": 10}


class OneBatch(MapStream):
    """The same pictures at every step."""

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        return SpritesStream(32).batch(0, size)

    def maps(self, step: int, size: int) -> Tensor:
        return SpritesStream(32).maps(0, size)


def validation(num: int = 16) -> tuple[Tensor, list[str]]:
    scenes = draw("val", np.arange(num))
    return torch.from_numpy(render(scenes, 32)), captions(scenes)


def source(stream: Any = None) -> Source:
    pixels, words = validation()
    return Source(stream=stream or SpritesStream(32), validation=HeldOut(pixels=pixels, captions=words))


def tokenizer_stage(stream: Any = None, workers: int | None = None, **settings: Any) -> TokenizerStage:
    """Every part of the training takes its turn: codes from step 1, restarts, critic from 5, listened to from 6."""
    config = dataclasses.replace(PRESETS["smoke"]().tokenizer, **{"steps": 12, "restart_every": 3} | settings)
    return TokenizerStage(
        config,
        stream or SpritesStream(32),
        validation()[0],
        load_sprites(),
        data="sprites",
        device=CPU,
        workers=workers,
    )


def transformer_stage(
    stream: Any = None,
    *,
    dropout: float = 0.1,
    parallel: Parallel = "ddp",
    workers: int | None = None,
    **settings: Any,
) -> TransformerStage:
    preset = PRESETS["smoke"]().only("t2i")
    torch.manual_seed(5)
    tokenizer, text = (
        VQGAN(preset.tokenizer.model),
        TextTokenizer.from_captions(captions(draw("train", np.arange(500)))),
    )
    model = dataclasses.replace(preset.model, dropout=dropout)
    config = dataclasses.replace(preset.transformer, **{"steps": 8, "caption_dropout": 0.5} | settings)
    return TransformerStage(
        model.on(preset.tokenizer.model.grid(), num_codes=32, vocab_size=text.vocab_size), config,
        {"picture": source(stream)}, tokenizer, text, origin={"data": "sprites"}, device=CPU, parallel=parallel,
        workers=workers,
    )  # fmt: skip


def sketch_stage(stream: Any = None, workers: int | None = None, **settings: Any) -> SketchStage:
    sketch = PRESETS["smoke"]().sketch
    assert sketch is not None
    config = dataclasses.replace(sketch, **{"steps": 12, "restart_every": 3} | settings)
    maps = torch.from_numpy(segment(draw("val", np.arange(16)), 32))
    return SketchStage(config, stream or SpritesStream(32), maps, data="sprites", device=CPU, workers=workers)


@cache
def small_data(frames: int = 3) -> TrainingData:
    return sprites_data(32, frames, num_held_out=16, num_captions=500)


def tasks_stage(parallel: Parallel = "ddp", workers: int | None = None, **settings: Any) -> TransformerStage:
    """All eight tasks, on clips of three frames."""
    preset, data = dataclasses.replace(PRESETS["smoke"](), frames=3), small_data()
    assert preset.sketch is not None
    torch.manual_seed(5)
    text = TextTokenizer.from_captions(data.vocabulary)
    config = dataclasses.replace(preset.transformer, **{"steps": 12, "caption_dropout": 0.3} | settings)
    return TransformerStage(
        preset.config(vocab_size=text.vocab_size), config, data.sources(preset), VQGAN(preset.tokenizer.model), text,
        sketch=VQGANSeg(preset.sketch.model), origin={"data": "sprites"}, device=CPU, parallel=parallel, workers=workers,
    )  # fmt: skip


STAGES: dict[str, Any] = {
    "tokenizer": tokenizer_stage,
    "sketch tokenizer": sketch_stage,
    "transformer": transformer_stage,
    "eight tasks": tasks_stage,
}


class Stopping:
    """A stage that is interrupted before one of its steps."""

    def __init__(self, stage: Stage, before: int) -> None:
        self.stage, self.before = stage, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stage, name)

    def step(self, index: int) -> dict[str, Tensor]:
        if index == self.before:
            raise KeyboardInterrupt
        return self.stage.step(index)


def train(stage: Stage, folder: Path, steps: int, save_s: float = 0) -> None:
    """With a checkpoint after every step, and all of them in the log."""
    fit(stage, folder, steps=steps, seed=3, log_every=1, validate_every=4, save_s=save_s)


def outcome(folder: Path) -> tuple[bytes, list[dict[str, float]]]:
    """The weights to the bit, and the log without what depends on the machine."""
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    measured = ("time_s", "tokens_per_s", "peak_host_gib", "peak_cuda_gib", "mfu")
    return (folder / checkpoint.WEIGHTS).read_bytes(), [
        {k: v for k, v in line.items() if k not in measured} for line in lines
    ]


def last_step(folder: Path) -> int:
    """Of the newest checkpoint; 0 where there is none."""
    return Checkpoints(folder).newest_step()


class Line:
    """Satisfies ``Stage``; its noise comes from the global generator, which the loop seeds anew for every step."""

    name = "train line"

    def __init__(self, lr: float = 0.1, **nested: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.modules = {"model": self.model}
        self.optimizers = {"model": self.optimizer}
        self.config = {"lr": lr, "training": {"batch": 8} | nested}
        self.ema: float | None = None
        self.steps: list[int] = []

    measure = "error"

    def tokens(self, index: int) -> int:
        return 8

    def flops(self, index: int) -> int | None:
        return None

    def sheet(self) -> Image.Image | None:
        return Image.new("RGB", (3, 2), "red")

    def step(self, index: int) -> dict[str, Tensor]:
        self.steps.append(index)
        x = torch.randn(8, 2)
        loss = (self.model(x) - x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(8, 1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        norm = clipped_step(self.model.parameters(), [self.optimizer])
        return {"loss": loss.detach(), "gradient_norm": norm}

    def validate(self) -> dict[str, float]:
        return {"error": float((self.model.weight.detach() - 1).abs().sum())}


def interrupt(folder: Path, before: int, steps: int = 12) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Line(), before), folder, steps)


if __name__ == "__main__":
    torch.set_num_threads(1)
    number = int(sys.argv[2])
    train(transformer_stage(steps=number), Path(sys.argv[1]), number)
