"""VQ-GAN-Seg: maps to tokens and back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa import Grid
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig

CONFIG = VQGANSegConfig(size_px=16, num_classes=5, widths=(8, 8), num_codes=20, code_width=4)


@pytest.fixture
def model() -> VQGANSeg:
    return VQGANSeg(CONFIG).eval()


def maps(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(2)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 5, 16, 16), (1, 8, 20)])
def test_there_and_back(model: VQGANSeg, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    b, t, (height, width) = shape[0], shape[1] if len(shape) == 4 else 1, shape[-2:]
    tokens = model.encode(maps(*shape, dtype=dtype))
    assert (tokens.shape, tokens.dtype) == ((b, t, height // 4, width // 4), torch.int64)
    assert int(tokens.max()) < 20
    again = model.decode(tokens)
    assert (again.shape, again.dtype) == ((b, t, height, width), torch.uint8)
    assert int(again.max()) < 5


def test_clips_are_their_frames(model: VQGANSeg) -> None:
    clip = maps(2, 3, 16, 16)
    tokens = model.encode(clip)
    assert torch.equal(tokens[:, 1], model.encode(clip[:, 1])[:, 0])
    assert torch.equal(model.decode(tokens)[:, 2], model.decode(tokens[:, 2:])[:, 0])


def test_classes_are_channels(model: VQGANSeg) -> None:
    channels = model.one_hot(maps(3, 8, 8))
    assert channels.shape == (3, 5, 8, 8)
    assert torch.equal(channels.argmax(dim=1), maps(3, 8, 8).long())
    assert torch.equal(channels.sum(dim=1), torch.ones(3, 8, 8))


def test_the_forward_pass_is_the_way_there_and_back(model: VQGANSeg) -> None:
    x = maps(2, 16, 16)
    logits, quantized = model(model.one_hot(x))
    assert logits.shape == (2, 5, 16, 16)
    assert quantized is not None
    assert torch.equal(quantized.indices, model.encode(x)[:, 0])
    assert torch.equal(logits.argmax(dim=1).to(torch.uint8), model.decode(model.encode(x))[:, 0])
    plain, nothing = model(model.one_hot(x), quantise=False)
    assert nothing is None
    vectors = F.normalize(model.encoder(model.one_hot(x)), dim=1)
    torch.testing.assert_close(plain, model.decoder(vectors))


def test_equal_patches_are_equal_tokens(model: VQGANSeg) -> None:
    patch = maps(1, 4, 4)
    tokens = model.encode(patch.repeat(1, 4, 4))
    assert len(tokens.unique()) == 1


def test_its_grid() -> None:
    assert CONFIG.factor == 4
    assert CONFIG.grid() == Grid(1, 4, 4)
    assert CONFIG.grid(5) == Grid(5, 4, 4)


@pytest.mark.parametrize(("value", "dtype", "got"), [(5, torch.uint8, "0…5"), (-1, torch.int64, "-1…0")])
def test_an_unknown_class_is_refused(model: VQGANSeg, value: int, dtype: torch.dtype, got: str) -> None:
    wrong = torch.zeros(1, 16, 16, dtype=dtype)
    wrong[0, 3, 7] = value
    with pytest.raises(ValueError, match=f"sketch: expected classes 0…4, got {got}; the map has classes that this"):
        model.encode(wrong)


@pytest.mark.parametrize(
    "wrong", [maps(16, 16), maps(2, 16, 18), maps(2, 16, 16).float(), maps(1, 2, 3, 16, 16)], ids=lambda x: str(x.shape)
)
def test_what_is_no_map_is_refused(model: VQGANSeg, wrong: Tensor) -> None:
    with pytest.raises(ValueError, match=r"sketch: expected uint8 or int64 \(b, H, W\) or \(b, t, H, W\) .* got torch"):
        model.encode(wrong)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(1, 4, 4, dtype=torch.int64), r"tokens: expected int64 \(b, t, h, w\)"),
        (torch.zeros(1, 1, 4, 4), "tokens: expected int64"),
        (torch.full((1, 1, 4, 4), 20), "codes: expected indices in 0…19, got 20…20"),
    ],
)
def test_tokens_of_another_kind_are_refused(model: VQGANSeg, tokens: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.decode(tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 30}, "size_px: expected a multiple of 4 for 2 halvings, got 30"),
        ({"num_classes": 1}, "num_classes: expected at least 2, got 1"),
    ],
)
def test_bad_sizes(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VQGANSegConfig(**{"widths": (8, 8), **change})  # type: ignore[arg-type]
