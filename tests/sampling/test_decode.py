"""Diagonal decoding draws the tokens of the slowest sampler, whatever is drawn with them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nuwa import Grid, Sampling, noise
from nuwa.attention import AttentionSpec, Axial3D, Nearby3D, Pattern, Problem, choose
from nuwa.model.layers import Condition
from nuwa.model.stem import STEMS
from nuwa.sampling import decode, plan
from nuwa.sampling.branch import Branch

from .conftest import AWKWARD, MIXTURES, SPECS, Sampler, SamplerMaker

ONE_SAMPLER = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("grid", AWKWARD, ids=str)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("spec", [*SPECS, *MIXTURES], ids=str)
def test_diagonals_are_one_by_one(
    make_sampler: SamplerMaker, spec: Pattern, stem: str, grid: Grid, guidance: float
) -> None:
    sampler = make_sampler(grid, decoder_attention=spec, stem=stem)
    sampling = Sampling(guidance=guidance, temperature=0.9, seed=3)
    assert torch.equal(sampler.draw(sampling), sampler.draw(sampling, one_by_one=True))


@pytest.mark.parametrize("guidance", [pytest.param(1.0, marks=pytest.mark.slow), 3.0])
@pytest.mark.parametrize(
    "spec", [Nearby3D(), *(pytest.param(spec, marks=pytest.mark.slow) for spec in (*SPECS[:3], *MIXTURES))], ids=str
)
def test_diagonals_are_one_by_one_on_the_papers_video(
    make_sampler: SamplerMaker, spec: Pattern, guidance: float
) -> None:
    sampler = make_sampler(Grid(10, 21, 21), decoder_attention=spec)
    sampling = Sampling(guidance=guidance, seed=1)
    assert torch.equal(sampler.draw(sampling, range(2)), sampler.draw(sampling, range(2), one_by_one=True))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"temperature": 0.3},
        {"top_k": 1},
        {"top_k": 3, "temperature": 1.7},
        {"top_p": 0.6},
        {"guidance": 0.0},
        {"guidance": 2.5},
        {"guidance": 4.0, "top_k": 4, "top_p": 0.8, "temperature": 1.3, "seed": 12},
    ],
    ids=str,
)
@pytest.mark.parametrize("stem", STEMS)
def test_against_whole_forward_passes(make_sampler: SamplerMaker, stem: str, change: dict[str, Any]) -> None:
    sampler = make_sampler(stem=stem)
    sampling = dataclasses.replace(Sampling(), **change)
    assert torch.equal(sampler.draw(sampling), sampler.draw_naively(sampling))


@pytest.mark.parametrize("spec", [*SPECS, Nearby3D(extent=(1, 3, 3))], ids=str)
def test_a_sketch_beside_the_words(make_sampler: SamplerMaker, spec: AttentionSpec) -> None:
    """Several conditions, one of them on a grid of its own: every cell's cross-attention is that of the forward pass."""
    sampler = make_sampler(decoder_attention=Nearby3D())
    words = sampler.conditions(range(2))
    sketch = Condition(grid=Grid(1, 7, 4), spec=spec, memory=torch.randn(2, 28, 16))
    tokens = decode(sampler.model.decoder, [*words, sketch], Sampling(top_k=1), range(2))
    with torch.no_grad():
        logits = sampler.model.decoder(tokens, [*words, sketch])
    assert torch.equal(logits.argmax(dim=-1), tokens)


@pytest.mark.parametrize("one_by_one", [False, True], ids=["diagonal", "one by one"])
@pytest.mark.parametrize("grid", AWKWARD, ids=str)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("spec", [*SPECS, *MIXTURES], ids=str)
def test_cached_steps_are_the_forward_pass(
    make_sampler: SamplerMaker, spec: Pattern, stem: str, grid: Grid, one_by_one: bool
) -> None:
    """And cells that are not drawn yet may hold anything."""
    sampler = make_sampler(grid, decoder_attention=spec, stem=stem)
    tokens = torch.randint(11, (3, grid.size))
    conditions = sampler.conditions(range(3))
    drawn = torch.zeros(grid.size, dtype=torch.bool)
    with torch.no_grad():
        expected = sampler.model.decoder(tokens, conditions)
        steps = plan(sampler.model.decoder, one_by_one=one_by_one)
        branch = Branch(sampler.model.decoder, conditions, 3, steps)
        for step, cells in enumerate(steps.order):
            seen = torch.where(drawn, tokens, torch.randint(11, tokens.shape))
            torch.testing.assert_close(branch.step(seen, step), expected[:, cells], rtol=0, atol=1e-5)
            drawn[cells] = True
    assert drawn.all()


