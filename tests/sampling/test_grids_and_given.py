"""Decoding on grids inside the largest, with cells given sample by sample, and with conditions on grids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa import Grid, Sampling
from nuwa.attention import Axial3D, Block3D, Full, Nearby3D, Pattern, axial_in_turn
from nuwa.model.layers import Condition
from nuwa.model.stem import STEMS
from nuwa.sampling import decode, plan
from nuwa.sampling.branch import Branch

from .conftest import MIXTURES, SPECS, Sampler, SamplerMaker

LARGEST = Grid(3, 3, 4)
GRIDS = [Grid(1, 3, 4), Grid(3, 2, 3)]
ONE_SAMPLER = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
BOTH: list[Pattern] = [Nearby3D(), Full(), (Block3D(block=(2, 2, 3)), Nearby3D(extent=(1, 3, 3))), axial_in_turn()]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("spec", [*SPECS, MIXTURES[1]], ids=str)
def test_diagonals_are_one_by_one_on_a_smaller_grid(
    make_sampler: SamplerMaker, spec: Pattern, stem: str, grid: Grid
) -> None:
    sampler = make_sampler(LARGEST, decoder_attention=spec, stem=stem)
    sampling = Sampling(guidance=2.0, seed=3)
    found = sampler.draw(sampling, grid=grid)
    assert found.shape == (3, grid.size)
    assert torch.equal(found, sampler.draw(sampling, grid=grid, one_by_one=True))


def test_a_picture_of_a_model_of_clips_is_the_first_frame_of_a_clip(make_sampler: SamplerMaker) -> None:
    """Same cells, same noise, and nothing later is seen."""
    sampler = make_sampler(LARGEST)
    clip = sampler.draw(Sampling(seed=5))
    assert torch.equal(sampler.draw(Sampling(seed=5), grid=Grid(1, 3, 4)), clip[:, :12])


def test_a_larger_grid_is_refused(make_sampler: SamplerMaker) -> None:
    sampler = make_sampler(LARGEST)
    with pytest.raises(ValueError, match=r"plan: expected at most 3x3x4 .*, got 4x3x4"):
        sampler.draw(Sampling(), grid=Grid(4, 3, 4))
    with pytest.raises(ValueError, match=r"plan: expected at most 3x3x4"):
        plan(sampler.model.decoder, grid=Grid(1, 3, 5))


@pytest.mark.parametrize("stem", STEMS)
@ONE_SAMPLER
@given(data=st.data())
def test_given_tokens_come_back_sample_by_sample(make_sampler: SamplerMaker, stem: str, data: st.DataObject) -> None:
    """For any masks; the others are drawn as if the sample were alone, and as one by one."""
    sampler, grid = make_sampler(Grid(2, 2, 3), stem=stem), data.draw(st.sampled_from([Grid(2, 2, 3), Grid(1, 2, 3)]))
    bits = data.draw(st.lists(st.booleans(), min_size=3 * grid.size, max_size=3 * grid.size))
    known, tokens = torch.tensor(bits).view(3, grid.size), torch.randint(11, (3, grid.size))
    sampling = Sampling(seed=data.draw(st.integers(0, 3)), guidance=data.draw(st.sampled_from([1.0, 2.0])))
    found = sampler.draw(sampling, grid=grid, given=tokens, known=known)
    assert torch.equal(found[known], tokens[known])
    assert torch.equal(found, sampler.draw(sampling, grid=grid, given=tokens, known=known, one_by_one=True))
    for row in range(3):
        alone = sampler.draw(sampling, [row], grid=grid, given=tokens[row : row + 1], known=known[row])
        assert torch.equal(alone[0], found[row])
    hidden = torch.where(known, tokens, torch.randint(11, tokens.shape))  # what is not known is not read
    assert torch.equal(found, sampler.draw(sampling, grid=grid, given=hidden, known=known))


@pytest.mark.parametrize("spec", BOTH, ids=str)
@pytest.mark.parametrize("frames", [1, 2])
def test_a_prefill_in_one_pass_is_feeding_token_by_token(
    make_sampler: SamplerMaker, spec: Pattern, frames: int
) -> None:
    """The states of given frames, and so the logits of all that follows, are those of one cell at a time."""
    sampler = make_sampler(LARGEST, decoder_attention=spec)
    tokens, conditions = torch.randint(11, (3, LARGEST.size)), sampler.conditions(range(3))
    known = torch.arange(LARGEST.size) < 12 * frames
    logits = []
    for one_by_one in (False, True):
        steps = plan(sampler.model.decoder, known=known, one_by_one=one_by_one)
        branch, found = Branch(sampler.model.decoder, conditions, 3, steps), torch.zeros(3, LARGEST.size, 11)
        with torch.no_grad():
            for step, cells in enumerate(steps.order):
                found[:, cells] = branch.step(tokens, step)
        logits.append(found)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-5)
    assert set(range(12 * frames)) <= set(plan(sampler.model.decoder, known=known).order[0].tolist())


def grids(sampler: Sampler, b: int, *, present: Tensor | None = None) -> list[Condition]:
    """Words, and a condition on a grid of its own that is seen as each layer sees the target."""
    memory = torch.randn(b, 18, 16, generator=torch.Generator().manual_seed(9))
    return [*sampler.conditions(range(b)), Condition(grid=Grid(3, 2, 3), spec=None, memory=memory, present=present)]


@pytest.mark.parametrize("grid", [LARGEST, Grid(1, 3, 4)], ids=str)
@pytest.mark.parametrize("spec", BOTH, ids=str)
@pytest.mark.parametrize("present", [None, torch.tensor([True, False, True])], ids=["all", "some"])
def test_conditions_on_grids_are_those_of_the_forward_pass(
    make_sampler: SamplerMaker, spec: Pattern, grid: Grid, present: Tensor | None
) -> None:
    sampler = make_sampler(LARGEST, decoder_attention=spec)
    conditions = grids(sampler, 3, present=present)
    tokens = decode(sampler.model.decoder, conditions, Sampling(top_k=1), range(3), grid=grid)
    with torch.no_grad():
        logits = sampler.model.decoder(tokens, conditions, grid)
    assert torch.equal(logits.argmax(dim=-1), tokens)
    assert torch.equal(
        tokens, decode(sampler.model.decoder, conditions, Sampling(top_k=1), range(3), grid=grid, one_by_one=True)
    )


@pytest.mark.parametrize("spec", [Axial3D(), Nearby3D()], ids=str)
def test_guidance_may_leave_a_condition_out(make_sampler: SamplerMaker, spec: Pattern) -> None:
    sampler = make_sampler(LARGEST, decoder_attention=spec)
    both, words = grids(sampler, 2), sampler.conditions(range(2), empty=True)
    guided, plain = (
        decode(sampler.model.decoder, both, Sampling(guidance=scale), range(2), unconditional=words)
        for scale in (3.0, 1.0)
    )
    assert not torch.equal(guided, plain)
    at_zero = decode(sampler.model.decoder, both, Sampling(guidance=0.0), range(2), unconditional=words)
    assert torch.equal(at_zero, decode(sampler.model.decoder, words, Sampling(), range(2)))
