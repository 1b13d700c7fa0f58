"""Floating-point operations of the model, counted from its layers and its attention: what MFU is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from nuwa.attention.cost import cost
from nuwa.attention.spec import AttentionSpec
from nuwa.grid import Grid
from nuwa.model.config import ConditionName, ModelConfig
from nuwa.model.layers import DecoderLayer
from nuwa.model.nuwa import NuwaModel
from nuwa.tasks import Task, of_target
from nuwa.tokenizers.text import TEXT_GRID
from nuwa.training.examples import ALONE

BACKWARD = 2
"""Products of the backward pass for each of the forward pass: one for the input, one for the weight or the other input."""


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Of one forward pass over one sample; a multiplication and an addition are two."""

    linear: int
    attention: int  # of the pairs of cells that meet, whatever the backend computes beside them

    @property
    def forward(self) -> int:
        """All of them."""
        return self.linear + self.attention

    @property
    def training(self) -> int:
        """Forward and backward: model FLOPs as MFU counts them (PaLM, arXiv 2204.02311, appendix B).

        What checkpointing and fused attention compute anew is no work of the model, nor is what the optimizer does.
        """
        return (1 + BACKWARD) * self.forward


def reads(
    task: Task, config: ModelConfig, *, words: int = TEXT_GRID.size, first_frames: int | None = None
) -> dict[ConditionName, Grid]:
    """The grids that the encoder reads when ``task`` is trained.

    Args:
        task: what is learnt.
        config: of the model.
        words: tokens of the longest text of the batch, at most and by default 77.
        first_frames: that are given, where frames are; the most that are where it is None.
    """
    target = of_target(config.grid, task.target)
    found: dict[ConditionName, Grid] = {"text": Grid(words, 1, 1)}
    if task.sketch and config.sketch_grid is not None:
        found["sketch"] = of_target(config.sketch_grid, task.target)
    if task.given == "outside the mask":
        found["partial"] = target
    if task.given == "first frames":
        found["partial"] = Grid(first_frames or target.t - 1, target.h, target.w)
    return found


def usual_frames(grid: Grid) -> int:
    """Frames that a batch of video prediction is given on average, rounded: most batches get one, some any number."""
    return max(1, round(ALONE + (1 - ALONE) * grid.t / 2))


def task_flops(model: NuwaModel, task: Task, *, words: int = TEXT_GRID.size) -> Flops:
    """FLOPs of one sample of ``task``: what a step of b samples did is b times its :attr:`Flops.training`.

    Of video prediction with as many given frames as are usual.
    """
    config = model.config
    conditions = reads(task, config, words=words, first_frames=usual_frames(config.grid))
    return sample_flops(model, of_target(config.grid, task.target), conditions)


def sample_flops(model: NuwaModel, grid: Grid, conditions: Mapping[ConditionName, Grid]) -> Flops:
    """FLOPs of one sample with a target on ``grid`` and conditions on their grids; the model may be on the meta device."""
    config, encoder, decoder = model.config, model.encoder, model.decoder
    sources = int(decoder.stem.sources(grid, "cpu")[1].any(dim=0).sum())
    linear = grid.size * (2 * sources * config.d**2 + _products(decoder.head))
    attention = 0
    for name, read in conditions.items():
        linear += read.size * _products(encoder.layers)
        attention += sum(_attention(config, spec, read) for spec in _specs(config, name))
    for layer, spec in zip(decoder.layers, config.decoder_specs, strict=True):
        assert isinstance(layer, DecoderLayer)
        each, once = _products(layer), _products(layer.cross.kv)  # keys and values are made of the conditions alone
        linear += grid.size * (each - once) + sum(read.size for read in conditions.values()) * once
        attention += _attention(config, spec, grid, causal=True)
        for name, read in conditions.items():
            attention += _attention(config, config.text_attention if name == "text" else spec, grid, read)
    return Flops(linear=linear, attention=attention)


def _specs(config: ModelConfig, name: ConditionName) -> tuple[AttentionSpec, ...]:
    return (config.text_attention,) * config.encoder_layers if name == "text" else config.encoder_specs


def _products(module: nn.Module) -> int:
    """FLOPs a token of all linear maps inside."""
    return sum(2 * part.weight.numel() for part in module.modules() if isinstance(part, nn.Linear))


def _attention(
    config: ModelConfig, spec: AttentionSpec, grid: Grid, kv_grid: Grid | None = None, *, causal: bool = False
) -> int:
    width = config.d // config.num_heads
    return cost(spec, grid, kv_grid, causal, num_heads=config.num_heads, head_width=width).flops
