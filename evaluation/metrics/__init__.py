"""Metrics: streaming, mergeable torchmetrics classes over pure functions. A new one is one file, imported here."""

from evaluation.metrics.action_accuracy import ActionAccuracy
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric
from evaluation.metrics.caption_accuracy import CaptionAccuracy
from evaluation.metrics.clip_distance import FVD, FIDVid
from evaluation.metrics.clipsim import CLIPSIM, CLIPScore
from evaluation.metrics.cmmd import CMMD
from evaluation.metrics.codebook import CodebookUsage
from evaluation.metrics.edit_accuracy import EditAccuracy
from evaluation.metrics.fd_infinity import FDInfinity
from evaluation.metrics.fid import CLIPFID, FID, FDDINOv2
from evaluation.metrics.fid_img import FIDImg
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.inception_score import InceptionScore, SortedWarning
from evaluation.metrics.kid import KID
from evaluation.metrics.lpips import LPIPS
from evaluation.metrics.pixel_errors import PSNR, SSIM
from evaluation.metrics.prdc import PRDC
from evaluation.metrics.regions import MaskedSSIM, Unchanged
from evaluation.metrics.relative_matching import RelativeMatching
from evaluation.metrics.reranking import best_of, caption_scores
from evaluation.metrics.scorer import PictureProtocols, PictureScorer
from evaluation.metrics.segmentation import (
    DetectedFrequencyWeightedIoU,
    DetectedMeanIoU,
    DetectedPixelAccuracy,
    FrequencyWeightedIoU,
    MeanIoU,
    PixelAccuracy,
)
from evaluation.metrics.uncertainty import Difference, SmallSampleWarning, paired_difference

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
    "PSNR",
    "SSIM",
    "ActionAccuracy",
    "CLIPScore",
    "CaptionAccuracy",
    "CodebookUsage",
    "DetectedFrequencyWeightedIoU",
    "DetectedMeanIoU",
    "DetectedPixelAccuracy",
    "Difference",
    "EditAccuracy",
    "Estimate",
    "FDDINOv2",
    "FDInfinity",
    "FIDImg",
    "FIDVid",
    "FrequencyWeightedIoU",
    "InceptionScore",
    "MaskedSSIM",
    "MeanIoU",
    "PictureProtocols",
    "PictureScorer",
    "PixelAccuracy",
    "ProtocolMetric",
    "RelativeMatching",
    "SmallSampleWarning",
    "SortedWarning",
    "Unchanged",
    "best_of",
    "caption_scores",
    "frechet_distance",
    "paired_difference",
]
