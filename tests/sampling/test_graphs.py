"""Replayed steps draw the tokens of eager ones: on a GPU as CUDA graphs, elsewhere by a tape of the same operations."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from taping import Tape, TapeRecorder
from torch import Tensor

from nuwa import Grid, Sampling
from nuwa.attention import Axial3D, Full, Nearby3D, Pattern, axial_in_turn
from nuwa.model.layers import Condition
from nuwa.sampling import CapturedDecoder, decode, graphs
from nuwa.sampling.decode import Drawing
from nuwa.sampling.inputs import Inputs

from .conftest import MIXTURES, Sampler, SamplerMaker

GRID = Grid(2, 3, 4)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "cpu":
        monkeypatch.setattr(graphs, "Recorder", TapeRecorder)
    return request.param


@pytest.fixture
def make_on(device: str, make_sampler: SamplerMaker) -> SamplerMaker:
    """A sampler on the device."""

    def make(grid: Grid = GRID, **sizes: Any) -> Sampler:
        sampler = make_sampler(grid, **sizes)
        sampler.model.to(device)
        return sampler

    return make


@torch.no_grad()
def agree(
    sampler: Sampler,
    captured: CapturedDecoder,
    sampling: Sampling,
    indices: list[int],
    sketch: bool = False,
    **more: Any,
) -> Tensor:
    """Tokens of both, which are equal."""
    conditions, empty = sampler.conditions(indices), sampler.conditions(indices, empty=True)
    if sketch:
        draw = torch.Generator().manual_seed(sum(indices))
        memory = torch.randn(len(indices), 12, 16, generator=draw).to(conditions[0].memory.device)
        present = torch.tensor([index % 2 == 0 for index in indices], device=memory.device)
        conditions.append(Condition(grid=Grid(1, 3, 4), spec=None, memory=memory, present=present))
    if sampling.guided:
        more["unconditional"] = empty
    eager = decode(sampler.model.decoder, conditions, sampling, indices, **more)
    replayed = captured.decode(conditions, sampling, indices, **more)
    assert torch.equal(replayed, eager)
    assert not replayed.is_inference()
    return replayed


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize(
    ("spec", "stem"),
    [(Nearby3D(), "nearby"), (Full(), "raster"), (MIXTURES[1], "nearby"), (axial_in_turn(), "raster")],
    ids=str,
)
def test_many_draws_of_one_recording(make_on: SamplerMaker, spec: Pattern, stem: str, guidance: float) -> None:
    """Other samples, captions of other lengths, other seeds; all of them by replaying what the first call recorded."""
    sampler = make_on(decoder_attention=spec, stem=stem)
    captured = CapturedDecoder(sampler.model.decoder)
    indices = [[0, 1], [2, 8], [3, 4], [0, 1]]
    drawn = [
        agree(sampler, captured, Sampling(guidance=guidance, seed=seed), each, sketch=True)
        for seed, each in zip((0, 1, 2, 0), indices, strict=True)
    ]
    assert len(captured._captured) == 1
    assert torch.equal(drawn[0], drawn[3])
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    "change", [{"top_k": 3}, {"top_p": 0.7}, {"temperature": 0.4}, {"top_k": 5, "top_p": 0.9, "guidance": 2.0}], ids=str
)
def test_filters(make_on: SamplerMaker, change: dict[str, Any]) -> None:
    sampler = make_on(Grid(1, 3, 5))
    captured = CapturedDecoder(sampler.model.decoder)
    for seed in range(3):
        agree(sampler, captured, Sampling(seed=seed, **change), [3 * seed, 5])
    assert len(captured._captured) == 1


@pytest.mark.parametrize("one_by_one", [False, True], ids=["diagonal", "one by one"])
@pytest.mark.parametrize("ragged", [False, True], ids=["the same cells", "cells of their own"])
def test_given_tokens(make_on: SamplerMaker, ragged: bool, one_by_one: bool) -> None:
    sampler = make_on()
    captured, device = CapturedDecoder(sampler.model.decoder), sampler.model.decoder.head.weight.device
    known = torch.arange(GRID.size) < 9
    if ragged:
        known = torch.stack([known, torch.arange(GRID.size) < 14])
    for seed in range(3):
        given = torch.randint(11, (2, GRID.size))
        where = {"given": given.to(device), "known": known.to(device), "one_by_one": one_by_one}
        tokens = agree(sampler, captured, Sampling(seed=seed), [seed, 7], **where).cpu()
        assert torch.equal(tokens[known.expand(2, -1)], given[known.expand(2, -1)])
    assert len(captured._captured) == 1


def test_a_picture_of_a_model_of_clips_is_another_kind(make_on: SamplerMaker) -> None:
    sampler = make_on()
    captured = CapturedDecoder(sampler.model.decoder, keep=2)
    for grid in (GRID, Grid(1, 3, 4), GRID):
        agree(sampler, captured, Sampling(), [0, 1], grid=grid)
    first, second = captured._captured.values()
    assert first.inputs.plan.grid == Grid(1, 3, 4)
    agree(sampler, captured, Sampling(), [0, 1, 2])  # a third kind takes the place of the one that was used longest ago
    assert next(iter(captured._captured.values())) is second
    agree(sampler, captured, Sampling(), [4, 5])
    assert list(captured._captured.values())[-1] is second


def test_weights_may_change_in_place_and_be_replaced(make_on: SamplerMaker) -> None:
    sampler = make_on()
    captured = CapturedDecoder(sampler.model.decoder)
    before = agree(sampler, captured, Sampling(), [0, 1])
    with torch.no_grad():
        for parameter in sampler.model.parameters():
            parameter.mul_(1.5)
    changed = agree(sampler, captured, Sampling(), [0, 1])
    assert not torch.equal(before, changed)
    assert len(captured._captured) == 1
    sampler.model.load_state_dict({name: 0.7 * x for name, x in sampler.model.state_dict().items()}, assign=True)
    agree(sampler, captured, Sampling(), [0, 1])
    assert len(captured._captured) == 2


@torch.inference_mode()
def test_it_may_be_called_in_inference_mode(make_on: SamplerMaker) -> None:
    sampler = make_on()
    captured = CapturedDecoder(sampler.model.decoder)
    for seed in range(2):
        expected = decode(sampler.model.decoder, sampler.conditions([0]), Sampling(seed=seed), [0])
        assert torch.equal(captured.decode(sampler.conditions([0]), Sampling(seed=seed), [0]), expected)


def test_captions_without_padding_are_padded_all_the_same(make_on: SamplerMaker) -> None:
    sampler = make_on()
    captured = CapturedDecoder(sampler.model.decoder)
    for length in (3, 77, 1):
        memory = torch.randn(2, length, 16, device=sampler.model.decoder.head.weight.device)
        words = [Condition(grid=Grid(length, 1, 1), spec=Full(), memory=memory)]
        expected = decode(sampler.model.decoder, words, Sampling(), [0, 1])
        assert torch.equal(captured.decode(words, Sampling(), [0, 1]), expected)
    assert len(captured._captured) == 1


def test_what_was_given_is_left_alone(make_on: SamplerMaker) -> None:
    sampler = make_on()
    captured, device = CapturedDecoder(sampler.model.decoder), sampler.model.decoder.head.weight.device
    memories = [torch.randn(1, 12, 16, device=device) for _ in range(2)]
    sketches = [Condition(grid=Grid(1, 3, 4), spec=None, memory=memory.clone()) for memory in memories]
    for sketch in sketches:
        with torch.no_grad():
            captured.decode([*sampler.conditions([0]), sketch], Sampling(), [0])
    assert len(captured._captured) == 1
    assert all(torch.equal(sketch.memory, memory) for sketch, memory in zip(sketches, memories, strict=True))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("spec", [Nearby3D(), Axial3D(), (Full(), Nearby3D())], ids=str)
def test_no_step_waits_for_the_device_or_reads_the_host(
    make_sampler: SamplerMaker, spec: Pattern, guidance: float
) -> None:
    """On the device "meta", where no tensor has values: what asked for one, or copied one from the host, fails."""
    sampler = make_sampler(GRID, decoder_attention=spec)
    sampler.model.to("meta")
    memory, valid = torch.empty(2, 7, 16, device="meta"), torch.empty(2, 7, dtype=torch.bool, device="meta")
    words = [Condition(grid=Grid(7, 1, 1), spec=Full(), memory=memory, valid=valid)]
    sketch = Condition(grid=Grid(1, 3, 4), spec=None, memory=torch.empty(2, 12, 16, device="meta"))
    sampling = Sampling(guidance=guidance, top_k=4, top_p=0.9, temperature=0.8)
    inputs = Inputs.of(sampler.model.decoder, [*words, sketch], sampling, range(2), unconditional=words)
    with torch.inference_mode():
        Drawing(
            sampler.model.decoder, inputs
        ).begin()  # as in the warming up: what is looked up once is there from here on
        drawing = Drawing(sampler.model.decoder, inputs)
        with Tape() as tape:
            drawing.begin()
            for step in range(len(inputs.plan.cells)):
                drawing.step(step)
    assert len(tape.done) > 20 * len(inputs.plan.cells)


@pytest.mark.parametrize("inference", [False, True])
def test_the_tape_notices(inference: bool) -> None:
    x = torch.arange(4)
    with torch.inference_mode(inference):
        for wrong in (lambda: x[x > 1], lambda: bool((x > 1).all()), lambda: (x > 1).nonzero(), lambda: x[2].item()):
            with pytest.raises(AssertionError, match="waits for the device"), Tape():
                wrong()
        with pytest.raises(AssertionError, match="copies between host and device"), Tape():
            x.to("meta")


@torch.no_grad()
def test_half_precision(make_on: SamplerMaker) -> None:
    """With padding in both, both add up in the same order."""
    sampler = make_on()
    sampler.model.to(torch.bfloat16)
    captured, device = CapturedDecoder(sampler.model.decoder), sampler.model.decoder.head.weight.device
    for seed in range(3):
        memory = torch.randn(2, 77, 16, dtype=torch.bfloat16, device=device)
        valid = (torch.arange(77, device=device) < 70 - seed).expand(2, -1)
        words = [Condition(grid=Grid(77, 1, 1), spec=Full(), memory=memory, valid=valid)]
        expected = decode(sampler.model.decoder, words, Sampling(seed=seed), [0, 1])
        assert torch.equal(captured.decode(words, Sampling(seed=seed), [0, 1]), expected)


@pytest.mark.parametrize("captured", [False, True], ids=["eager", "captured"])
def test_cudnn_attention_is_left_alone(
    make_sampler: SamplerMaker, monkeypatch: pytest.MonkeyPatch, captured: bool
) -> None:
    """It compiles for every shape; afterwards everything is as it was."""
    sampler, asked = make_sampler(), []
    stem = sampler.model.decoder.stem
    some = stem.some

    def ask(*arguments: Any) -> Tensor:
        asked.append(torch.backends.cuda.cudnn_sdp_enabled())
        return some(*arguments)

    monkeypatch.setattr(stem, "some", ask)
    monkeypatch.setattr(graphs, "Recorder", TapeRecorder)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    run = CapturedDecoder(sampler.model.decoder).decode if captured else partial(decode, sampler.model.decoder)
    run(sampler.conditions([0]), Sampling(), [0])
    assert asked
    assert not any(asked)
    assert torch.backends.cuda.cudnn_sdp_enabled() == before


def test_a_cpu_is_refused(make_sampler: SamplerMaker) -> None:
    with pytest.raises(ValueError, match=r"expected a decoder on a GPU, got one on cpu; call nuwa\.sampling\.decode"):
        CapturedDecoder(make_sampler().model.decoder)
    with pytest.raises(ValueError, match="keep: expected at least 1, got 0"):
        CapturedDecoder(make_sampler().model.decoder, keep=0)
