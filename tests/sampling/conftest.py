"""A small model with decided opinions, its conditions, and the slowest sampler there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa import Grid, Sampling, noise
from nuwa.attention import ATTENTION, AttentionSpec, Block3D, Full, Nearby3D, Pattern, axial_in_turn
from nuwa.model.config import ModelSizes
from nuwa.model.layers import Condition
from nuwa.model.nuwa import NuwaModel
from nuwa.sampling import decode
from nuwa.sampling.filters import guide, invert_cdf, probabilities

SPECS: list[AttentionSpec] = [
    *(ATTENTION[name]() for name in ATTENTION),
    Block3D(block=(2, 2, 3)),
    Nearby3D(extent=(3, 1, 5)),
]
MIXTURES: list[Pattern] = [
    (Full(), Nearby3D()),
    (Block3D(block=(2, 2, 3)), Nearby3D(extent=(1, 3, 3)), Full()),
    axial_in_turn(),
]
AWKWARD = [Grid(1, 1, 1), Grid(1, 3, 5), Grid(3, 2, 3), Grid(5, 1, 1)]
V = 11


@dataclass(frozen=True)
class Sampler:
    """A model with conditions for ``b`` samples; sample i has caption i modulo 5."""

    model: NuwaModel

    @property
    def grid(self) -> Grid:
        return self.model.config.grid

    def conditions(self, sample_indices: Sequence[int], *, empty: bool = False) -> list[Condition]:
        lengths = torch.tensor([2 if empty else 3 + index % 5 for index in sample_indices])
        valid = torch.arange(77) < lengths[:, None]
        ids = torch.arange(77).add(lengths[:, None]).remainder(12).add(1) * valid
        device = self.model.decoder.head.weight.device
        return [self.model.encoder.encode_text(ids.to(device), valid.to(device))]

    def draw(self, sampling: Sampling, sample_indices: Sequence[int] = range(3), **more: Any) -> Tensor:
        with torch.no_grad():
            there = self.conditions(sample_indices)
            empty = self.conditions(sample_indices, empty=True) if sampling.guidance != 1 else ()
        return decode(self.model.decoder, there, sampling, sample_indices, unconditional=empty, **more)

    @torch.no_grad()
    def draw_naively(self, sampling: Sampling, sample_indices: Sequence[int] = range(3)) -> Tensor:
        """Cell after cell in raster order, each from whole forward passes: the definition of what ``decode`` draws."""
        there, empty = self.conditions(sample_indices), self.conditions(sample_indices, empty=True)
        key = noise.key("sample", sampling.seed)
        tokens = torch.zeros(len(sample_indices), self.grid.size, dtype=torch.int64)
        for cell in range(self.grid.size):
            logits = self.model.decoder(tokens, there)[:, cell]
            if sampling.guidance != 1:
                logits = guide(logits, self.model.decoder(tokens, empty)[:, cell], sampling.guidance)
            p = probabilities(logits, temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
            u = torch.from_numpy(noise.uniform(key, np.asarray(sample_indices), cell))
            tokens[:, cell] = invert_cdf(p, u)
        return tokens


SamplerMaker = Callable[..., Sampler]


@pytest.fixture
def make_sampler() -> SamplerMaker:
    """A sampler in float32, as sampling always runs; keyword arguments as for ``ModelSizes``."""

    def make(grid: Grid = Grid(1, 3, 5), **sizes: Any) -> Sampler:  # noqa: B008  frozen
        small = {"d": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 3}
        torch.manual_seed(0)
        model = NuwaModel(ModelSizes(**small | sizes).on(grid, num_codes=V, vocab_size=13)).eval()
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.4)
        return Sampler(model)

    return make
