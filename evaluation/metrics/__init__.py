"""Metrics: streaming, mergeable torchmetrics classes over pure functions. A new one is one file, imported here."""

from evaluation.metrics.action_accuracy import ActionAccuracy
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric
from evaluation.metrics.caption_accuracy import CaptionAccuracy
from evaluation.metrics.clip_distance import FVD, FIDVid
from evaluation.metrics.clipsim import CLIPSIM
from evaluation.metrics.fid import FID
from evaluation.metrics.fid_img import FIDImg
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.inception_score import InceptionScore
from evaluation.metrics.lpips import LPIPS
from evaluation.metrics.pixel_errors import PSNR, SSIM
from evaluation.metrics.scorer import PictureProtocols, PictureScorer
from evaluation.metrics.segmentation import (
    DetectedPixelAccuracy,
    FrequencyWeightedIoU,
    MeanIoU,
    PixelAccuracy,
)
from evaluation.metrics.uncertainty import Difference, SmallSampleWarning, paired_difference

__all__ = [
    "CLIPSIM",
    "FID",
    "FVD",
    "LPIPS",
    "METRICS",
    "PSNR",
    "SSIM",
    "ActionAccuracy",
    "CaptionAccuracy",
    "DetectedPixelAccuracy",
    "Difference",
    "Estimate",
    "FIDImg",
    "FIDVid",
    "FrequencyWeightedIoU",
    "InceptionScore",
    "MeanIoU",
    "PictureProtocols",
    "PictureScorer",
    "PixelAccuracy",
    "ProtocolMetric",
    "SmallSampleWarning",
    "frechet_distance",
    "paired_difference",
]
