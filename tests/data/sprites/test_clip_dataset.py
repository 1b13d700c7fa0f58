"""Clips and edits as datasets, and clips as a stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nuwa.data.captioned import CaptionedClips, CaptionedPictures
from nuwa.data.sprites import (
    captions,
    clip_captions,
    draw_clip_edits,
    draw_clips,
    draw_edits,
    instructions,
    masks,
    render,
    render_clip,
    segment_clip,
)
from nuwa.data.sprites.clip_dataset import SpritesClips, SpritesClipStream
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.data.sprites.edit_dataset import SpritesEdits

ALL = slice(None)


def test_the_dataset_keeps_the_common_promise() -> None:
    dataset = SpritesClips("val", 5, 4, 16, first=7)
    assert isinstance(dataset, CaptionedClips)
    assert not isinstance(dataset, CaptionedPictures)
    assert not isinstance(SpritesPictures("val", 5), CaptionedClips)
    assert (
        len(dataset) == len(dataset.ids) == len(set(dataset.ids)) == len(dataset.captions) == len(dataset.labels) == 5
    )
    assert (dataset.ids[0], dataset.frames, dataset.skipped) == ("val-000007", 4, ())
    assert (dataset.clip(4).shape, dataset.clip(4).dtype) == ((4, 3, 16, 16), torch.uint8)


def test_samples_are_those_of_the_split() -> None:
    clips, dataset = draw_clips("val", np.arange(7, 12)), SpritesClips("val", 5, first=7)
    assert dataset.captions == clip_captions(clips)
    assert dataset.labels.tolist() == clips.label.tolist()
    assert torch.equal(dataset.clips(ALL), torch.from_numpy(render_clip(clips, 5, 32)))
    assert torch.equal(dataset.clip(3), dataset.clips(ALL)[3])
    assert torch.equal(dataset.maps(slice(1, 3)), torch.from_numpy(segment_clip(clips, 5, 32))[1:3])


CLIPS = SpritesClips("val", 4)
EDITS = SpritesEdits("val", 4)


@pytest.mark.parametrize(
    "other",
    [
        SpritesClips("val", 5),
        SpritesClips("train", 4),
        SpritesClips("val", 4, 6),
        SpritesClips("val", 4, size_px=64),
        SpritesClips("val", 4, first=1),
        SpritesClips("val", 4, take=1),
        SpritesPictures("val", 4),
        EDITS,
        SpritesEdits("val", 4, frames=5),
        SpritesEdits("val", 4, take=1),
    ],
)
def test_the_fingerprint_tells_other_samples_apart(other: SpritesClips) -> None:
    assert CLIPS.fingerprint == SpritesClips("val", 4).fingerprint != other.fingerprint
    assert EDITS.fingerprint == SpritesEdits("val", 4).fingerprint
    assert other == EDITS or other.fingerprint != EDITS.fingerprint


@pytest.mark.parametrize("dataset", [SpritesClips, SpritesEdits])
@pytest.mark.parametrize(("num", "first", "size_px"), [(0, 0, 32), (1, -1, 32), (1, 0, 7)])
def test_sizes_that_make_no_sense(dataset, num: int, first: int, size_px: int) -> None:
    with pytest.raises(ValueError, match=rf"expected num >= 1, first >= 0 .* got {num}, {first}, {size_px}"):
        dataset("val", num, size_px=size_px, first=first)


@pytest.mark.parametrize("dataset", [SpritesClips, SpritesEdits])
def test_clips_without_frames(dataset) -> None:
    with pytest.raises(ValueError, match="frames: expected at least 1, got 0"):
        dataset("val", 1, frames=0)


def test_the_stream_is_a_function_of_the_step() -> None:
    stream = SpritesClipStream(4, 16)
    pixels, texts = stream.batch(3, 4)
    assert (pixels.shape, pixels.dtype, len(texts)) == ((4, 4, 3, 16, 16), torch.uint8, 4)
    again, same_texts = SpritesClipStream(4, 16).batch(3, 4)
    assert torch.equal(pixels, again)
    assert texts == same_texts == clip_captions(draw_clips("train", np.arange(12, 16)))
    assert set(stream.batch(4, 4)[1]).isdisjoint(texts)
    assert stream.labels(3, 4).tolist() == draw_clips("train", np.arange(12, 16)).label.tolist()
    assert torch.equal(stream.maps(3, 4), SpritesClips("train", 4, 4, 16, first=12).maps(ALL))


def test_edits_of_pictures() -> None:
    edits, dataset = draw_edits("val", np.arange(7, 12)), SpritesEdits("val", 5, first=7)
    assert len(dataset) == len(dataset.ids) == 5
    assert dataset.ids[0] == "val-000007"
    assert dataset.instructions == instructions(edits)
    assert (dataset.captions_before, dataset.captions) == (captions(edits.source), captions(edits.target))
    assert torch.equal(dataset.sources(slice(1, 4)), torch.from_numpy(render(edits.source, 32))[1:4])
    assert torch.equal(dataset.targets(ALL), torch.from_numpy(render(edits.target, 32)))
    assert torch.equal(dataset.masks(ALL), torch.from_numpy(masks(edits, 32)))


def test_edits_of_clips() -> None:
    edits, dataset = draw_clip_edits("val", np.arange(5)), SpritesEdits("val", 5, frames=4)
    assert dataset.instructions == instructions(edits)
    assert (dataset.captions_before, dataset.captions) == (clip_captions(edits.source), clip_captions(edits.target))
    assert torch.equal(dataset.sources(ALL), torch.from_numpy(render_clip(edits.source, 4, 32)))
    assert torch.equal(dataset.targets(slice(2, 4)), torch.from_numpy(render_clip(edits.target, 4, 32))[2:4])
    assert (dataset.masks(ALL).shape, dataset.masks(ALL).dtype) == ((5, 32, 32), torch.bool)
