"""Trainings whose steps are timed: a preset's model on random tokens and words, in batches that fill the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evaluation.ablations.pairs import pair
from nuwa.data.shards.loader import TokenBatch
from nuwa.data.sources import HeldOut, Source
from nuwa.data.streams import Stream
from nuwa.grid import Grid
from nuwa.model.config import ModelConfig
from nuwa.presets import PRESETS, Preset
from nuwa.tasks import TASKS, Target, of_target
from nuwa.tokenizers.text import TEXT_GRID, TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.training.flops import reads, task_flops
from nuwa.training.memory import GIB, RESERVED_GIB, activations, states
from nuwa.training.transformer import TransformerStage

FILLED = 0.9
"""Share of the device's memory that the estimate may fill."""

CPU_BATCH = 10
STEPS = 10_000  # more than are ever timed


@dataclass(frozen=True)
class Size:
    """What is trained on a kind of device."""

    preset: str
    vocab_size: int

    @property
    def chosen(self) -> Preset:
        """The preset for the tasks that read text alone."""
        return PRESETS[self.preset]().only("t2i", "t2v")

    @property
    def config(self) -> ModelConfig:
        """Its model."""
        return self.chosen.config(vocab_size=self.vocab_size)

    def grid(self, task: str) -> Grid:
        """Of a task's target."""
        return of_target(self.config.grid, TASKS[task].target)

    def __str__(self) -> str:
        return f"{self.preset}, {TEXT_GRID.size} words"


SIZES = {"cuda": Size("paper-336", 49_408), "cpu": Size("smoke", 100)}


@dataclass(frozen=True)
class Case:
    """A row: attention of encoder and decoder, what is learnt, and how."""

    attention: str
    task: str
    compile: bool

    def __str__(self) -> str:
        return f"{self.attention}, {TASKS[self.task].target}s, {self.how}"

    @property
    def how(self) -> str:
        """For the record."""
        return "compiled" if self.compile else "eager"


class RandomTokens(Stream):
    """Samples that say nothing, as fast as they can be had: every text has all 77 words."""

    def __init__(self, grid: Grid, num_codes: int, vocab_size: int) -> None:
        self.grid, self.num_codes, self.vocab_size = grid, num_codes, vocab_size

    def tokens(self, step: int, size: int) -> TokenBatch:
        """See :class:`nuwa.data.shards.stream.TokenStream`."""
        made = torch.Generator().manual_seed(step)
        tokens = torch.randint(self.num_codes, (size, *self.grid.shape), generator=made)
        words = torch.randint(2, self.vocab_size, (size, TEXT_GRID.size), generator=made)
        return TokenBatch(tokens, words, torch.arange(size), torch.zeros(size, dtype=torch.int64))

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:  # noqa: ARG002
        """See :class:`nuwa.data.streams.Stream`."""
        raise AssertionError("tokens are read instead")


class Training:
    """One model that learns text to image and text to video by turns, by the steps of :mod:`nuwa.training.transformer`."""

    def __init__(self, attention: str, device: torch.device, *, compile: bool) -> None:
        self.device, self.size = device, SIZES[device.type]
        preset, config = self.size.chosen, self.size.config
        chosen = pair(attention, config.grid)
        config = replace(config, encoder_attention=chosen.encoder, decoder_attention=chosen.decoder)
        nothing = HeldOut(pixels=torch.empty(0), captions=())
        sources: dict[Target, Source] = {}
        for task in ("t2i", "t2v"):
            tokens = RandomTokens(self.size.grid(task), config.num_codes, config.vocab_size)
            sources[TASKS[task].target] = Source(stream=tokens, validation=nothing, shards=tokens)
        text = TextTokenizer.from_captions([])
        settings = replace(preset.transformer, compile=compile, steps=STEPS, precision="auto", tables="random")
        with torch.device(device):  # weights of this size are drawn at once on a GPU, and take half a minute on a CPU
            self.stage = TransformerStage(
                config, settings, sources, VQGAN(VQGANConfig()), text, origin={}, device=device,
                workers=0,  # steps of the other task are left out: processes that read ahead would start anew after each
            )  # fmt: skip

    @property
    def parameters(self) -> int:
        """Of the model."""
        return self.stage.model.num_parameters

    def fitting(self, task: str) -> int:
        """Samples whose activations fit beside the weights by the estimate of a plan."""
        grid, model = self.size.grid(task), self.stage.model
        if self.device.type != "cuda":
            return max(1, CPU_BATCH // grid.t)
        free = FILLED * torch.cuda.get_device_properties(self.device).total_memory - RESERVED_GIB * GIB
        free -= states(model, self.stage.settings.optimizer, ema=False).total
        each = activations(model.config, grid, reads(TASKS[task], model.config))
        return max(1, int(free / each.peak(checkpointing=False)))

    def step_flops(self, task: str, samples: int) -> int:
        """Of the model, forward and backward."""
        return samples * task_flops(self.stage.model, TASKS[task]).training

    def steps(self, task: str, samples: int) -> Iterator[float]:
        """Steps of the task with so many samples, one a turn; gives their losses."""
        self.stage.settings = replace(self.stage.settings, batch=samples * self.size.grid(task).t)
        for index in range(self.stage.settings.steps):
            if self.stage.mixture[index].task.name == task:
                yield float(self.stage.step(index)["loss"])
