"""Learning rates in closed form, and which parameters decay."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nuwa.training.muon import BatchedMuon
from nuwa.training.optim import adamw, clipped_step, muon, set_lr, warmup_cosine


@pytest.mark.parametrize(
    ("step", "share"),
    [
        (0, 1 / 50),
        (24, 0.5),
        (49, 1.0),
        (50, 1.0),  # the cosine starts at its top
        (50 + 950 // 2, 0.01 + 0.99 / 2),
        (50 + 950 // 4, 0.01 + 0.99 * (1 + math.cos(math.pi * 237 / 950)) / 2),
        (1000, 0.01),
        (5000, 0.01),
    ],
)
def test_warmup_then_cosine(step: int, share: float) -> None:
    assert warmup_cosine(step, 1000) == pytest.approx(share)


@given(st.integers(1, 400), st.floats(0, 0.5), st.floats(0, 0.9))
def test_it_rises_once_and_falls_once(steps: int, warmup: float, floor: float) -> None:
    shares = [warmup_cosine(step, steps, warmup=warmup, floor=floor) for step in range(steps + 1)]
    rise = max(1, round(warmup * steps))
    assert shares[:rise] == pytest.approx([(step + 1) / rise for step in range(rise)])
    fall = shares[rise:]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(fall))
    assert max(shares) == pytest.approx(1)
    assert min(fall, default=1) >= floor - 1e-12
    assert shares[-1] == pytest.approx(floor) or steps == rise


def test_matrices_decay_and_vectors_do_not() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4, 2))
    module[0].weight.requires_grad_(False)
    decaying, others = adamw(module.parameters(), lr=1e-3, betas=(0.9, 0.95), decay=0.3).param_groups
    assert [tuple(p.shape) for p in decaying["params"]] == [(2, 4)]
    assert all(p.ndim == 1 for p in others["params"])
    assert len(others["params"]) == 4
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_muon_takes_the_matrices_of_its_modules() -> None:
    layers = [nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 8)]
    (group,) = muon(layers, lr=1e-3, decay=0.1).param_groups
    assert [tuple(p.shape) for p in group["params"]] == [(4, 4), (8, 4)]


@pytest.mark.parametrize("shape", [(16, 16), (64, 16), (16, 64)])
def test_a_step_of_muon_has_the_size_of_adamws(shape: tuple[int, int]) -> None:
    """Whatever the gradient: root mean square about 0.2 of the learning rate, as AdamW's is in practice."""
    layer = nn.Linear(*shape, bias=False)
    before = layer.weight.detach().clone()
    layer.weight.grad = 1e3 * torch.randn_like(layer.weight)
    muon([layer], lr=0.01, decay=0.0).step()
    rms = (layer.weight - before).square().mean().sqrt().item()
    assert rms == pytest.approx(0.2 * 0.01, rel=0.25)


def test_matrices_of_a_shape_together_move_as_pytorch_moves_each() -> None:
    """To the rounding of bfloat16, tall and wide ones, with momentum and decay, some without a gradient; equal state."""
    torch.manual_seed(0)
    shapes = [(16, 16), (16, 48), (16, 16), (48, 16), (8, 24), (48, 16)]
    ours, theirs = ([nn.Parameter(torch.randn(shape)) for shape in shapes] for _ in range(2))
    for one, other in zip(ours, theirs, strict=True):
        other.data.copy_(one.data)
    settings = {"lr": 0.01, "momentum": 0.95, "weight_decay": 0.3}
    mine = BatchedMuon(ours, **settings)
    pytorchs = torch.optim.Muon(theirs, **settings, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            one.grad = None if place == 2 and step < 2 else torch.randn_like(one)
            other.grad = None if one.grad is None else one.grad.clone()
        mine.step()
        pytorchs.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=(step + 1) * 0.02 * 0.01)
    for one, other in zip(ours, theirs, strict=True):
        assert mine.state[one].keys() == pytorchs.state[other].keys() == {"momentum_buffer"}
        assert torch.equal(mine.state[one]["momentum_buffer"], pytorchs.state[other]["momentum_buffer"])


def test_set_lr_reaches_every_group() -> None:
    optimizer = adamw(nn.Linear(2, 2).parameters(), lr=1.0, betas=(0.9, 0.9), decay=0.1)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


@pytest.mark.parametrize(("clip", "length"), [(math.inf, 5.0), (10.0, 5.0), (2.0, 2.0)])
def test_a_long_gradient_is_cut(clip: float, length: float) -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))
    unused = nn.Parameter(torch.zeros(1))
    one.grad, other.grad = torch.tensor([3.0]), torch.tensor([0.0, 4.0])
    parameters = [one, other, unused]
    assert clipped_step(parameters, [torch.optim.SGD(parameters, lr=1.0)], clip).item() == pytest.approx(5)
    moved = torch.cat([one.detach(), other.detach()])
    assert moved.tolist() == pytest.approx([-0.6 * length, 0, -0.8 * length], abs=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_moves_nothing(bad: float) -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    one.grad, other.grad = torch.tensor([bad]), torch.tensor([1.0])
    optimizers = [torch.optim.Adam([one], lr=1.0), torch.optim.SGD([other], lr=1.0)]
    assert not math.isfinite(clipped_step([one, other], optimizers, 1.0))
    assert one.item() == other.item() == 0
    assert not optimizers[0].state
