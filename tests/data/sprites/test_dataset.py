"""Sprites as a dataset and as a stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nuwa.data.captioned import CaptionedPictures
from nuwa.data.sprites import captions, draw, render, segment
from nuwa.data.sprites.dataset import SpritesPictures, SpritesStream


def test_the_dataset_keeps_the_common_promise() -> None:
    dataset = SpritesPictures("val", 5, 16, first=7)
    assert isinstance(dataset, CaptionedPictures)
    assert len(dataset) == len(dataset.ids) == len(set(dataset.ids)) == len(dataset.captions) == 5
    assert dataset.ids[0] == "val-000007"
    assert dataset.skipped == ()
    assert (dataset.image(4).shape, dataset.image(4).dtype) == ((3, 16, 16), torch.uint8)


def test_samples_are_those_of_the_split() -> None:
    scenes = draw("val", np.arange(7, 12))
    dataset = SpritesPictures("val", 5, first=7)
    assert dataset.captions == captions(scenes)
    pictures = torch.from_numpy(render(scenes, 32))
    assert torch.equal(dataset.images(slice(None)), pictures)
    assert all(torch.equal(dataset.image(row), pictures[row]) for row in range(5))


@pytest.mark.parametrize(
    "other",
    [
        SpritesPictures("val", 5),
        SpritesPictures("train", 4),
        SpritesPictures("val", 4, 64),
        SpritesPictures("val", 4, first=1),
        SpritesPictures("val", 4, take=1),
    ],
)
def test_the_fingerprint_tells_other_samples_apart(other: SpritesPictures) -> None:
    assert SpritesPictures("val", 4).fingerprint == SpritesPictures("val", 4).fingerprint != other.fingerprint


@pytest.mark.parametrize(("num", "first", "size_px"), [(0, 0, 32), (1, -1, 32), (1, 0, 7)])
def test_sizes_that_make_no_sense(num: int, first: int, size_px: int) -> None:
    with pytest.raises(ValueError, match=rf"expected num >= 1, first >= 0 .* got {num}, {first}, {size_px}"):
        SpritesPictures("val", num, size_px, first)


def test_the_stream_is_a_function_of_the_step() -> None:
    stream = SpritesStream(16)
    pictures, texts = stream.batch(3, 4)
    assert (pictures.shape, pictures.dtype, len(texts)) == ((4, 3, 16, 16), torch.uint8, 4)
    again, same_texts = SpritesStream(16).batch(3, 4)
    assert torch.equal(pictures, again)
    assert texts == same_texts
    assert texts == captions(draw("train", np.arange(12, 16)))
    assert set(stream.batch(4, 4)[1]).isdisjoint(texts)


def test_maps_are_those_of_the_pictures() -> None:
    scenes = draw("val", np.arange(7, 12))
    assert torch.equal(
        SpritesPictures("val", 5, 16, first=7).maps(slice(1, 3)), torch.from_numpy(segment(scenes, 16))[1:3]
    )
    train = draw("train", np.arange(12, 16))
    assert torch.equal(SpritesStream(16).maps(3, 4), torch.from_numpy(segment(train, 16)))
