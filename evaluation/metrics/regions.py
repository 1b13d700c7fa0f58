"""What happened in a region of each picture: SSIM where a mask says, and whether pixels came back as they were given.

Completion and editing (I2I, TI2I, TV2V) are judged by the part that was to change and by the part that was to stay.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evaluation.clips import as_frames
from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.network import in_parts
from evaluation.metrics.paired import PIXELS, PairedMetric
from evaluation.metrics.pixel_errors import ssim_map
from evaluation.metrics.uncertainty import bootstrap_means, wilson_interval
from evaluation.protocols import MaskedSSIMProtocol, UnchangedProtocol, find_protocol, regions


def masked_ssim(generated: Tensor, real: Tensor, region: Tensor, protocol: MaskedSSIMProtocol) -> Tensor:
    """SSIM (b,) float64 in −1…1 of a region (b, h, w) bool of frames (b, 3, h, w) uint8, which holds a pixel of each.

    Outside the region both sides show the real pixels, so that nothing there moves the number, and the map is averaged over
    the region.
    """
    shown = torch.where(region[:, None], generated, real)
    alike = ssim_map(shown, real, protocol).mean(1)
    return (alike * region).flatten(1).sum(1) / region.flatten(1).sum(1)


@METRICS.register("masked-ssim")
class MaskedSSIM(PairedMetric[MaskedSSIMProtocol]):
    """SSIM of a region of pictures or clips beside their real ones, −1…1. ``where`` says in the name which region it is."""

    higher_is_better = True
    low, high = -1.0, 1.0

    def __init__(
        self, protocol: MaskedSSIMProtocol | str = regions.MASKED_SSIM, *, where: str = "in the region", **settings: Any
    ) -> None:
        super().__init__(find_protocol("masked-ssim", protocol, MaskedSSIMProtocol), **settings)
        self.name = f"SSIM {where}"  # type: ignore[misc]  # one a region

    def update(self, generated: Tensor, real: Tensor, region: Tensor) -> None:  # type: ignore[override]
        """Add pictures (b, 3, h, w) or clips (b, t, 3, h, w), their real ones, and where to look.

        ``region`` is bool (b, h, w), or for clips (b, t, h, w). ValueError for what SSIM refuses, another shape or type, and a
        region without a pixel.
        """
        sides = self._frames_of(generated, real)
        shown = as_region(region, sides[0].shape, self.protocol.id)
        at_once = max(1, PIXELS // shown[0, 0].numel())
        flat = (each.flatten(0, 1) for each in (*sides, shown.to(sides[0].device)))
        self._keep(in_parts(self._of_frames, *flat, at_once=at_once).unflatten(0, shown.shape[:2]))

    def _of_frames(self, generated: Tensor, real: Tensor, region: Tensor) -> Tensor:  # type: ignore[override]
        return masked_ssim(generated, real, region, self.protocol)


@METRICS.register("unchanged")
class Unchanged(ProtocolMetric[UnchangedProtocol]):
    """Share of the pictures or clips whose known region came back exactly as it was given, byte for byte."""

    higher_is_better = True
    kept: list[Tensor]

    def __init__(self, protocol: UnchangedProtocol | str = regions.UNCHANGED, **settings: Any) -> None:
        super().__init__(find_protocol("unchanged", protocol, UnchangedProtocol), **settings)
        self.add_rows("kept", dtype=torch.bool)

    def update(self, generated: Tensor, given: Tensor, region: Tensor) -> None:
        """Add pictures (b, 3, h, w) or clips (b, t, 3, h, w) uint8, what was given, and where it was to stay.

        ``region`` is bool (b, h, w), or for clips (b, t, h, w). ValueError for other types and shapes.
        """
        for side in (generated, given):
            if side.dtype != torch.uint8:
                raise ValueError(f"{self.protocol.id}: expected bytes, uint8, got {side.dtype}; rounding hides changes")
        ours, theirs = (as_frames(side) for side in (generated, given))
        if ours.shape != theirs.shape:
            raise ValueError(
                f"{self.protocol.id}: expected each sample beside what was given, got {tuple(generated.shape)} and "
                f"{tuple(given.shape)}"
            )
        shown = as_region(region, ours.shape, self.protocol.id).to(ours.device)
        apart = (ours.short() - theirs.short()).abs().amax(2)
        changed = (apart > self.protocol.tolerance) & shown
        self.kept.append(~changed.flatten(1).any(1).to(self.device))

    def compute(self) -> Tensor:
        """The share, () float64."""
        return self._kept().double().mean()

    def _kept(self) -> Tensor:
        kept = gather(self.kept)
        check_set(len(kept), "samples")
        return kept

    def _estimates(self) -> list[Estimate]:
        kept = self._kept().cpu().numpy()
        share = float(kept.mean())
        return [
            Estimate(
                name="known region unchanged",
                protocol=self.protocol.id,
                value=share,
                ci95=wilson_interval(share, len(kept)),
                n=len(kept),
                higher_is_better=True,
                replicates=bootstrap_means(kept, self.protocol.replicates, self.protocol.interval_seed),
            )
        ]


def as_region(region: Tensor, shape: torch.Size, protocol: str) -> Tensor:
    """A region (b, t, h, w) bool of frames of ``shape`` (b, t, 3, h, w). ValueError for another one, or an empty one."""
    b, t, _, h, w = shape
    if region.dtype != torch.bool or tuple(region.shape) not in ((b, h, w), (b, t, h, w)):
        raise ValueError(
            f"{protocol}: expected a region bool {(b, h, w)}{f' or {(b, t, h, w)}' if t > 1 else ''}, True where to look, got "
            f"{region.dtype} {tuple(region.shape)}"
        )
    shown = region if region.dim() == 4 else region[:, None].expand(b, t, h, w)
    if not bool(shown.flatten(2).any(2).all()):
        raise ValueError(f"{protocol}: expected a region of at least one pixel in every frame, got an empty one")
    return shown
