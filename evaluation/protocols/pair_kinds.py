"""The kinds of protocol that compare a generated picture or map with its own real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.protocols.base import Protocol
from evaluation.protocols.kinds import Quantise


@dataclass(frozen=True, kw_only=True)
class PairProtocol(Protocol):
    """A number for each frame beside its real one, averaged over frames, then over samples."""

    network: str = "none"
    layer: str = "pixels"
    weights_sha256: str | None = None
    replicates: int = 1000
    interval_seed: int = 2020
    quantise: Quantise = "round"


@dataclass(frozen=True, kw_only=True)
class SSIMProtocol(PairProtocol):
    """Structural similarity (Wang et al. 2004) of each channel on values in [0, 1], a Gaussian window of 11×11."""

    metric: str = "ssim"
    sigma: float = 1.5
    extent_px: int = 11
    k1: float = 0.01
    k2: float = 0.03
    border: Literal["reflect", "crop"]
    """``"reflect"`` averages the map of the whole picture, padded; ``"crop"`` only where the window lies inside."""


@dataclass(frozen=True, kw_only=True)
class MaskedSSIMProtocol(SSIMProtocol):
    """SSIM of a region: its map, averaged where a mask says."""

    metric: str = "masked-ssim"
    elsewhere: Literal["real"]
    """What both sides show outside the region, into which windows at its border reach."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.border != "reflect":
            raise ValueError(
                f"{self.id}: expected the border 'reflect', which has a window for every pixel, got 'crop'"
            )


@dataclass(frozen=True, kw_only=True)
class UnchangedProtocol(Protocol):
    """Whether a region came back as it was given, byte for byte: a share of samples."""

    metric: str = "unchanged"
    network: str = "none"
    layer: str = "pixels"
    weights_sha256: str | None = None
    replicates: int = 1000
    interval_seed: int = 2020
    tolerance: int = 0
    """Levels by which a byte may differ."""


@dataclass(frozen=True, kw_only=True)
class PSNRProtocol(PairProtocol):
    """Peak signal-to-noise ratio in dB of values in [0, 1]."""

    metric: str = "psnr"
    average: Literal["frames", "squared-error"]
    """``"frames"``: the mean of the ratios of frames. ``"squared-error"``: the ratio of the error of the whole set."""
    ceiling_db: float | None
    """What a frame without any error counts, which would be infinite; only where ratios of frames are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.average == "frames") != (self.ceiling_db is not None):
            raise ValueError(f"{self.id}: expected a ceiling where ratios of frames are averaged, and only there")


@dataclass(frozen=True, kw_only=True)
class LPIPSProtocol(PairProtocol):
    """Learned perceptual distance (Zhang et al. 2018), version 0.1: a backbone and a weight for each of its channels."""

    metric: str = "lpips"
    linear: str
    """The weights of the channels, by the name of their file in the registry."""
    linear_sha256: str
    min_px: int
    """The smallest picture the backbone can pool."""
    epsilon: float = 1e-10
    """Added to the length of a feature vector before the division by it."""


@dataclass(frozen=True, kw_only=True)
class SegmentationProtocol(Protocol):
    """PA, FWIoU or mIoU from one confusion matrix of the whole set (Long et al. 2015)."""

    network: str = "none"
    layer: str = "class of each pixel"
    weights_sha256: str | None = None
    replicates: int = 1000
    interval_seed: int = 2020
    classes: int
    class_set: str
    """Which classes these are, in words."""
    ignore_index: int | None = None
    """Label of the truth whose pixels are not counted at all."""
