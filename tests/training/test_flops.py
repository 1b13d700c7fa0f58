"""The count of operations against PyTorch's own counter, and against the definition of attention's cost."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nuwa.attention import Axial3D, Full, Nearby3D, attend, cost
from nuwa.attention.backend import Problem
from nuwa.grid import Grid
from nuwa.model import layers
from nuwa.model.config import ModelConfig, Pattern
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import PRESETS
from nuwa.tasks import TASKS, for_encoder, of_target
from nuwa.training.examples import Examples
from nuwa.training.flops import reads, sample_flops, task_flops, usual_frames

B = 2


def config_of(attention: Pattern = Nearby3D()) -> ModelConfig:
    smoke = PRESETS["smoke"]()
    config = smoke.config(vocab_size=50)
    small = Grid(3, 4, 5)
    return dataclasses.replace(
        config, grid=small, sketch_grid=Grid(3, 2, 3), encoder_attention=attention, decoder_attention=attention
    )


@dataclasses.dataclass
class Seen:
    """What a forward pass asked of attention."""

    problems: list[tuple[Problem, int]] = dataclasses.field(default_factory=list)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **how: Any) -> Tensor:
        shape = {"kv_grid": None, "causal": False, "key_mask": None} | {
            name: how[name] for name in how if name != "backend"
        }
        self.problems.append((Problem.of(q, k, v, **shape), q.shape[1]))
        return attend(q, k, v, **how, backend="dense")

    def flops(self, *, dense: bool) -> int:
        """Of one sample: of the pairs that meet, or of all that the plain products compute."""
        total = 0
        for problem, heads in self.problems:
            if dense:
                total += 4 * problem.grid.size * problem.kv_grid.size * heads * problem.head_width
            else:
                spec, grid, kv_grid, causal = problem.spec, problem.grid, problem.kv_grid, problem.causal
                total += cost(spec, grid, kv_grid, causal, num_heads=heads, head_width=problem.head_width).flops
        return total


@pytest.mark.parametrize("attention", [Nearby3D(), Full(), (Axial3D(), Full())], ids=["nearby", "full", "mixed"])
@pytest.mark.parametrize("name", TASKS)
def test_agrees_with_pytorchs_counter(name: str, attention: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last operation, forward and with the backward pass; the counter sees plain products of all pairs."""
    torch.manual_seed(0)
    config, task, seen = config_of(attention), TASKS[name], Seen()
    model, grid, conditions = NuwaModel(config), of_target(config.grid, task.target), reads(task, config)
    counted = sample_flops(model, grid, conditions)
    monkeypatch.setattr(layers, "attend", seen.attend)
    tokens = torch.randint(config.num_codes, (B, grid.size))
    sketch = torch.zeros(B, *conditions["sketch"].shape, dtype=torch.int64) if "sketch" in conditions else None
    known = torch.ones(B, *grid.shape, dtype=torch.bool)
    if task.given == "first frames":
        known[:, -1] = False
    partial = for_encoder(task, tokens.unflatten(1, grid.shape), known)
    with FlopCounterMode(display=False) as counter:
        found = model.conditions(
            torch.randint(50, (B, 77)), torch.ones(B, 77, dtype=torch.bool),
            sketch=sketch, partial=partial if "partial" in conditions else None,
        )  # fmt: skip
        logits = model.decoder(tokens, found, grid)
    assert counted.attention == seen.flops(dense=False)
    assert counter.get_total_flops() == B * (counted.linear + seen.flops(dense=True))
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    assert backward.get_total_flops() == 2 * counter.get_total_flops()
    assert counted.training == 3 * counted.forward


def test_the_meta_device_counts_the_same() -> None:
    config = config_of()
    with torch.device("meta"):
        model = NuwaModel(config)
    conditions = reads(TASKS["s2v"], config)
    assert sample_flops(model, config.grid, conditions) == sample_flops(NuwaModel(config), config.grid, conditions)


@pytest.mark.parametrize("t", [2, 5, 10])
def test_the_usual_number_of_given_frames(t: int) -> None:
    """The mean of what training draws."""
    examples, grid = SimpleNamespace(seed=0), Grid(t, 1, 1)
    keys = np.arange(4000).reshape(1000, 4)
    drawn = [int(Examples._known(examples, TASKS["v2v"], grid, each, each[0])[0].sum()) for each in keys]  # type: ignore[arg-type, index]
    assert usual_frames(grid) == pytest.approx(np.mean(drawn), abs=0.51)
    assert max(drawn) == reads(TASKS["v2v"], dataclasses.replace(config_of(), grid=grid))["partial"].t == t - 1


def test_of_a_task() -> None:
    config = config_of()
    model = NuwaModel(config)
    given = {"text": Grid(9, 1, 1), "partial": Grid(usual_frames(config.grid), 4, 5)}
    assert task_flops(model, TASKS["v2v"], words=9) == sample_flops(model, config.grid, given)


def test_shorter_texts_take_less() -> None:
    config = config_of(Full())
    model = NuwaModel(config)
    found = [task_flops(model, TASKS["t2i"], words=words) for words in (1, 2, 77)]
    assert found[2] == sample_flops(model, Grid(1, 4, 5), {"text": Grid(77, 1, 1)})
    assert found[0].forward < found[1].forward < found[2].forward


def test_six_operations_a_parameter_and_token() -> None:
    """Kaplan et al. (arXiv 2001.08361): 6 N a token, of which embeddings, the stem and the head are the difference."""
    preset = PRESETS["paper-336"]()
    config = preset.config(vocab_size=1000)
    with torch.device("meta"):
        model = NuwaModel(config)
    flops = sample_flops(model, config.grid, reads(TASKS["t2v"], config))
    blocks = sum(parameter.numel() for parameter in model.decoder.layers.parameters())
    assert flops.training == pytest.approx(6 * blocks * config.grid.size, rel=0.06)
    assert flops.attention < 0.03 * flops.linear  # nearby attention of the paper's extent
