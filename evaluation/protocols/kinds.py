"""The kinds of protocol: which constants a metric has. Each published set-up is one instance in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.protocols.base import Protocol

Resize = Literal[
    "none",  # the network takes the picture as it comes
    "tf1-bilinear",  # TensorFlow 1: corners not aligned, no half-pixel shift, no antialias
    "torch-bilinear",  # half-pixel centres, no antialias
    "torch-bilinear-antialias",
    "pil-bicubic-float",  # PIL's antialiased bicubic, each channel in float32, clipped to 0…255
    "pil-bilinear-uint8",  # PIL's antialiased bilinear on bytes
]
Normalise = Literal[
    "none",  # bytes go in
    "minus-128-over-128",
    "over-127.5-minus-1",
    "imagenet-to-inception",  # x/255, then torchvision's transform_input
]
Quantise = Literal["round", "truncate"]  # how a float picture in [0, 1] becomes bytes
BlurTarget = Literal["both", "real"]
BlurKernel = Literal["gaussian", "pil-box"]


@dataclass(frozen=True, kw_only=True)
class FIDProtocol(Protocol):
    """Fréchet distance of network features of pictures (Heusel et al. 2017), with FID-k, the distance after a blur.

    The Gaussian of FID-k has sigma ``k`` in pixels of a picture ``blur_picture_px`` wide, scaled to the shorter side of
    the picture at hand; ``None`` means pixels of the picture itself. k = 0 is the plain distance.
    """

    metric: str = "fid"
    width: int
    """Number of features ``d``."""
    size_px: int | None
    resize: Resize
    normalise: Normalise
    quantise: Quantise = "round"
    ddof: Literal[0, 1] = 1
    radii: tuple[int, ...] = (0,)
    blur_target: BlurTarget = "both"
    blur_kernel: BlurKernel = "pil-box"
    blur_picture_px: int | None = None
    blur_before_resize: bool = True
    drop_last_of: int | None = None
    """Batch size whose incomplete last batch is left out, where the published loader did so."""
    resampled: Literal["both", "generated"] = "both"
    """Which sets the bootstrap draws again."""

    def sigma_px(self, radius: int, picture_px: int) -> float:
        """Standard deviation of the blur in pixels of a picture whose shorter side is ``picture_px``."""
        return float(radius) if self.blur_picture_px is None else radius * picture_px / self.blur_picture_px


@dataclass(frozen=True, kw_only=True)
class InceptionScoreProtocol(Protocol):
    """exp E KL(p(y|x) ‖ p(y)) per split, averaged over splits (Salimans et al. 2016).

    Split i holds samples i·n // splits … (i+1)·n // splits of the order given by ``RandomState(seed).permutation(n)``,
    or of the order of arrival where ``shuffle`` is false.
    """

    metric: str = "is"
    classes: int
    splits: int = 10
    shuffle: bool = True
    seed: int = 2020
    ddof: Literal[0, 1] = 0
    """Of the spread over splits; the printed interval is the bootstrap's."""


@dataclass(frozen=True, kw_only=True)
class CLIPSIMProtocol(Protocol):
    """Cosine of caption and picture, averaged over frames, then over samples, times ``scale`` (GODIVA, NÜWA)."""

    metric: str = "clipsim"
    prefix: str = ""
    """Put before every caption."""
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CaptionAccuracyProtocol(Protocol):
    """Share of pictures in which the judge sees exactly what the caption names.

    A picture is right when there is an object at every named place and nowhere else, each with the named shape, colour
    and size, on the named background.
    """

    metric: str = "caption-accuracy"
    places: int = 9
    shapes: int = 6
    colours: int = 8
    sizes: int = 3
    backgrounds: int = 4
