"""Rows of a batch are those of the whole batch, whatever the stream."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nuwa.data.parts import blocks
from nuwa.data.sprites.clip_dataset import SpritesClipStream
from nuwa.data.sprites.dataset import SpritesPictures, SpritesStream
from nuwa.data.streams import PicturesAndFrames, ShuffledStream

STREAMS: dict[str, Any] = {
    "pictures": SpritesStream(16),
    "clips": SpritesClipStream(3, 16),
    "both": PicturesAndFrames(SpritesStream(16), SpritesClipStream(3, 16), 3),
    "shuffled": ShuffledStream(SpritesPictures("train", 11, 16)),  # a batch runs over the end of an epoch
}


@pytest.mark.parametrize("edges", [[0, 13], [0, 6, 13], [0, 4, 8, 13], [0, 1, 2, 3, 9, 12, 13]], ids=str)
@pytest.mark.parametrize("name", STREAMS)
def test_parts_are_the_whole(name: str, edges: list[int]) -> None:
    stream, step = STREAMS[name], 5
    pixels, captions = stream.batch(step, 13)
    rows = [range(first, last) for first, last in pairwise(edges)]
    found = [stream.part(step, 13, each) for each in rows]
    assert torch.equal(torch.cat([part for part, _ in found]), pixels)
    assert [caption for _, part in found for caption in part] == captions
    if name != "shuffled":
        assert torch.equal(torch.cat([stream.part_maps(step, 13, each) for each in rows]), stream.maps(step, 13))


@given(step=st.integers(0, 50), size=st.integers(1, 40), data=st.data())
def test_blocks_are_the_rows(step: int, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    rows = range(start, data.draw(st.integers(start + 1, size)))
    positions = [place * block + row for place, block in blocks(step, size, rows) for row in range(block)]
    assert positions == [step * size + row for row in rows]


def test_a_whole_batch_is_read_at_once() -> None:
    assert list(blocks(7, 64, range(64))) == [(7, 64)]
    assert list(blocks(7, 64, range(32, 64))) == [(15, 32)]
