"""Small models whose weights are large enough that every dependency shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nuwa import Grid
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel

ModelMaker = Callable[..., NuwaModel]


@pytest.fixture
def make_model() -> ModelMaker:
    """A float64 model in evaluation mode; keyword arguments as for ``ModelSizes``."""

    def make(grid: Grid, *, num_codes: int = 11, vocab_size: int = 13, **sizes: Any) -> NuwaModel:
        small = {"d": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 2}
        torch.manual_seed(0)
        model = NuwaModel(ModelSizes(**small | sizes).on(grid, num_codes=num_codes, vocab_size=vocab_size))
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.5)
        return model.double().eval()

    return make
