"""Metrics: streaming, mergeable torchmetrics classes over pure functions. A new one is one file, imported here."""

from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric
from evaluation.metrics.caption_accuracy import CaptionAccuracy
from evaluation.metrics.clipsim import CLIPSIM
from evaluation.metrics.fid import FID
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.inception_score import InceptionScore
from evaluation.metrics.scorer import PictureProtocols, PictureScorer
from evaluation.metrics.uncertainty import Difference, SmallSampleWarning, paired_difference

__all__ = [
    "CLIPSIM",
    "FID",
    "METRICS",
    "CaptionAccuracy",
    "Difference",
    "Estimate",
    "InceptionScore",
    "PictureProtocols",
    "PictureScorer",
    "ProtocolMetric",
    "SmallSampleWarning",
    "frechet_distance",
    "paired_difference",
]
