"""A shuffled dataset as a stream: every epoch shows every sample once, and a batch is a function of the step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa.data.captioned import CaptionedPictures, Skipped
from nuwa.data.streams import MapStream, PicturesAndFrames, ShuffledStream


@dataclass
class Numbered:
    """Pictures that show their own number."""

    num: int
    name: str = "numbered"
    version: str = "1"
    split: str = "train"
    fingerprint: str = ""
    skipped: Sequence[Skipped] = ()
    reads: int = 0

    def __len__(self) -> int:
        return self.num

    @property
    def ids(self) -> list[str]:
        return [str(row) for row in range(self.num)]

    captions = ids

    def image(self, index: int) -> Tensor:
        self.reads += 1
        return torch.full((3, 2, 2), index, dtype=torch.uint8)


def numbers(stream: ShuffledStream, step: int, size: int) -> list[int]:
    pictures, captions = stream.batch(step, size)
    assert pictures.shape == (size, 3, 2, 2)
    assert pictures[:, 0, 0, 0].tolist() == [int(caption) for caption in captions]
    return pictures[:, 0, 0, 0].tolist()


def test_the_double_is_a_dataset() -> None:
    assert isinstance(Numbered(1), CaptionedPictures)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 5))
def test_every_epoch_shows_every_sample_once(num: int, size: int, seed: int) -> None:
    """Batches are cuts of one endless line of epochs, also where a batch is longer than an epoch."""
    stream = ShuffledStream(Numbered(num), seed)
    line = [number for step in range(-(-3 * num // size)) for number in numbers(stream, step, size)]
    for epoch in range(3):
        assert sorted(line[epoch * num : (epoch + 1) * num]) == list(range(num))


@given(st.integers(0, 20), st.integers(1, 9), st.integers(0, 3))
def test_a_batch_is_a_function_of_the_step(step: int, size: int, seed: int) -> None:
    used = ShuffledStream(Numbered(7), seed)
    for earlier in range(step):
        used.batch(earlier, size)
    assert numbers(used, step, size) == numbers(ShuffledStream(Numbered(7), seed), step, size)


def test_epochs_and_seeds_have_their_own_order() -> None:
    streams = [ShuffledStream(Numbered(50), seed) for seed in (0, 1)]
    orders = [tuple(numbers(stream, epoch, 50)) for stream in streams for epoch in range(3)]
    assert len({*orders, tuple(range(50))}) == 7


def test_every_file_is_read_once() -> None:
    dataset = Numbered(5)
    stream = ShuffledStream(dataset)
    for step in range(4):
        stream.batch(step, 5)
    assert dataset.reads == 5


def test_a_dataset_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="numbered train: expected samples to train on, got none that can be read"):
        ShuffledStream(Numbered(0))


@dataclass
class Counted(MapStream):
    """Pictures, or clips of frames, that show the number of their sample, with maps."""

    frames: int = 1
    first: int = 0

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        numbers = torch.arange(step * size, (step + 1) * size) + self.first
        shape = (size, self.frames, 3, 2, 2) if self.frames > 1 else (size, 3, 2, 2)
        pixels = numbers.to(torch.uint8).view(-1, *[1] * (len(shape) - 1)).expand(shape)
        return pixels.clone(), [str(number) for number in numbers.tolist()]

    def maps(self, step: int, size: int) -> Tensor:
        return self.batch(step, size)[0][..., 0, :, :]


@pytest.mark.parametrize(("size", "still"), [(8, 4), (7, 4), (1, 1)])
def test_half_pictures_half_frames(size: int, still: int) -> None:
    stream = PicturesAndFrames(Counted(), Counted(frames=3, first=100), 3)
    assert isinstance(stream, MapStream)
    pixels, captions = stream.batch(1, size)
    assert (pixels.shape, len(captions)) == ((size, 3, 2, 2), size)
    assert pixels[:, 0, 0, 0].tolist() == [int(caption) for caption in captions]
    assert [number < 100 for number in pixels[:, 0, 0, 0].tolist()] == [True] * still + [False] * (size - still)
    assert torch.equal(stream.maps(1, size), pixels[:, 0])


def test_a_clip_gives_all_its_frames() -> None:
    stream = PicturesAndFrames(Counted(), Counted(frames=3, first=100), 3)
    _, captions = stream.batch(0, 12)
    assert captions[6:] == ["100"] * 3 + ["101"] * 3
