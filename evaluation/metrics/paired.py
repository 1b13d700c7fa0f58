"""What metrics share that hold a generated picture, or each frame of a clip, beside its own real one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.clips import as_frames
from evaluation.images import check_set
from evaluation.metrics.base import Estimate, gather
from evaluation.metrics.network import OneLength, in_parts
from evaluation.metrics.uncertainty import bootstrap_means, centred_interval
from evaluation.protocols import PairProtocol

F = TypeVar("F", bound=PairProtocol)
Floats = NDArray[np.float64]
PIXELS = 1 << 20  # at once: SSIM takes half a kilobyte for each


class PairedMetric(OneLength[F]):
    """Keeps one number a frame. ``compute`` averages over frames, then over samples; ``curve`` over samples alone.

    Subclasses say how a frame is held against the real one, and what is made of the average.
    """

    name: ClassVar[str]
    low: ClassVar[float] = -np.inf
    high: ClassVar[float] = np.inf
    values: list[Tensor]

    def __init__(self, protocol: F, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_rows("values", dtype=torch.float64)

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add pictures (b, 3, h, w) or clips (b, t, 3, h, w) and their real ones, uint8 or floats in [0, 1].

        ValueError for unequal shapes, other layouts and ranges, NaN, and clips of another length than before.
        """
        ours, theirs = self._frames_of(generated, real)
        h, w = ours.shape[-2:]
        found = in_parts(self._of_frames, ours.flatten(0, 1), theirs.flatten(0, 1), at_once=max(1, PIXELS // (h * w)))
        self._keep(found.unflatten(0, ours.shape[:2]))

    def _frames_of(self, generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides as clips of bytes (b, t, 3, h, w)."""
        ours, theirs = (as_frames(side, self.protocol.quantise) for side in (generated, real))
        if generated.shape != real.shape:
            raise ValueError(
                f"{self.protocol.id}: expected each sample beside its real one, got {tuple(generated.shape)} and "
                f"{tuple(real.shape)}; resize or cut one side first, and say so"
            )
        return ours, theirs

    def _keep(self, values: Tensor) -> None:
        """Add the numbers (b, t) of b samples."""
        self._has_length(values.shape[1])
        self.values.append(values.detach().double().to(self.device).flatten())

    def _kept(self) -> Tensor:
        """The numbers (n, t) of all samples. ValueError for fewer than two."""
        values = self._by_sample(gather(self.values))
        check_set(len(values), "samples")
        return values

    def compute(self) -> Tensor:
        """The average, () float64."""
        values = self._kept()
        return values.new_tensor(self._finish(values.mean(1).mean().cpu().numpy()))

    def curve(self) -> list[Estimate]:
        """One estimate for each frame of the clips, over all processes: quality as a prediction goes on.

        Feed only the predicted frames, without those that were given.
        """
        with self.sync_context():
            frames = self._kept().cpu().numpy()
            return [self._estimate(f"{self.name}, frame {i + 1}", column) for i, column in enumerate(frames.T)]

    def _estimates(self) -> list[Estimate]:
        return [self._estimate(self.name, self._kept().mean(1).cpu().numpy())]

    def _estimate(self, name: str, values: Floats) -> Estimate:
        """Estimate of samples (n,)."""
        value = float(self._finish(values.mean()))
        replicates = self._finish(bootstrap_means(values, self.protocol.replicates, self.protocol.interval_seed))
        return Estimate(
            name=name,
            protocol=self.protocol.id,
            value=value,
            ci95=centred_interval(value, replicates, low=self.low, high=self.high),
            n=len(values),
            higher_is_better=bool(self.higher_is_better),
            replicates=replicates,
        )

    @abstractmethod
    def _of_frames(self, generated: Tensor, real: Tensor) -> Tensor:
        """One number for each of b frames, from frames (b, 3, h, w) uint8."""

    def _finish(self, means: Any) -> Any:
        """The numbers made of averages over samples."""
        return means
