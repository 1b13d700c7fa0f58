"""What a training takes, before it is begun: parameters, tokens, operations, memory of each GPU, and days.

Parameters and operations are counted from the model itself, built without memory; memory is estimated
(:mod:`nuwa.training.memory`), and days follow from an assumed MFU, the share of a GPU's peak that goes into the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from nuwa.grid import Grid
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import Preset
from nuwa.tasks import TASKS, Task, of_target
from nuwa.tokenizers.vqgan import VQGAN
from nuwa.tokenizers.vqgan_seg import VQGANSeg
from nuwa.training.flops import Flops, reads, sample_flops, usual_frames
from nuwa.training.gpus import GPUS
from nuwa.training.memory import GIB, RESERVED_GIB, Activations, States, activations, states
from nuwa.training.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a training runs on. ValueError for an unknown GPU or numbers that cannot be."""

    gpus: int = 8
    gpu: str = "h100"
    mfu: float = 0.4  # share of the GPU's peak that goes into the model's own operations
    sharded: bool = True  # FSDP2: each GPU keeps its share of weights, gradients and optimizer; otherwise DDP

    def __post_init__(self) -> None:
        if self.gpus < 1 or not 0 < self.mfu <= 1:
            raise ValueError(f"machine: expected gpus >= 1 and mfu in (0, 1], got {self.gpus} and {self.mfu}")
        assert GPUS[self.gpu].memory_gib > RESERVED_GIB

    @property
    def flops(self) -> float:
        """Of the model, a second, on all GPUs together."""
        return self.gpus * GPUS[self.gpu].flops * self.mfu


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one task asks of a step that trains it."""

    task: Task
    share: float  # of the steps
    grid: Grid  # of the target
    read: int  # tokens of the conditions, of given frames as many as are usual
    samples: int  # a step, on all GPUs together
    flops: Flops  # of a sample
    activations: Activations  # of a sample, with the most that it may read

    @property
    def tokens(self) -> int:
        """Target tokens a step."""
        return self.samples * self.grid.size

    @property
    def step_flops(self) -> int:
        """Of a step, forward and backward."""
        return self.samples * self.flops.training


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A preset on a machine."""

    preset: Preset
    machine: Machine
    parameters: dict[str, int]  # of the model by part
    tokenizers: dict[str, int]  # parameters of each, not trained beside the model
    loads: tuple[Load, ...]
    states: States

    @property
    def blocks(self) -> int:
        """Parameters of the layers of encoder and decoder, which is what the paper's 870M count."""
        return self.parameters["encoder blocks"] + self.parameters["decoder blocks"]

    @property
    def num_parameters(self) -> int:
        """Of the model, with the words of the text."""
        return sum(self.parameters.values())

    def mean(self, values: Sequence[float]) -> float:
        """Over the steps of the training, of one value for each load; the first task's lead counts."""
        lead = min(1.0, self.preset.transformer.lead / self.preset.transformer.steps)
        mixed = sum(load.share * value for load, value in zip(self.loads, values, strict=True))
        return lead * values[0] + (1 - lead) * mixed

    @property
    def tokens(self) -> float:
        """Target tokens a step."""
        return self.mean([load.tokens for load in self.loads])

    @property
    def step_flops(self) -> float:
        """Of a step, forward and backward."""
        return self.mean([load.step_flops for load in self.loads])

    @property
    def days(self) -> float:
        """Of the transformer's training."""
        return self.preset.transformer.steps * self.step_flops / self.machine.flops / 86_400

    @property
    def heaviest(self) -> Load:
        """The task whose samples take most memory."""
        return max(self.loads, key=lambda load: load.activations.saved)

    def at_once(self, load: Load) -> int:
        """Samples of a step on the GPU that has most of them."""
        return math.ceil(load.samples / self.machine.gpus)

    def memory_gib(self, *, checkpointing: bool) -> float:
        """Of one GPU that takes its whole share of a step at once."""
        active = max(self.at_once(load) * load.activations.peak(checkpointing=checkpointing) for load in self.loads)
        return RESERVED_GIB + (self.states.total + active) / GIB

    def room(self, load: Load, *, checkpointing: bool) -> int:
        """The most samples that a GPU can take at once; the rest of its share has to be accumulated."""
        left = GPUS[self.machine.gpu].memory_gib - RESERVED_GIB - self.states.total / GIB
        return max(0, int(left * GIB // load.activations.peak(checkpointing=checkpointing)))

    @property
    def idle(self) -> int:
        """GPUs that the task with the fewest samples a step leaves without one."""
        return max(0, self.machine.gpus - min(load.samples for load in self.loads))


def plan(preset: Preset, machine: Machine, *, vocab_size: int) -> Plan:
    """The plan of the preset's transformer; its tokenizers are only counted."""
    config = preset.config(vocab_size=vocab_size)
    with torch.device("meta"):
        model = NuwaModel(config)
        tokenizers: dict[str, nn.Module] = {"tokenizer": VQGAN(preset.tokenizer.model)}
        if preset.sketch is not None:
            tokenizers["sketch tokenizer"] = VQGANSeg(preset.sketch.model)
    settings, loads = preset.transformer, []
    for name, share in Mixture(settings.tasks, settings.steps, lead=settings.lead).shares.items():
        task = TASKS[name]
        grid = of_target(config.grid, task.target)
        usual = reads(task, config, first_frames=usual_frames(config.grid))
        loads.append(
            Load(
                task=task,
                share=share,
                grid=grid,
                read=sum(read.size for read in usual.values()),
                samples=settings.size(grid),
                flops=sample_flops(model, grid, usual),
                activations=activations(config, grid, reads(task, config)),
            )
        )
    return Plan(
        preset=preset,
        machine=machine,
        parameters=parameters(model),
        tokenizers={name: _count(network) for name, network in tokenizers.items()},
        loads=tuple(loads),
        states=states(model, settings.optimizer, gpus=machine.gpus, sharded=machine.sharded),
    )


def parameters(model: NuwaModel) -> dict[str, int]:
    """Parameters of every part; together they are the model's."""
    encoder, decoder = model.encoder, model.decoder
    parts: dict[str, Sequence[nn.Module | None]] = {
        "encoder blocks": [encoder.layers],
        "decoder blocks": [decoder.layers],
        "words": [encoder.text.tokens],
        "codes of sketches and given cells": [part and part.tokens for part in (encoder.sketch, encoder.partial)],
        "positions": [
            decoder.positions,
            *(part and part.positions for part in (encoder.text, encoder.sketch, encoder.partial)),
        ],
        "stem": [decoder.stem],
        "last norms": [encoder.norm, decoder.norm],
        "head": [decoder.head],
    }
    return {name: sum(_count(part) for part in found if part is not None) for name, found in parts.items()}


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def with_steps(preset: Preset, *, steps: int, batch: int, tasks: Sequence[str]) -> Preset:
    """The preset for some tasks with another number of steps and another batch."""
    some = preset.only(*tasks)
    return replace(some, transformer=replace(some.transformer, steps=steps, batch=batch))
