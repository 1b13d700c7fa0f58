"""LPIPS: learned perceptual distance of each picture to its real one (Zhang et al. 2018)."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.metrics.base import METRICS, check_rows
from evaluation.metrics.network import Network
from evaluation.metrics.paired import PairedMetric
from evaluation.protocols import LPIPSProtocol, find_protocol, pairs


class PairJudge(typing.Protocol):
    """A network for pairs of pictures; :class:`evaluation.features.LPIPSJudge` is one."""

    def __call__(self, generated: Tensor, real: Tensor, /) -> Tensor:
        """Distances (b,) of pictures (b, 3, h, w) uint8."""


@METRICS.register("lpips")
class LPIPS(PairedMetric[LPIPSProtocol]):
    """LPIPS of pictures or clips beside their real ones, at least 0.

    It asks the network of the protocol, whose two files have to lie in the folder ``weights``, or the ``judge`` given in its
    place, a :class:`PairJudge`.
    """

    higher_is_better = False
    name = "LPIPS"
    low = 0.0

    def __init__(
        self,
        protocol: LPIPSProtocol | str | None = None,
        *,
        weights: str | Path | None = None,
        judge: PairJudge | None = None,
        **settings: Any,
    ) -> None:
        wanted = getattr(judge, "protocol", pairs.LPIPS_VGG) if protocol is None else protocol
        super().__init__(find_protocol("lpips", wanted, LPIPSProtocol), **settings)
        self._network = Network(self.protocol, judge, weights, _load)

    def update(self, generated: Tensor, real: Tensor | None = None) -> None:
        """Add pictures (b, 3, h, w) or clips (b, t, 3, h, w) and their real ones, uint8 or floats in [0, 1].

        Or, without ``real``, what the network said of the frames of b samples, distances (b, t).
        """
        if real is None:
            check_rows(generated, generated.shape[-1], "distances")
            self._keep(generated)
        else:
            super().update(generated, real)

    def _of_frames(self, generated: Tensor, real: Tensor) -> Tensor:
        if min(generated.shape[-2:]) < self.protocol.min_px:
            h, w = generated.shape[-2:]
            raise ValueError(f"{self.protocol.id}: expected at least {self.protocol.min_px} pixels a side, got {h}×{w}")
        judge: PairJudge = self._network.on(self.device)
        with torch.no_grad():
            return judge(generated.to(self.device), real.to(self.device))


def _load(protocol: LPIPSProtocol, folder: str | Path, device: torch.device) -> PairJudge:
    from evaluation.features import load_lpips  # slow to import, and only needed for pictures

    return load_lpips(protocol, folder, device)