def test_cached_steps_where_the_forward_pass_takes_another_backend(make_sampler: SamplerMaker) -> None:
    grid = Grid(2, 11, 13)
    assert choose(Problem(spec=Nearby3D(), grid=grid, kv_grid=grid, causal=True)) not in ("sdpa", "dense")
    sampler, tokens = make_sampler(grid), torch.randint(11, (2, grid.size))
    conditions = sampler.conditions(range(2))
    with torch.no_grad():
        expected = sampler.model.decoder(tokens, conditions)
        steps = plan(sampler.model.decoder)
        branch = Branch(sampler.model.decoder, conditions, 2, steps)
        for step, cells in enumerate(steps.order):
            torch.testing.assert_close(branch.step(tokens, step), expected[:, cells], rtol=0, atol=1e-5)


def test_golden(make_sampler: SamplerMaker) -> None:
    """A model that ignores everything and likes code c with odds of 2 to the -c: what is left is the noise of each cell.

    By hand: ``u = noise.uniform(noise.key("sample", seed), sample, cell)``, and the code at which the sum passes u.
    """
    sampler = make_sampler(Grid(2, 2, 2))
    with torch.no_grad():
        sampler.model.decoder.head.weight.zero_()
        sampler.model.decoder.head.bias.copy_(-math.log(2) * torch.arange(11))
    drawn = [sampler.draw(Sampling(seed=seed), [0, 1, 1000]).tolist() for seed in (0, 1)]
    u = [noise.uniform(noise.key("sample", seed), [[0], [1], [1000]], range(8)) for seed in (0, 1)]
    share = sum(0.5**code for code in range(11))
    assert drawn == np.floor(-np.log2(1 - np.array(u) * share / 2)).astype(int).tolist()
    assert drawn == [
        [[0, 0, 3, 2, 0, 2, 0, 1], [6, 0, 0, 0, 0, 2, 1, 0], [3, 0, 0, 4, 1, 0, 1, 0]],
        [[0, 0, 1, 4, 0, 0, 1, 1], [1, 0, 0, 1, 2, 4, 4, 1], [2, 2, 0, 3, 0, 0, 4, 1]],
    ]


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("size", [1, 7])
def test_a_sample_does_not_depend_on_its_batch(make_sampler: SamplerMaker, size: int, guidance: float) -> None:
    sampler, sampling = make_sampler(), Sampling(guidance=guidance)
    everything = sampler.draw(sampling, range(64))
    some = range(0, 64, 3)
    parts = [sampler.draw(sampling, some[start : start + size]) for start in range(0, len(some), size)]
    assert torch.equal(torch.cat(parts), everything[list(some)])
    assert len(everything.unique(dim=0)) > 60


def test_the_order_of_samples_does_not_matter(make_sampler: SamplerMaker) -> None:
    sampler, sampling = make_sampler(), Sampling()
    order = [5, 0, 12, 5, 3]
    assert torch.equal(sampler.draw(sampling, order), sampler.draw(sampling, range(13))[order])


@pytest.mark.parametrize("change", [{"seed": 1}, {"temperature": 3.0}, {"guidance": 5.0}], ids=str)
def test_every_setting_matters(make_sampler: SamplerMaker, change: dict[str, Any]) -> None:
    sampler, sampling = make_sampler(), Sampling()
    assert not torch.equal(sampler.draw(dataclasses.replace(sampling, **change)), sampler.draw(sampling))


