"""The codebook: the nearest code, its gradient, and the care that keeps all codes in use."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa.tokenizers.quantize import Codebook, Usage


def vectors(b: int = 3, c: int = 4, h: int = 5, w: int = 2, seed: int = 0) -> Tensor:
    return 3 * torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(seed))


def clusters(num: int, each: int) -> Tensor:
    """``num`` times ``each`` vectors (m, 8), close around one axis each, shuffled."""
    points = (torch.eye(8)[:num, None] + 0.05 * torch.randn(num, each, 8)).flatten(0, 1)
    return points[torch.randperm(len(points))]


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 1000))
def test_the_nearest_code_by_brute_force(num_codes: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    codebook, x = Codebook(num_codes, width).eval(), vectors(c=width, seed=seed)
    got = codebook(x)
    assert got.indices.shape == (3, 5, 2)
    unit = F.normalize(x, dim=1).permute(0, 2, 3, 1).double()
    distance = (unit[..., None, :] - codebook.codes.double()).square().sum(dim=-1)
    chosen = distance.gather(-1, got.indices[..., None])[..., 0]
    assert torch.allclose(chosen, distance.amin(dim=-1), atol=1e-6)
    assert got.commitment.item() == pytest.approx(chosen.mean().item(), abs=1e-5)
    assert torch.allclose(got.vectors, codebook.lookup(got.indices), atol=1e-6)


def test_the_gradient_passes_straight_through() -> None:
    """As if the codes were the normalised input."""
    codebook, x, weight = Codebook(16, 4).eval(), vectors().requires_grad_(), vectors(seed=1)
    (through,) = torch.autograd.grad((codebook(x).vectors * weight).sum(), x)
    (plain,) = torch.autograd.grad((F.normalize(x, dim=1) * weight).sum(), x)
    assert torch.equal(through, plain)


def test_commitment_pulls_the_input_towards_its_code() -> None:
    codebook, x = Codebook(16, 4).eval(), vectors().requires_grad_()
    before = codebook(x)
    (slope,) = torch.autograd.grad(before.commitment, x)
    after = codebook(x.detach() - 0.5 * slope)
    assert after.commitment < before.commitment
    assert not codebook.codes.requires_grad


def test_reduced_precision_chooses_the_same_codes() -> None:
    codebook, x = Codebook(512, 8).eval(), vectors(b=8, c=8, h=8, w=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = codebook(x)
    assert torch.equal(reduced.indices, codebook(x).indices)
    assert reduced.vectors.dtype == torch.float32


@pytest.mark.parametrize("training", [True, False])
def test_reading_moves_no_codes(training: bool) -> None:
    codebook = Codebook(16, 4).train(training)
    before = codebook.codes.clone()
    codebook.nearest(vectors())
    quantized = codebook(vectors())
    assert torch.equal(codebook.codes, before)
    codebook.follow(codebook.choices(quantized))
    assert not torch.equal(codebook.codes, before)


def follow(codebook: Codebook, *parts: Tensor) -> None:
    codebook.follow(torch.stack([codebook.choices(codebook(x)) for x in parts]).sum(dim=0))


def test_parts_of_a_batch_move_the_codes_as_the_whole_does() -> None:
    whole, parts = Codebook(8, 4), Codebook(8, 4)
    parts.load_state_dict(whole.state_dict())
    follow(whole, vectors(b=6))
    follow(parts, *vectors(b=6).split([1, 3, 2]))
    for one, other in zip(whole.buffers(), parts.buffers(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_codes_follow_their_vectors() -> None:
    """The moving average in closed form: with vectors that do not move, what is left of the start is decay to the n."""
    codebook = Codebook(2, 2, decay=0.9)
    start = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    codebook.codes.copy_(start)
    codebook.total.copy_(start)
    x = F.normalize(torch.tensor([[0.8, 0.6], [0.9, 0.1], [-0.6, 0.8]]), dim=-1)  # two choose the first, one the second
    for _ in range(7):
        follow(codebook, x.T[None, :, :, None])
    left, sums = 0.9**7, torch.stack([x[0] + x[1], x[2]]) / 1.5  # an even share of three vectors is 1.5
    assert torch.allclose(codebook.total, left * start + (1 - left) * sums, atol=1e-6)
    assert torch.allclose(codebook.codes, F.normalize(codebook.total, dim=-1), atol=1e-6)
    assert torch.allclose(codebook.weight, left + (1 - left) * torch.tensor([2.0, 1.0]) / 1.5, atol=1e-6)


def test_counts_do_not_depend_on_the_size_of_the_batch() -> None:
    small, large = Codebook(8, 4), Codebook(8, 4)
    large.load_state_dict(small.state_dict())
    x = vectors()
    follow(small, x)
    follow(large, x.repeat(5, 1, 1, 1))
    assert torch.allclose(small.weight, large.weight, atol=1e-6)
    assert torch.allclose(small.codes, large.codes, atol=1e-6)
    assert small.weight.mean().item() == pytest.approx(1.0, abs=1e-6)


def test_kmeans_uses_every_code() -> None:
    points = clusters(8, 40)
    x = points.T[None, :, :, None]
    codebook = Codebook(24, 8).eval()
    before = codebook(x).commitment
    codebook.start_from(points)
    usage = Usage.of(codebook.nearest(x), 24)
    assert usage.share == 1
    assert usage.perplexity > 16
    assert codebook(x).commitment < 0.1 * before
    assert torch.allclose(codebook.weight.sum(), torch.tensor(24.0))


def test_kmeans_has_settled() -> None:
    """Every code is the mean direction of the vectors that choose it, and ``weight`` their relative number."""
    points = F.normalize(clusters(4, 30), dim=-1)
    codebook = Codebook(4, 8)
    codebook.start_from(points, iterations=50)
    chosen = codebook.nearest(points.T[None, :, :, None])[0, :, 0]
    for code in range(4):
        own = points[chosen == code]
        assert torch.allclose(codebook.codes[code], F.normalize(own.mean(dim=0), dim=0), atol=1e-5)
        assert codebook.weight[code].item() == pytest.approx(4 * len(own) / len(points))


def test_kmeans_takes_maps_and_lists_alike() -> None:
    one, other, x = Codebook(6, 4), Codebook(6, 4), vectors(b=10)
    for codebook, given_as in ((one, x), (other, x.permute(0, 2, 3, 1).reshape(-1, 4))):
        torch.manual_seed(3)
        codebook.start_from(given_as)
    assert torch.equal(one.codes, other.codes)


def test_more_codes_than_vectors_stay_on_the_sphere() -> None:
    """Codes that nothing can choose keep their place until they are restarted."""
    codebook = Codebook(32, 4)
    codebook.start_from(vectors(b=1))  # ten vectors
    follow(codebook, vectors(b=1))
    assert torch.allclose(codebook.codes.norm(dim=-1), torch.ones(32))
    assert codebook.restart(vectors(b=1, seed=1)) >= 22
    assert torch.allclose(codebook.codes.norm(dim=-1), torch.ones(32))


def test_restart_revives_dead_codes() -> None:
    x = clusters(8, 40).T[None, :, :, None]
    codebook = Codebook(8, 8, decay=0.5)
    codebook.codes.copy_(torch.eye(8)[:1].expand(8, 8))  # all at one place, where the first is always taken
    codebook.total.copy_(codebook.codes)
    assert Usage.of(codebook.nearest(x), 8).share == 1 / 8
    for _ in range(30):
        follow(codebook, x)
        codebook.restart(x)
    assert Usage.of(codebook.nearest(x), 8).share == 1


def test_restart_leaves_living_codes_alone() -> None:
    codebook = Codebook(4, 4)
    codebook.weight.copy_(torch.tensor([1.0, 0.05, 0.1, 3.0]))
    before = codebook.codes.clone()
    assert codebook.restart(vectors()) == 1
    moved = (codebook.codes != before).any(dim=-1)
    assert moved.tolist() == [False, True, False, False]
    assert codebook.weight.tolist() == pytest.approx([1.0, 1.0, 0.1, 3.0])
    assert torch.equal(codebook.total[1], codebook.codes[1])
    assert codebook.restart(vectors()) == 0


@pytest.mark.parametrize(
    ("indices", "num_codes", "share", "perplexity"),
    [
        (torch.zeros(10, dtype=torch.int64), 5, 0.2, 1.0),
        (torch.arange(12).view(3, 2, 2) % 6, 6, 1.0, 6.0),
        (torch.arange(4), 8, 0.5, 4.0),
        (torch.tensor([0, 0, 0, 1]), 2, 1.0, math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4))),
    ],
)
def test_usage_in_closed_form(indices: Tensor, num_codes: int, share: float, perplexity: float) -> None:
    usage = Usage.of(indices, num_codes)
    assert usage.share == pytest.approx(share)
    assert usage.perplexity == pytest.approx(perplexity)


@pytest.mark.parametrize(("index", "got"), [(16, r"0…16"), (-1, r"-1…0")])
def test_a_token_of_another_tokenizer_is_refused(index: int, got: str) -> None:
    indices = torch.tensor([[[0, index]]])
    with pytest.raises(ValueError, match=rf"codes: expected indices in 0…15, got {got}; .* another tokenizer"):
        Codebook(16, 4).lookup(indices)


def test_lookup_of_nothing_is_nothing() -> None:
    assert Codebook(16, 4).lookup(torch.zeros(0, 5, 2, dtype=torch.int64)).shape == (0, 4, 5, 2)
