"""Layers that are compiled in segments, and layers that are computed anew: the same results, the same gradients."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from nuwa.model.layers import DecoderLayer
from nuwa.training.shared import described
from nuwa.training.transformer import TransformerStage

from .stages import tasks_stage, transformer_stage

# Dynamo looks for gradients of tensors that have none, and hides the warning in its own way.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What torch.compile traces, without the minute that a C++ compiler takes for it."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def step(stage: TransformerStage, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One step: what it logs, and the gradients that it went by."""
    torch.manual_seed(index)
    scalars = stage.step(index)
    gradients = {name: p.grad.clone() for name, p in stage.model.named_parameters() if p.grad is not None}
    return scalars, gradients


@pytest.mark.parametrize("index", [0, 1, 2, 5])
def test_computing_anew_changes_nothing(index: int) -> None:
    """Also with dropout, whose random numbers are drawn again."""
    plain, anew = (transformer_stage(checkpoint_activations=each) for each in (False, True))
    torch.testing.assert_close(step(anew, index), step(plain, index), rtol=0, atol=0)


def test_all_tasks_computed_anew() -> None:
    plain, anew = (tasks_stage(checkpoint_activations=each) for each in (False, True))
    for index in range(4):
        torch.testing.assert_close(step(anew, index), step(plain, index), rtol=0, atol=0)


@pytest.mark.usefixtures("traced")
def test_compiled_layers_compute_the_same() -> None:
    """To rounding, which differs as texts are padded; also where they are computed anew."""
    plain, compiled = tasks_stage(), tasks_stage(compile=True, checkpoint_activations=True)
    for index in range(3):
        torch.testing.assert_close(step(compiled, index)[0], step(plain, index)[0], rtol=1e-4, atol=0)


def test_what_is_kept_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inside of a layer runs twice where it is computed anew, and in validation once."""
    calls: list[int] = []
    inside = DecoderLayer.before
    monkeypatch.setattr(DecoderLayer, "before", lambda self, x: calls.append(0) or inside(self, x))
    stage = transformer_stage(checkpoint_activations=True)
    stage.step(0)
    layers = len(stage.model.decoder.layers)
    assert len(calls) == 2 * layers
    calls.clear()
    stage.validate()
    assert len(calls) % layers == 0


@pytest.mark.usefixtures("traced")
def test_layers_of_a_kind_share_their_graphs() -> None:
    """Two of each layer, the loss: five graphs for a shape, and none for the next layer or the next stage."""
    counters = torch._dynamo.utils.counters["stats"]
    stage, again = (transformer_stage(compile=True, dropout=0.0) for _ in range(2))
    assert len(stage.model.decoder.layers) > 1
    before = counters["unique_graphs"]
    stage.step(0)
    assert counters["unique_graphs"] - before == 5
    again.step(0)
    assert counters["unique_graphs"] - before == 5


def test_the_config_says_what_was_compiled() -> None:
    """Rounding differs, so a training does not go on with another choice; saving memory changes nothing."""
    plain, compiled, anew = (
        described(transformer_stage(**{name: True}).settings) if name else described(transformer_stage().settings)
        for name in ("", "compile", "checkpoint_activations")
    )
    assert compiled == plain | {"compile": True}
    assert anew == plain


@pytest.mark.slow
def test_compiled_for_this_machine() -> None:
    """By the compiler itself: the losses of a few steps to rounding."""
    plain, compiled = (transformer_stage(compile=each, dropout=0.0) for each in (False, True))
    for index in range(3):
        expected, found = (step(stage, index)[0] for stage in (plain, compiled))
        torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-5, atol=0)
