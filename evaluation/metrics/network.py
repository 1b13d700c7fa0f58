"""What metrics that are fed with clips share: the network they ask, and one length for all clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from evaluation.metrics.base import ProtocolMetric
from evaluation.metrics.judged import check_weights
from evaluation.protocols import Protocol
from evaluation.weights import MissingWeightsError

P = TypeVar("P", bound=Protocol)
F = TypeVar("F", bound=Protocol)
Load = Callable[[P, "str | Path", torch.device], Any]


class Network(Generic[P]):
    """The judge that was given, or the protocol's, read from the user's folder when it is first asked for.

    Held by a metric as a plain object: it travels neither with states nor with a ``state_dict``. A pickle holds a judge that
    was given, and of one that was loaded where to find it.
    """

    def __init__(self, protocol: P, judge: Any | None, weights: str | Path | None, load: Load[P]) -> None:
        check_weights(judge, protocol)
        if (theirs := getattr(judge, "protocol", protocol)) != protocol:
            raise ValueError(
                f"{protocol.id}: expected a judge under this protocol, got one under {theirs.id}; load it for the protocol "
                "of the metric, or leave the protocol out"
            )
        self.protocol = protocol
        self.weights = weights
        self.given = judge
        self._load = load
        self._loaded: Any = None

    def on(self, device: torch.device) -> Any:
        """The judge on ``device``. MissingWeightsError, which says what to put where, without its file."""
        judge = self._loaded if self.given is None else self.given
        if judge is None:
            if self.weights is None:
                raise MissingWeightsError(
                    f"{self.protocol.id}: expected {self.protocol.network} to judge with, got none; pass weights=FOLDER "
                    "with its published file, or a network of your own as judge="
                )
            judge = self._loaded = self._load(self.protocol, self.weights, device)
            check_weights(judge, self.protocol)
        return judge.to(device) if isinstance(judge, nn.Module) else judge

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}


def in_parts(ask: Callable[..., Tensor], *frames: Tensor, at_once: int) -> Tensor:
    """What ``ask`` says of frames (b, 3, h, w), asked about a few at a time: a batch of clips holds a thousand."""
    parts = zip(*(side.split(at_once) for side in frames), strict=True)
    return torch.cat([ask(*part) for part in parts])


class OneLength(ProtocolMetric[F]):
    """A metric all of whose clips have one number of frames, which processes agree on."""

    frames: Tensor

    def __init__(self, protocol: F, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_state("frames", torch.tensor(0), dist_reduce_fx="max")

    def _has_length(self, frames: int) -> None:
        """Take down the length of the samples just read. ValueError for another one than before."""
        if int(self.frames) not in (0, frames):
            raise ValueError(
                f"{self.protocol.id}: expected samples of {int(self.frames)} frames as before, got {frames}"
            )
        self.frames = torch.full_like(self.frames, frames)

    def _by_sample(self, rows: Tensor) -> Tensor:
        """Rows (n·t, …), one a frame, as (n, t, …)."""
        return rows.unflatten(0, (-1, max(int(self.frames), 1)))
