"""LPIPS: learned perceptual distance of each picture to its real one (Zhang et al. 2018)."""

from __future__ import annotations

import typing
from typing import Any

import torch
from torch import Tensor

from evaluation.metrics.base import METRICS
from evaluation.metrics.judged import check_weights
from evaluation.metrics.paired import PairedMetric
from evaluation.protocols import LPIPSProtocol, find_protocol, pairs


class PairJudge(typing.Protocol):
    """A network for pairs of pictures; :class:`evaluation.features.LPIPSJudge` is one."""

    def __call__(self, generated: Tensor, real: Tensor, /) -> Tensor:
        """Distances (b,) of pictures (b, 3, h, w) uint8."""


@METRICS.register("lpips")
class LPIPS(PairedMetric[LPIPSProtocol]):
    """LPIPS of pictures or clips beside their real ones, at least 0; ``judge`` is what tells the distance."""

    higher_is_better = False
    name = "LPIPS"
    low = 0.0

    def __init__(
        self, protocol: LPIPSProtocol | str | None = None, judge: PairJudge | None = None, **settings: Any
    ) -> None:
        wanted = getattr(judge, "protocol", pairs.LPIPS_VGG) if protocol is None else protocol
        super().__init__(find_protocol("lpips", wanted, LPIPSProtocol), **settings)
        if judge is None:
            raise ValueError(f"{self.protocol.id}: expected a network; pass judge=load_lpips(protocol, folder)")
        check_weights(judge, self.protocol)
        self.__dict__["_judge"] = judge  # no part of the metric: neither saved nor moved with its states

    def _of_frames(self, generated: Tensor, real: Tensor) -> Tensor:
        if min(generated.shape[-2:]) < self.protocol.min_px:
            h, w = generated.shape[-2:]
            raise ValueError(f"{self.protocol.id}: expected at least {self.protocol.min_px} pixels a side, got {h}×{w}")
        judge: PairJudge = self.__dict__["_judge"]
        with torch.no_grad():
            return judge(generated, real)
