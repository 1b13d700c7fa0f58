"""Metrics that are fed with clips, or with what a network said of them."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from evaluation.clips import as_clip_bytes, check_frames
from evaluation.metrics.network import Network, OneLength
from evaluation.protocols import ClipProtocol, find_protocol

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


class ClipMetric(OneLength[C]):
    """A metric under one protocol of clips, by object, id or short name (``"stylegan-v"``).

    ``update`` takes clips (b, t, 3, h, w), RGB, uint8 or floats in [0, 1], or what the network said of b clips, (b, d). For
    clips it asks the network of the protocol, whose file has to lie in the folder ``weights``, or the ``judge`` given in its
    place, a :class:`ClipNetwork`.
    """

    metric: ClassVar[str]
    default: ClassVar[Any]
    kind: ClassVar[type[Any]]

    def __init__(
        self,
        protocol: C | str | None = None,
        *,
        weights: str | Path | None = None,
        judge: ClipNetwork | None = None,
        **settings: Any,
    ) -> None:
        wanted = getattr(judge, "protocol", self.default) if protocol is None else protocol
        super().__init__(find_protocol(self.metric, wanted, self.kind), **settings)
        self._network = Network(self.protocol, judge, weights, _load)

    def _read(self, samples: Tensor, what: typing.Literal["features", "class_logits"]) -> Tensor:
        """What the network says of clips, (b, d); or ``samples`` themselves, where they are that."""
        if isinstance(samples, Tensor) and samples.dim() == 2:
            return samples.detach().to(self.device)
        clips = as_clip_bytes(samples, self.protocol.quantise)
        check_frames(clips.shape[1], self.protocol)
        judge: ClipNetwork = self._network.on(self.device)
        with torch.no_grad():
            answer: Tensor = getattr(judge(clips.to(self.device)), what)
        self._has_length(clips.shape[1])
        return answer.to(self.device)


def _load(protocol: ClipProtocol, folder: str | Path, device: torch.device) -> ClipNetwork:
    from evaluation.features import load_video_judge  # slow to import, and only needed for clips

    return load_video_judge(protocol, folder, device)
