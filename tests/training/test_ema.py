"""The moving average of weights, in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nuwa.training.ema import Average
from nuwa.training.transformer import TransformerTraining


@pytest.fixture
def module() -> nn.Module:
    module = nn.BatchNorm1d(3)  # has parameters, float buffers and a whole number
    nn.init.zeros_(module.weight)
    return module


def test_it_remembers_by_its_decay(module: nn.Module) -> None:
    average = Average(module, 0.5)
    nn.init.ones_(module.weight)
    for index in range(100, 103):  # late enough for the decay alone to count
        average.update(index)
    assert torch.allclose(average.state["weight"], torch.full((3,), 1 - 0.5**3))


def test_early_steps_forget_the_beginning(module: nn.Module) -> None:
    average = Average(module, 0.999)
    nn.init.ones_(module.weight)
    average.update(0)
    assert torch.allclose(average.state["weight"], torch.full((3,), 0.9))
    average.update(1)
    assert torch.allclose(average.state["weight"], torch.full((3,), 1 - 0.1 * 2 / 11))


def test_what_is_no_parameter_is_taken_as_it_is(module: nn.Module) -> None:
    average = Average(module, 0.9)
    module.train()(torch.randn(8, 3))
    average.update(0)
    assert torch.equal(average.state["running_mean"], module.get_buffer("running_mean"))
    assert average.state["num_batches_tracked"] == 1


def test_it_is_shown_for_a_while(module: nn.Module) -> None:
    average = Average(module, 0.9)
    nn.init.ones_(module.weight)
    with average.shown():
        assert torch.equal(module.weight, torch.zeros(3))
    assert torch.equal(module.weight, torch.ones(3))
    average.replace()
    assert torch.equal(module.weight, torch.zeros(3))
    average.state["weight"].fill_(7)  # its own tensors
    assert torch.equal(module.weight, torch.zeros(3))


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_a_decay_is_a_share(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"ema: expected a share in \[0, 1\) such as 0.999, or none, got {decay}"):
        TransformerTraining(ema=decay)


def test_parts_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="accumulate: expected at least one part, got 0"):
        TransformerTraining(accumulate=0)
