"""The kinds of protocol: which constants a metric has. Each published set-up is one instance in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.protocols.base import Protocol, later

Resize = Literal[
    "none",  # the network takes the picture as it comes
    "tf1-bilinear",  # TensorFlow 1: corners not aligned, no half-pixel shift, no antialias
    "torch-bilinear",  # half-pixel centres, no antialias
    "torch-bilinear-antialias",
    "pil-bicubic-float",  # PIL's antialiased bicubic, each channel in float32, clipped to 0…255
    "pil-bilinear-uint8",  # PIL's antialiased bilinear on bytes
    "pil-bicubic-uint8",  # PIL's antialiased bicubic on bytes
    "clip-bicubic-uint8",  # the same to the shorter side, then the centre: the transform of OpenAI's CLIP
    "square-bicubic-uint8",  # the centre first, then the same
    "torch-bicubic-antialias",  # not clipped
]
Normalise = Literal[
    "none",  # bytes go in
    "minus-128-over-128",
    "over-127.5-minus-1",
    "imagenet-to-inception",  # x/255, then torchvision's transform_input
    "imagenet",  # x/255, less ImageNet's mean, over its standard deviation
    "clip",  # the same with the mean and deviation of CLIP's pictures
]
Quantise = Literal["round", "truncate"]  # how a float picture in [0, 1] becomes bytes
BlurTarget = Literal["both", "real"]
BlurKernel = Literal["gaussian", "pil-box"]


@dataclass(frozen=True, kw_only=True)
class PictureProtocol(Protocol):
    """How pictures become what a network sees; every number made with it inherits these constants.

    Protocols of one family prepare pictures alike, so that one pass through the network serves them all.
    """

    size_px: int | None
    """Side of the square the network sees; ``None`` for pictures as they come."""
    resize: Resize
    normalise: Normalise
    quantise: Quantise = "round"


@dataclass(frozen=True, kw_only=True)
class FIDProtocol(PictureProtocol):
    """Fréchet distance of network features of pictures (Heusel et al. 2017), with FID-k, the distance after a blur.

    The Gaussian of FID-k has sigma ``k`` in pixels of a picture ``blur_picture_px`` wide, scaled to the shorter side of
    the picture at hand; ``None`` means pixels of the picture itself. k = 0 is the plain distance.
    """

    metric: str = "fid"
    width: int
    """Number of features ``d``."""
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
class InceptionScoreProtocol(PictureProtocol):
    """exp E KL(p(y|x) ‖ p(y)) per split, averaged over splits (Salimans et al. 2016).

    Splits are runs of the order given by ``RandomState(seed).permutation(n)``, or of the order of arrival where
    ``shuffle`` is false; :meth:`edges` says where they begin.
    """

    metric: str = "is"
    size_px: int | None = later(None)
    resize: Resize = later("none")
    normalise: Normalise = later("none")
    quantise: Quantise = later("round")
    classes: int
    splits: int = 10
    shuffle: bool = True
    seed: int = 2020
    ddof: Literal[0, 1] = 0
    """Of the spread over splits; the printed interval is the bootstrap's."""
    shuffled_by: Literal["numpy", "torch"] = later("numpy")
    """Whose permutation; ``"torch"`` is ``torch.randperm`` of a generator with the seed."""
    split_rule: Literal["even", "chunks", "blocks"] = later("even")
    """Split i begins at i·n // splits, or, with ``"chunks"``, at i·⌈n / splits⌉, or, with ``"blocks"``, every
    ``split_size`` pictures, and the last one holds the rest."""
    split_size: int | None = later(None)

    def edges(self, n: int) -> list[int]:
        """Where the splits of ``n`` pictures begin, and ``n``."""
        if self.split_rule == "even":
            return [i * n // self.splits for i in range(self.splits + 1)]
        size = self.split_size if self.split_rule == "blocks" else -(-n // self.splits)
        assert size is not None, f"{self.id}: blocks have a split_size"
        return [*range(0, n, size), n]


@dataclass(frozen=True, kw_only=True)
class CLIPSIMProtocol(PictureProtocol):
    """Cosine of caption and picture, averaged over frames, then over samples, times ``scale`` (GODIVA, NÜWA)."""

    metric: str = "clipsim"
    size_px: int | None = later(None)
    resize: Resize = later("none")
    normalise: Normalise = later("none")
    quantise: Quantise = later("round")
    prefix: str = ""
    """Put before every caption."""
    scale: float = 1.0
    long_captions: Literal["truncate", "refuse"] = later("truncate")
    """What becomes of a caption of more than 77 tokens: it is read to the 77th and counted, or it is an error."""
    negative: Literal["keep", "zero"] = later("keep")
    """What becomes of a cosine below 0."""


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


@dataclass(frozen=True, kw_only=True)
class EditAccuracyProtocol(CaptionAccuracyProtocol):
    """Share of edits that the judge confirms: at its place it sees the edited object as the target shows it.

    With all its attributes; or nothing, where an object was removed; or the new background.
    """

    metric: str = "edit-accuracy"
    actions: int | None = None
    """Number of actions that the judge tells apart; ``None`` for pictures, in which nothing moves."""


@dataclass(frozen=True, kw_only=True)
class CodebookProtocol(Protocol):
    """How much of its codebook a tokenizer uses on a test set, by the tokens of its own encoder."""

    metric: str = "codebook"
    network: str = "the tokenizer that is scored"
    layer: str = "tokens"
    weights_sha256: str | None = None
    interval: Literal["wilson-jackknife"] = "wilson-jackknife"
    """Of the share of codes in use; that of the perplexity is the bootstrap's."""
