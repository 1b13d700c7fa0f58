"""The kinds of protocol for clips: what a video network is given, and the numbers made of its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, Self

from evaluation.protocols.base import Protocol
from evaluation.protocols.kinds import FIDProtocol, Quantise

ClipResize = Literal[
    "none",  # the network takes clips as they come
    "tf1-bilinear",  # straight to a square of size_px: TensorFlow 1, corners not aligned, no half-pixel shift
    "torch-bilinear",  # straight to a square: half-pixel centres, no antialias
    "torch-bilinear-crop",  # the same to the shorter side, then the centre
    "torchvision",  # bytes to resize_px without antialias, rounded to bytes, then the centre
    "inside-network",  # the published file does it
]
ClipNormalise = Literal[
    "none",  # bytes go in
    "over-127.5-minus-1",
    "mean-std",  # x/255, less the mean, over the standard deviation
]
Reading = Literal["logits", "pooled"]  # what features are: class logits, or what the last layer makes them from


@dataclass(frozen=True, kw_only=True)
class ClipProtocol(Protocol):
    """How clips become what a video network sees; every number made with it inherits these constants."""

    read: Reading
    size_px: int | None
    """Side of the square the network sees; ``None`` for clips as they come."""
    resize: ClipResize
    resize_px: tuple[int, ...] | None = None
    """Of ``"torchvision"``: (height, width), or the shorter side alone."""
    normalise: ClipNormalise
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    quantise: Quantise = "round"
    stored_px: int | None = None
    """Square to which the published loader brings clips first (antialiased, cropped, cut to bytes); ``None`` for none."""
    frames: int | None
    """Exact number of frames of a clip; ``None`` takes clips of any length, equal within a comparison."""
    min_frames: int
    """The fewest frames the network can pool."""
    frame_step: int = 1
    """Every how manyth frame of the video the clip holds."""

    def of_frames(self, frames: int) -> Self:
        """The same constants for clips of ``frames`` frames, under an id that says so: ``fvd@google-30f-1``."""
        if frames < self.min_frames:
            raise ValueError(f"{self.id}: expected at least {self.min_frames} frames, got {frames}")
        stem, _, version = self.family.rpartition("-")
        stem = re.sub(r"-\d+f$", "", stem)
        return replace(self, family=f"{stem}-{frames}f-{version}", frames=frames)


@dataclass(frozen=True, kw_only=True)
class ClipDistanceProtocol(ClipProtocol):
    """Fréchet distance of features of clips: FVD (Unterthiner et al. 2018) and FID-vid."""

    width: int
    """Number of features ``d``."""
    ddof: Literal[0, 1] = 1
    arithmetic: Literal["float64", "float32"] = "float64"
    """Of the covariances and their roots. float32 is up to 1% off, and part of the numbers published so."""
    clips: int | None = None
    """How many clips of a side the published numbers are made of; the distance shrinks as they grow in number."""
    resampled: Literal["both", "generated"] = "both"
    """Which sets the bootstrap draws again."""


@dataclass(frozen=True, kw_only=True)
class ActionAccuracyProtocol(ClipProtocol):
    """Share of clips in which a classifier sees the action that the caption names."""

    metric: str = "acc"
    num_classes: int = 400
    classes: tuple[int, ...] | None = None
    """Among which the classifier chooses, by index; ``None`` for all."""
    class_set: str = "all 400 of Kinetics"

    def among(self, name: str, classes: tuple[int, ...]) -> ActionAccuracyProtocol:
        """The same classifier choosing among some classes only; ``name``, as in ``t2v10``, becomes part of the id."""
        unknown = [label for label in classes if not 0 <= label < self.num_classes]
        if unknown or len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"{self.id}: expected two or more different classes of {self.num_classes}, got {classes}")
        stem, _, version = self.family.rpartition("-")
        return replace(self, family=f"{stem}-{name}-{version}", classes=classes, class_set=name)


@dataclass(frozen=True, kw_only=True)
class FrameFIDProtocol(FIDProtocol):
    """FID-img: the FID of the frames of clips."""

    metric: str = "fid-img"
    over: Literal["positions", "pooled"]
    """``"positions"``: one FID for every position in the clip, n frames a side, then their mean (TFGAN).
    ``"pooled"``: one FID of all frames of all clips."""
