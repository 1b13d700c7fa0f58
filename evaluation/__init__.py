"""Scores: pictures and clips to result records, every number under a named protocol and with its interval.

>>> from evaluation import FID
>>> fid = FID(protocol="clean", weights="folder with the published files")  # read when the first pictures come
>>> fid.protocol.id
'fid@clean-1'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.features import load_judge
    from evaluation.metrics import (
        CLIPFID,
        CLIPSIM,
        CMMD,
        FID,
        FVD,
        KID,
        LPIPS,
        METRICS,
        PRDC,
        PSNR,
        SSIM,
        ActionAccuracy,
        CLIPScore,
        DetectedPixelAccuracy,
        FDDINOv2,
        FDInfinity,
        FIDImg,
        FIDVid,
        FrequencyWeightedIoU,
        InceptionScore,
        MeanIoU,
        PictureScorer,
        PixelAccuracy,
        RelativeMatching,
        best_of,
        caption_scores,
        frechet_distance,
        paired_difference,
    )
    from evaluation.protocols import PROTOCOLS
    from evaluation.weights import WEIGHTS, MissingWeightsError

__all__ = [
    "CLIPFID",
    "CLIPSIM",
    "CMMD",
    "FID",
    "FVD",
    "KID",
    "LPIPS",
    "METRICS",
    "PRDC",
    "PROTOCOLS",
    "PSNR",
    "SSIM",
    "WEIGHTS",
    "ActionAccuracy",
    "CLIPScore",
    "DetectedPixelAccuracy",
    "FDDINOv2",
    "FDInfinity",
    "FIDImg",
    "FIDVid",
    "FrequencyWeightedIoU",
    "InceptionScore",
    "MeanIoU",
    "MissingWeightsError",
    "PictureScorer",
    "PixelAccuracy",
    "RelativeMatching",
    "best_of",
    "caption_scores",
    "frechet_distance",
    "load_judge",
    "paired_difference",
]

_ELSEWHERE = {  # than in evaluation.metrics
    "PROTOCOLS": "evaluation.protocols",
    "WEIGHTS": "evaluation.weights",
    "MissingWeightsError": "evaluation.weights",
    "load_judge": "evaluation.features",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: torchmetrics and torchvision take seconds."""
    if name not in __all__:
        raise AttributeError(f"module 'evaluation' has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "evaluation.metrics")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
