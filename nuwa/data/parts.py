"""Some rows of a training batch without reading the others: what one of several processes, or a part of a step, reads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nuwa.data.streams import MapStream, PicturesAndFrames, Stream


def batch_of(stream: Stream, step: int, size: int, rows: range) -> tuple[Tensor, list[str]]:
    """Those rows of ``stream.batch(step, size)``, pixels and captions.

    Sample i of a batch is that of position ``step * size + i`` in the stream's endless order, so some rows are whole
    batches of smaller sizes.
    """
    if isinstance(stream, PicturesAndFrames):
        found = [
            (pixels[cut], captions[cut])
            for part, where, cut in _both(stream, size, rows)
            for pixels, captions in [_flat(*batch_of(part, step, *where))]
        ]
    else:
        found = [stream.batch(*each) for each in blocks(step, size, rows)]
    return _joined([pixels for pixels, _ in found]), [caption for _, captions in found for caption in captions]


def maps_of(stream: MapStream, step: int, size: int, rows: range) -> Tensor:
    """Those rows of ``stream.maps(step, size)``."""
    if isinstance(stream, PicturesAndFrames):
        found = []
        for part, where, cut in _both(stream, size, rows):
            assert isinstance(part, MapStream)
            maps = maps_of(part, step, *where)
            found.append((maps if maps.ndim == 3 else maps.flatten(0, 1))[cut])
    else:
        found = [stream.maps(*each) for each in blocks(step, size, rows)]
    return _joined(found)


def blocks(step: int, size: int, rows: range) -> Iterator[tuple[int, int]]:
    """Smaller batches (step, size) of a stream that follow each other and are together these rows of a batch."""
    first = step * size + rows.start
    block = math.gcd(first, len(rows))
    for place in range(first, first + len(rows), block):
        yield place // block, block


def _both(stream: PicturesAndFrames, size: int, rows: range) -> Iterator[tuple[Stream, tuple[int, range], slice]]:
    """The pictures and the clips in which these rows lie: a stream, its (size, rows), and what to cut out of its frames."""
    still, frames = size - size // 2, stream.frames
    pictures = range(rows.start, min(rows.stop, still))
    if pictures:
        yield stream.pictures, (still, pictures), slice(None)
    moving = range(max(0, rows.start - still), rows.stop - still)
    if moving:
        clips = range(moving.start // frames, -(-moving.stop // frames))
        first = clips.start * frames
        yield stream.clips, (stream.num_clips(size), clips), slice(moving.start - first, moving.stop - first)


def _flat(pixels: Tensor, captions: list[str]) -> tuple[Tensor, list[str]]:
    """Pictures as they are; clips as frames that have the captions of their clips."""
    if pixels.ndim == 4:
        return pixels, captions
    return pixels.flatten(0, 1), [caption for caption in captions for _ in range(pixels.shape[1])]


def _joined(found: list[Tensor]) -> Tensor:
    return found[0] if len(found) == 1 else torch.cat(found)
