from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluation.sessions.drawing import by_length, draw
from nuwa.tokenizers.text import TextTokenizer

NUM = 7


def make(rows: list[int], indices: list[int]) -> Tensor:
    """A picture that shows its row and its sample index."""
    shown = torch.tensor([[row, index >> 32, index & 0xFF] for row, index in zip(rows, indices, strict=True)])
    return shown.to(torch.uint8)[:, :, None, None].expand(-1, 3, 2, 2)


@pytest.mark.parametrize("batch", [1, 3, 256])
@pytest.mark.parametrize("order", [None, torch.tensor([6, 0, 3, 1, 2, 5, 4])], ids=["in order", "shuffled"])
def test_each_sample_has_its_own_stream(batch: int, order: Tensor | None) -> None:
    drawn = draw(make, NUM, "test", candidates=2, order=order, batch=batch)
    assert drawn.shape == (NUM, 2, 3, 2, 2)
    for row in range(NUM):
        for candidate in range(2):
            assert drawn[row, candidate, :, 0, 0].tolist() == [row, candidate, row]


def test_more_candidates_leave_the_first_as_they_are() -> None:
    assert torch.equal(draw(make, NUM, "test")[:, 0], draw(make, NUM, "test", candidates=3)[:, 0])


def test_short_captions_come_first() -> None:
    captions = ["a red circle on white", "a", "a red circle", "a red"]
    assert by_length(TextTokenizer.from_captions(captions), captions).tolist() == [1, 3, 2, 0]