@pytest.mark.parametrize("stem", STEMS)
@ONE_SAMPLER
@given(data=st.data())
def test_given_tokens_come_back(make_sampler: SamplerMaker, stem: str, data: st.DataObject) -> None:
    """For any mask; the others are drawn as one by one, and if all were drawn before, drawn again they are the same."""
    sampler = make_sampler(Grid(2, 2, 3), stem=stem)
    known = torch.tensor(data.draw(st.lists(st.booleans(), min_size=12, max_size=12)))
    sampling = Sampling(seed=data.draw(st.integers(0, 3)), guidance=data.draw(st.sampled_from([1.0, 2.0])))
    given_tokens = torch.randint(11, (3, 12))
    tokens = sampler.draw(sampling, given=given_tokens, known=known)
    assert torch.equal(tokens[:, known], given_tokens[:, known])
    assert torch.equal(tokens, sampler.draw(sampling, given=given_tokens, known=known, one_by_one=True))
    whole = sampler.draw(sampling)
    kept = torch.where(known, whole, 0)  # what is not known is not read either
    assert torch.equal(sampler.draw(sampling, given=kept, known=known), whole)


@pytest.mark.parametrize("length", [0, 1, 6, 13, 15])
@pytest.mark.parametrize("stem", STEMS)
def test_a_prefix_is_prefilled_in_one_step(make_sampler: SamplerMaker, stem: str, length: int) -> None:
    sampler = make_sampler(stem=stem)
    whole = sampler.draw(Sampling(), one_by_one=True)
    known = torch.arange(15) < length
    first, *_ = plan(sampler.model.decoder, known=known).order
    assert set(range(length)) <= set(first.tolist())
    assert torch.equal(sampler.draw(Sampling(), given=whole, known=known), whole)


def test_weights_and_conditions_are_left_alone(make_sampler: SamplerMaker) -> None:
    sampler = make_sampler()
    before = {name: value.clone() for name, value in sampler.model.state_dict().items()}
    conditions = sampler.conditions(range(3))
    memory = conditions[0].memory.clone()
    decode(sampler.model.decoder, conditions, Sampling(), range(3))
    assert torch.equal(conditions[0].memory, memory)
    assert all(torch.equal(value, before[name]) for name, value in sampler.model.state_dict().items())
    assert all(parameter.grad is None for parameter in sampler.model.parameters())


def test_a_model_trains_after_it_has_sampled(make_sampler: SamplerMaker) -> None:
    """Patterns that sampling put into the caches can be used by autograd."""
    sampler = make_sampler(Grid(1, 2, 59), decoder_attention=Axial3D())
    with torch.inference_mode():
        sampler.draw(Sampling(), range(1))
    tokens = torch.randint(11, (1, 118))
    sampler.model.decoder(tokens, sampler.conditions(range(1))).sum().backward()
    assert sampler.model.decoder.head.weight.grad is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, "temperature: expected more than 0, got 0.0; top_k=1 takes the likeliest"),
        ({"temperature": -1.0}, "temperature: expected more than 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature: expected more than 0, got nan"),
        ({"temperature": float("inf")}, "temperature: expected more than 0, got inf"),
        ({"top_k": 0}, "top_k: expected at least 1 or None, got 0"),
        ({"top_p": 0.0}, r"top_p: expected a share in \(0, 1\], got 0.0"),
        ({"top_p": 1.1}, r"top_p: expected a share in \(0, 1\], got 1.1"),
        ({"top_p": float("nan")}, r"top_p: expected a share in \(0, 1\], got nan"),
        ({"guidance": -0.5}, "guidance: expected at least 0, got -0.5"),
        ({"guidance": float("nan")}, "guidance: expected at least 0, got nan"),
    ],
    ids=str,
)
def test_bad_values(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**change)


ZEROS, NONE = torch.zeros(3, 15, dtype=torch.int64), torch.zeros(15, dtype=torch.bool)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"given": ZEROS}, "expected both `given` and `known`, got one of them"),
        ({"known": NONE}, "expected both `given` and `known`, got one of them"),
        ({"given": ZEROS[:1], "known": NONE}, r"expected `given` \(3, 15\) .* 3 samples on grid 1x3x5, got \(1, 15\)"),
        ({"given": ZEROS, "known": NONE[None]}, r"expected .* `known` \(15,\) .* and \(1, 15\)"),
    ],
)
def test_bad_given_tokens(make_sampler: SamplerMaker, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sampler().draw(Sampling(), **more)


def test_guidance_needs_both_conditions(make_sampler: SamplerMaker) -> None:
    sampler: Sampler = make_sampler()
    with pytest.raises(ValueError, match=r"guidance 2.0: expected the emptied conditions too, got none"):
        decode(sampler.model.decoder, sampler.conditions(range(3)), Sampling(guidance=2.0), range(3))
