"""Captions handed to a metric: checked at the door, and the 77 tokens that CLIP reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nuwa.tokenizers.text import TEXT_GRID, clip_bpe


class LongCaptionWarning(UserWarning):
    """Captions lost their last words, so a score does not see all of them."""


class Tokens(NamedTuple):
    """Captions as OpenAI's CLIP reads them."""

    ids: Tensor
    """(b, 77) int64, 0 after the end."""
    truncated: tuple[int, ...]
    """Rows whose caption was longer than 77 tokens and lost its last words."""


def check_captions(captions: Sequence[str], number: int) -> None:
    """ValueError unless there are ``number`` captions in a list, each with words."""
    if isinstance(captions, str) or len(captions) != number:
        got = "a single string" if isinstance(captions, str) else len(captions)
        raise ValueError(
            f"captions: expected one for each of {number} pictures, got {got}; pass a list of {number} strings"
        )
    for row, caption in enumerate(captions):
        if not caption.strip():
            raise ValueError(f"caption {row}: expected words, got {caption!r}; leave its picture out")


def tokenize(captions: Sequence[str]) -> Tokens:
    """Tokens of ``captions`` as ``clip.tokenize`` makes them with ``truncate=True``."""
    bpe, length = clip_bpe(), TEXT_GRID.size
    start, end = bpe.encoder["<|startoftext|>"], bpe.encoder["<|endoftext|>"]
    ids = torch.zeros(len(captions), length, dtype=torch.int64)
    truncated = []
    for row, caption in enumerate(captions):
        inner = bpe.encode(caption)
        if len(inner) > length - 2:
            truncated.append(row)
        kept = [start, *inner[: length - 2], end]
        ids[row, : len(kept)] = torch.tensor(kept)
    return Tokens(ids, tuple(truncated))
