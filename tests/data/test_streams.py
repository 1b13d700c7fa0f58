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
from nuwa.data.streams import ShuffledStream


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
    with pytest.raises(ValueError, match="numbered train: expected pictures to train on, got none that can be read"):
        ShuffledStream(Numbered(0))
