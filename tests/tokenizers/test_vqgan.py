"""VQ-GAN: pictures and videos to tokens and back."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig, to_float, to_uint8

CONFIG = VQGANConfig(size_px=16, widths=(8, 16), num_codes=24, code_width=4)


@pytest.fixture
def model() -> VQGAN:
    return VQGAN(CONFIG).eval()


def pictures(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("widths", "factor", "side"), [((8,), 2, 24), ((8, 8), 4, 12), ((8, 8, 8, 8), 16, 3)])
def test_the_factor_is_two_to_the_number_of_halvings(widths: tuple[int, ...], factor: int, side: int) -> None:
    config = VQGANConfig(size_px=48, widths=widths, num_codes=8)
    assert config.factor == factor
    assert config.grid() == Grid(1, side, side)
    assert config.grid(5) == Grid(5, side, side)
    tokens = VQGAN(config).encode(pictures(1, 3, 48, 48))
    assert tokens.shape == (1, *config.grid().shape)


@pytest.mark.parametrize(("size_px", "widths", "factor"), [(30, (8, 8), 4), (9, (8,), 2)])
def test_a_size_that_cannot_be_halved_is_refused(size_px: int, widths: tuple[int, ...], factor: int) -> None:
    with pytest.raises(ValueError, match=rf"size_px: expected a multiple of {factor} for .* halvings, got {size_px}"):
        VQGANConfig(size_px=size_px, widths=widths)


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 5, 3, 16, 16), (1, 1, 3, 8, 20)])
def test_there_and_back(model: VQGAN, shape: tuple[int, ...]) -> None:
    b, t, (height, width) = shape[0], shape[1] if len(shape) == 5 else 1, shape[-2:]
    tokens = model.encode(pictures(*shape))
    assert (tokens.shape, tokens.dtype) == ((b, t, height // 4, width // 4), torch.int64)
    assert int(tokens.min()) >= 0
    assert int(tokens.max()) < CONFIG.num_codes
    again = model.decode(tokens)
    assert (again.shape, again.dtype) == ((b, t, 3, height, width), torch.uint8)


def test_a_video_is_its_frames(model: VQGAN) -> None:
    video = pictures(2, 3, 3, 16, 16)
    tokens = model.encode(video)
    assert torch.equal(tokens[:, 1], model.encode(video[:, 1])[:, 0])
    assert torch.equal(model.decode(tokens)[:, 2], model.decode(tokens[:, 2:])[:, 0])


def test_tokens_do_not_depend_on_the_batch(model: VQGAN) -> None:
    batch = pictures(7, 3, 16, 16)
    together = model.encode(batch)
    assert torch.equal(together, torch.cat([model.encode(one) for one in batch.split(1)]))
    assert torch.equal(together.flip(0), model.encode(batch.flip(0)))


@pytest.mark.parametrize(("kernel", "local"), [(1, True), (3, False)])
def test_with_a_kernel_of_one_a_token_is_made_from_its_own_patch(kernel: int, local: bool) -> None:
    model = VQGAN(dataclasses.replace(CONFIG, encoder_kernel=kernel)).eval()
    x = to_float(pictures(1, 3, 16, 16)).requires_grad_()
    (seen,) = torch.autograd.grad(model.encoder(x)[0, :, 1, 2].sum(), x)
    outside = seen[0].abs().sum(dim=0)
    assert (outside[4:8, 8:12] > 0).all()
    outside[4:8, 8:12] = 0
    assert (outside.max().item() == 0) is local


@pytest.mark.parametrize("training", [True, False])
def test_encoding_changes_nothing(model: VQGAN, training: bool) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = model.train(training).encode(pictures(4, 3, 16, 16))
    assert torch.equal(first, model.encode(pictures(4, 3, 16, 16)))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_forward_agrees_with_encode_and_decode(model: VQGAN) -> None:
    batch = pictures(3, 3, 16, 16)
    with torch.no_grad():
        made, quantized = model(to_float(batch))
    assert quantized is not None
    tokens = model.encode(batch)
    assert torch.equal(quantized.indices, tokens[:, 0])
    difference = to_uint8(made).int() - model.decode(tokens)[:, 0].int()
    assert difference.abs().max() <= 1


def test_without_codes_it_is_an_autoencoder(model: VQGAN) -> None:
    """The start of training: no codebook in the way, so the codes do not matter and do not move."""
    x = to_float(pictures(2, 3, 16, 16))
    made, quantized = model.train()(x, quantise=False)
    model.codebook.codes.zero_()
    assert quantized is None
    assert torch.equal(made, model(x, quantise=False)[0])


def test_the_last_layer_makes_the_pixels(model: VQGAN) -> None:
    x = to_float(pictures(1, 3, 16, 16))
    before = model(x)[0]
    with torch.no_grad():
        model.last_layer.zero_()
    flat = model(x)[0]
    assert not torch.equal(before, flat)
    assert torch.allclose(flat, flat[..., :2, :2].repeat(1, 1, 8, 8))  # its bias alone
    assert model.last_layer.requires_grad


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (pictures(2, 3, 16, 16).float(), r"torch.float32 \(2, 3, 16, 16\)"),
        (pictures(2, 16, 16, 3), r"torch.uint8 \(2, 16, 16, 3\)"),
        (pictures(3, 16, 16), r"torch.uint8 \(3, 16, 16\)"),
        (pictures(2, 1, 16, 16), r"torch.uint8 \(2, 1, 16, 16\)"),
        (pictures(2, 3, 18, 16), r"torch.uint8 \(2, 3, 18, 16\)"),
    ],
)
def test_other_pictures_are_refused(model: VQGAN, wrong: Tensor, got: str) -> None:
    with pytest.raises(ValueError, match=rf"pictures: expected uint8 \(b, 3, H, W\) .* multiples of 4, got {got}"):
        model.encode(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(2, 16, dtype=torch.int64), r"tokens: expected int64 \(b, t, h, w\), got torch.int64 \(2, 16\)"),
        (torch.zeros(2, 1, 4, 4), r"tokens: expected int64 .* got torch.float32"),
        (torch.full((2, 1, 4, 4), 24), "codes: expected indices in 0…23, got 24…24"),
    ],
)
def test_other_tokens_are_refused(model: VQGAN, wrong: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.decode(wrong)


def test_pixels_survive_the_way_to_floats_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)
    assert to_float(levels).aminmax() == (-1, 1)
    assert to_uint8(torch.tensor([-7.0, -1.0, 0.0, 1.0, 7.0])).tolist() == [0, 0, 128, 255, 255]
