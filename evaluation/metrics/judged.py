"""What judges say of a set of pictures, and what a judge is: metrics take their answers and know no network."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evaluation.metrics.caption_accuracy import Outcomes
from evaluation.protocols import Protocol


class ImageJudge(typing.Protocol):
    """A network for pictures. Where it has a ``sha256`` of its weights, it is held against that of the protocol."""

    def __call__(self, images: Tensor, /) -> Any:
        """Answer pictures (b, 3, h, w) uint8 with ``features`` (b, d) and ``class_logits`` (b, v).

        For caption accuracy the answer is a :class:`~evaluation.metrics.caption_accuracy.SceneJudgement` too.
        """


class ClipJudge(typing.Protocol):
    """A network that puts pictures and captions into one space."""

    def encode_images(self, images: Tensor, /) -> Tensor:
        """Embeddings (b, e) of pictures (b, 3, h, w) uint8."""

    def encode_texts(self, captions: list[str], /) -> Tensor:
        """Embeddings (b, e) of b captions."""


def check_weights(judge: object, protocol: Protocol | None) -> None:
    """ValueError where ``judge`` says which weights it has and ``protocol`` is of others."""
    digest = getattr(judge, "sha256", None)
    if protocol is None or digest is None or protocol.weights_sha256 is None:
        return
    if not digest.startswith(protocol.weights_sha256):
        raise ValueError(
            f"{protocol.id}: expected the weights {protocol.weights_sha256}, got {digest}; a number of other weights "
            "needs a protocol of its own"
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is kept of n pictures, on the CPU; ``None`` where the captions or the scenes they name were not given."""

    features: Tensor  # (n, radii, d), after each blur of FID-k
    logits: Tensor  # (n, v)
    similarities: Tensor | None  # (n,)
    outcomes: Outcomes | None
    groups: tuple[str | None, ...]

    def take(self, mask: Tensor) -> Judged:
        """Some of the pictures, by mask (n,) bool."""
        return Judged(
            features=self.features[mask],
            logits=self.logits[mask],
            similarities=None if self.similarities is None else self.similarities[mask],
            outcomes=None if self.outcomes is None else self.outcomes[mask],
            groups=tuple(group for group, kept in zip(self.groups, mask.tolist(), strict=True) if kept),
        )

    @classmethod
    def cat(cls, parts: Sequence[Judged]) -> Judged:
        """Several batches, one after another."""
        similarities = [part.similarities for part in parts if part.similarities is not None]
        scenes = [part.outcomes for part in parts if part.outcomes is not None]
        return cls(
            features=torch.cat([part.features for part in parts]),
            logits=torch.cat([part.logits for part in parts]),
            similarities=torch.cat(similarities) if similarities else None,
            outcomes=Outcomes.cat(scenes) if scenes else None,
            groups=tuple(group for part in parts for group in part.groups),
        )

    def check_like(self, before: Judged) -> None:
        """ValueError unless this batch came with captions and scenes just as the one before did."""
        for what, value in (("captions", "similarities"), ("expected scenes", "outcomes")):
            if (getattr(before, value) is None) != (getattr(self, value) is None):
                raise ValueError(f"{what}: expected for all batches of a row or for none, got both; score two rows")
