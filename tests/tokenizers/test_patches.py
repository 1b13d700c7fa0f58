"""Patches: each different one once, and the tokens are those of whole pictures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.tokenizers import autoencoder, patches
from nuwa.tokenizers.patches import distinct
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig, to_float
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig


def few(m: int, c: int, h: int, w: int, side: int, kinds: int, seed: int) -> Tensor:
    """Pictures of a few kinds of patches."""
    chance = torch.Generator().manual_seed(seed)
    some = torch.randint(0, 256, (kinds, c, side, side), dtype=torch.uint8, generator=chance)
    which = torch.randint(0, kinds, (m, h, w), generator=chance)
    return some[which].permute(0, 3, 1, 4, 2, 5).reshape(m, c, h * side, w * side)


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 4]),
    st.integers(1, 5), st.integers(0, 99),
)  # fmt: skip
def test_patches_make_the_pictures_again(m: int, c: int, h: int, w: int, side: int, kinds: int, seed: int) -> None:
    pictures = few(m, c, h, w, side, kinds, seed)
    whole = pictures.reshape(m, c, h, side, w, side).permute(0, 2, 4, 1, 3, 5)
    number = len(whole.flatten(0, 2).flatten(1).unique(dim=0))
    found = distinct(pictures, side)
    assert (found is None) == (2 * number > m * h * w)
    if found is not None:
        assert len(found[0]) == number
        assert torch.equal(found[0][found[1]], whole)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_patches_of_the_same_values_in_other_places_differ(dtype: torch.dtype) -> None:
    """Two values on 16 cells in all 65,536 ways, each twice."""
    cells = torch.arange(2**16)[:, None] >> torch.arange(16) & 1
    pictures = cells.view(-1, 1, 4, 4).repeat(2, 1, 1, 1).to(dtype)
    found = distinct(pictures, 4)
    assert found is not None
    assert len(found[0]) == 2**16


@pytest.fixture
def tokenizer() -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(VQGANConfig(size_px=32, widths=(16, 32), num_codes=64)).eval()


def sketches() -> VQGANSeg:
    torch.manual_seed(0)
    return VQGANSeg(VQGANSegConfig(size_px=32, widths=(16, 32), num_codes=64)).eval()


@pytest.mark.parametrize(("kind", "dtype"), [("clips", torch.uint8), ("maps", torch.uint8), ("maps", torch.int64)])
def test_tokens_are_those_of_whole_pictures(
    tokenizer: VQGAN, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, model = SpritesClips("val", 40), tokenizer if kind == "clips" else sketches()
    frames = getattr(shown, kind)(slice(None)).to(dtype)
    channels = to_float(frames) if kind == "clips" else sketches().one_hot(frames)
    whole, seen = model.tokens_of, []

    def counted(some: Tensor) -> Tensor:
        seen.append(some.numel())
        return whole(some)

    with torch.no_grad():
        expected = whole(channels)
    monkeypatch.setattr(model, "tokens_of", counted)
    assert torch.equal(model.encode(frames), expected)
    assert 0 < sum(seen) < channels.numel() / 4


def test_pictures_without_repeats_are_encoded_whole(tokenizer: VQGAN) -> None:
    noise = few(2, 3, 8, 8, 4, 10**6, 0)
    assert distinct(noise, 4) is None
    with torch.no_grad():
        assert torch.equal(tokenizer.encode(noise), tokenizer.tokens_of(to_float(noise[:, None])))


def test_patches_of_one_hash_are_told_apart(tokenizer: VQGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = SpritesClips("val", 2).clips(slice(None))
    expected = tokenizer.encode(frames)
    monkeypatch.setattr(patches, "_hash", lambda rows: rows[:, 0].long() % 2)
    assert distinct(frames.flatten(0, 1), 4) is None
    assert torch.equal(tokenizer.encode(frames), expected)


def test_a_token_that_sees_around_its_patch_is_made_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model = VQGAN(VQGANConfig(size_px=32, widths=(16, 32), num_codes=64, encoder_kernel=3)).eval()

    def refuse(pictures: Tensor, side: int) -> None:
        raise AssertionError("patches alone say too little here")

    monkeypatch.setattr(autoencoder, "distinct", refuse)
    pictures = few(1, 3, 8, 8, 4, 2, 0)
    with torch.no_grad():
        assert torch.equal(model.encode(pictures), model.tokens_of(to_float(pictures[:, None])))
