from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judges.degrade import Mix, blur, cosine_basis, degrade, quantise_blocks
from nuwa.data.sprites import draw, render

PICTURES = torch.from_numpy(render(draw("val", np.arange(32)), 32)).float()


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1))
def test_damage_is_whole_levels_from_the_generator_alone(seed: int, whole: float, share: float) -> None:
    mix = Mix(whole=whole, strong=share * (1 - whole))
    first, second = (degrade(PICTURES, torch.Generator().manual_seed(seed), mix) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == PICTURES.shape
    assert torch.equal(first, first.round().clamp(0, 255))


def test_whole_pictures_stay_whole() -> None:
    assert torch.equal(degrade(PICTURES, torch.Generator(), Mix(whole=1.0, strong=0.0)), PICTURES)


def test_strong_damage_is_worse() -> None:
    def error(strong: float) -> float:
        generator = torch.Generator().manual_seed(0)
        many = PICTURES.repeat(16, 1, 1, 1)
        return float((degrade(many, generator, Mix(whole=0.0, strong=strong)) - many).abs().mean())

    assert error(1.0) > 3 * error(0.0) > 0


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_blur_agrees_with_scipy(sigma: float) -> None:
    theirs = scipy.ndimage.gaussian_filter(
        PICTURES.double().numpy(), sigma, mode="mirror", axes=(2, 3), radius=int(np.ceil(3 * sigma))
    )
    np.testing.assert_allclose(blur(PICTURES.double(), sigma), theirs, atol=1e-9)


def test_no_blur() -> None:
    assert blur(PICTURES, 0.0) is PICTURES


@pytest.mark.parametrize("length", [1, 4, 8])
def test_basis_is_the_orthonormal_cosine_transform(length: int) -> None:
    theirs = scipy.fft.dct(np.eye(length), axis=0, norm="ortho")
    np.testing.assert_allclose(cosine_basis(length, torch.float64), theirs, atol=1e-12)


@pytest.mark.parametrize("block", [4, 8])
def test_fine_steps_change_little_and_coarse_ones_leave_the_mean(block: int) -> None:
    assert (quantise_blocks(PICTURES, block, 0.01) - PICTURES).abs().max() < 1
    coarse = quantise_blocks(PICTURES, block, 1e6)
    assert (coarse == 128).all()


@pytest.mark.parametrize("block", [4, 8])
def test_coefficients_are_multiples_of_their_steps(block: int) -> None:
    corner = quantise_blocks(PICTURES.double(), block, 24.0)[:, :, :block, :block] - 128
    frequency = np.arange(block)
    steps = 24.0 * (1 + frequency[:, None] + frequency)
    multiples = scipy.fft.dctn(corner.numpy(), axes=(2, 3), norm="ortho") / steps
    np.testing.assert_allclose(multiples, np.rint(multiples), atol=1e-9)
    assert set(np.unique(np.rint(multiples[:, :, 0, 0]))) & {1, 3, 5, -1, -3, -5}  # the step itself, not half of it


@pytest.mark.parametrize("block", [4, 8])
def test_blocks_do_not_mix(block: int) -> None:
    spoilt = PICTURES.clone()
    spoilt[:, :, :block, :block] = 77.0
    difference = quantise_blocks(spoilt, block, 50.0) != quantise_blocks(PICTURES, block, 50.0)
    assert difference[:, :, :block, :block].any()
    difference[:, :, :block, :block] = False
    assert not difference.any()
