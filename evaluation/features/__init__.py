"""Published networks as judges of pictures and clips, with the preparation of the pixels that their protocol fixes."""

from evaluation.features.inception import InceptionJudge, InceptionJudgement, load_inception_judge
from evaluation.features.lpips import LPIPSJudge, load_lpips
from evaluation.features.segmenter import SegmentationJudge, as_voc, load_segmenter
from evaluation.features.video import VideoJudge, VideoJudgement, load_video_judge

__all__ = [
    "InceptionJudge",
    "InceptionJudgement",
    "LPIPSJudge",
    "SegmentationJudge",
    "VideoJudge",
    "VideoJudgement",
    "as_voc",
    "load_inception_judge",
    "load_lpips",
    "load_segmenter",
    "load_video_judge",
]
