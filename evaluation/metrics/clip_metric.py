"""What metrics that are fed with clips share: the check at the door, and the network that is asked."""

from __future__ import annotations

import typing
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from evaluation.clips import as_clip_bytes, check_frames
from evaluation.metrics.base import ProtocolMetric
from evaluation.metrics.judged import check_weights
from evaluation.protocols import ClipProtocol

C = TypeVar("C", bound=ClipProtocol)


class ClipJudgement(typing.Protocol):
    """The answer of a :class:`ClipNetwork`."""

    @property
    def features(self) -> Tensor:
        """(b, d)."""

    @property
    def class_logits(self) -> Tensor:
        """(b, v)."""


class ClipNetwork(typing.Protocol):
    """A network for clips; :class:`evaluation.features.VideoJudge` is one.

    Where it has a ``protocol`` or the ``sha256`` of its weights, they are held against those of the metric.
    """

    def __call__(self, clips: Tensor, /) -> ClipJudgement:
        """Judge clips (b, t, 3, h, w) uint8."""


class ClipMetric(ProtocolMetric[C]):
    """A metric of clips. With a ``judge`` it is fed clips, without one what a network said of them.

    The network is no part of the metric: it is neither saved nor moved with its states.
    """

    def __init__(self, protocol: C, judge: ClipNetwork | None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        check_weights(judge, protocol)
        if (given := getattr(judge, "protocol", protocol)) != protocol:
            raise ValueError(
                f"{protocol.id}: expected a judge under this protocol, got one under {given.id}; load it with "
                "load_video_judge(protocol, folder)"
            )
        self.__dict__["_judge"] = judge
        self._frames: int | None = None

    def reset(self) -> None:
        """Forget all clips."""
        super().reset()
        self._frames = None

    def _features(self, samples: Tensor) -> Tensor:
        """Features (b, d) of clips; without a judge, ``samples`` are the features."""
        return samples if self._is_judged(samples) else self._ask(samples).features

    def _logits(self, samples: Tensor) -> Tensor:
        """Class logits (b, v) of clips; without a judge, ``samples`` are the logits."""
        return samples if self._is_judged(samples) else self._ask(samples).class_logits

    def _is_judged(self, samples: Tensor) -> bool:
        nobody = self.__dict__["_judge"] is None
        if nobody and samples.dim() > 2:
            raise ValueError(
                f"{self.protocol.id}: expected what {self.protocol.network} says of b clips, (b, d), got "
                f"{tuple(samples.shape)}; to feed clips, pass judge=load_video_judge(protocol, folder)"
            )
        return nobody

    def _ask(self, clips: Tensor) -> ClipJudgement:
        judge: ClipNetwork = self.__dict__["_judge"]
        clips = as_clip_bytes(clips, self.protocol.quantise)
        frames = clips.shape[1]
        check_frames(frames, self.protocol)
        if self._frames not in (None, frames):
            raise ValueError(f"{self.protocol.id}: expected clips of {self._frames} frames as before, got {frames}")
        self._frames = frames
        if isinstance(judge, nn.Module):
            clips = clips.to(next((weight.device for weight in judge.parameters()), clips.device))
        with torch.no_grad():
            return judge(clips)
