"""Some pictures or clips and what is known of each: what a session draws, scores and puts on its sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """m pictures or clips in one order.

    ``truth`` holds what metrics compare with, by names of the session's choice ("scenes", "maps", "labels", "target", "hole",
    "edits"): one entry a sample, whatever takes a slice or an index array.
    """

    pixels: Tensor  # pictures (m, 3, h, w) or clips (m, t, 3, h, w), uint8 in 0…255
    ids: Sequence[str]
    captions: Sequence[str]
    truth: Mapping[str, Any] = field(default_factory=dict)
    _said: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        counts = {"ids": self.ids, "captions": self.captions, **self.truth}
        wrong = {name: len(each) for name, each in counts.items() if len(each) != len(self.pixels)}
        if wrong:
            raise ValueError(f"samples: expected {len(self.pixels)} of each, got {wrong}; give one to every sample")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice | Sequence[int]) -> Samples:
        """Some of the samples."""
        at = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)]
        return replace(
            self,
            pixels=self.pixels[torch.from_numpy(at)],
            ids=[self.ids[row] for row in at],
            captions=[self.captions[row] for row in at],
            truth={name: each[at] for name, each in self.truth.items()},
        )

    def showing(self, pixels: Tensor) -> Samples:
        """Other pixels for the same ids, captions and truth: what a model made of them."""
        return replace(self, pixels=pixels)

    def split(self, size: int) -> Iterator[Samples]:
        """Batches of ``size``, the last one of what is left."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def to(self, device: torch.device | str) -> Samples:
        """Pixels, and the tensors of the truth, on a device."""
        truth = {name: each.to(device) if isinstance(each, Tensor) else each for name, each in self.truth.items()}
        return replace(self, pixels=self.pixels.to(device), truth=truth)

    def ask(self, judge: Any) -> Any:
        """What a judge says of the pixels; each judge is asked once, however many metrics read its answer."""
        if judge not in self._said:
            with torch.no_grad():
                self._said[judge] = judge(self.pixels)
        return self._said[judge]
