"""Listed samples as a stream: every caption once an epoch, maps of the same samples, and past what is broken."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa.data import listed_stream
from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage
from nuwa.data.limits import TooManyBroken
from nuwa.data.listed_stream import ListedStream, Placed
from nuwa.data.streams import MapStream


@dataclass
class Twice:
    """Samples that show their number, each with two captions; some cannot be read."""

    num: int
    bad: set[int] = field(default_factory=set)
    name: str = "twice"
    version: str = "1"
    split: str = "train"
    fingerprint: str = ""
    skipped: list[Skipped] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return 2 * self.num

    @property
    def ids(self) -> list[str]:
        return [f"{row // 2}#{row % 2}" for row in range(len(self))]

    captions = ids

    def place(self, index: int) -> str:
        return str(index // 2)

    def image(self, index: int) -> Tensor:
        self.reads.append(index // 2)
        if index // 2 in self.bad:
            raise UnreadableImage(f"{index // 2}.jpg", "it is torn")
        return torch.full((3, 2, 2), index // 2, dtype=torch.uint8)

    def map_of(self, index: int) -> Tensor:
        return torch.full((2, 2), index // 2 + 100, dtype=torch.uint8)


def stream(data: Twice, seed: int = 0) -> ListedStream:
    return ListedStream(data, seed, sketch=data.map_of)


def shown(source: ListedStream, step: int, size: int) -> list[str]:
    pixels, captions = source.batch(step, size)
    maps = source.maps(step, size)
    assert [f"{number}" for number in pixels[:, 0, 0, 0].tolist()] == [each.split("#")[0] for each in captions]
    assert torch.equal(maps[:, 0, 0], pixels[:, 0, 0, 0] + 100)
    return captions


def test_the_double_says_which_sample_a_row_shows() -> None:
    assert isinstance(Twice(1), Placed)
    assert isinstance(stream(Twice(1)), MapStream)


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 3))
def test_every_epoch_shows_every_caption_once(num: int, size: int, seed: int) -> None:
    data = Twice(num)
    source = stream(data, seed)
    line = [caption for step in range(-(-4 * num // size)) for caption in shown(source, step, size)]
    for epoch in range(2):
        assert sorted(line[epoch * 2 * num : (epoch + 1) * 2 * num]) == sorted(data.ids)
    assert sorted(data.reads) == list(range(num))  # both captions of a sample are one reading


def test_what_is_broken_is_named_once_and_another_takes_its_place() -> None:
    broken: list[Skipped] = []
    data = Twice(40, bad={7, 8})
    source = ListedStream(data, broken=broken, sketch=data.map_of)
    first = [shown(source, step, 9) for step in range(20)]
    assert sorted(broken) == [Skipped("7", "it is torn"), Skipped("8", "it is torn")]
    assert {caption.split("#")[0] for batch in first for caption in batch} == {str(n) for n in range(40)} - {"7", "8"}
    assert [shown(stream(Twice(40, bad={7, 8})), step, 9) for step in reversed(range(20))] == first[::-1]


def test_too_many_broken_stop_the_training() -> None:
    source = stream(Twice(40, bad={1, 2, 3}))
    with pytest.raises(TooManyBroken, match="twice train: 3 of 40 samples are broken"):
        source.batch(0, 80)


def test_nothing_can_be_read() -> None:
    with pytest.raises(TooManyBroken):
        stream(Twice(3, bad={0, 1, 2})).batch(0, 2)


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_stream, "KEPT_BYTES", 3 * (12 + 4))
    data = Twice(10)
    source = stream(data)
    for step in range(4):
        shown(source, step, 10)  # two epochs of both captions
    assert len(set(data.reads)) == 10
    assert sum(data.reads.count(number) == 1 for number in range(10)) == 3  # kept; the others are read again
