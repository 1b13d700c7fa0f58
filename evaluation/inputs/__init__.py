"""Where pictures and clips come from: folders, archives, arrays, videos, iterators, and statistics of them."""

from evaluation.inputs.opening import open_clips, open_pictures
from evaluation.inputs.pairs import pairs
from evaluation.inputs.source import Batch, Source
from evaluation.inputs.statistics import Statistics, is_statistics, open_statistics

__all__ = ["Batch", "Source", "Statistics", "is_statistics", "open_clips", "open_pictures", "open_statistics", "pairs"]
