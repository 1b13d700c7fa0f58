"""Published networks as judges of pictures and clips, with the preparation of the pixels that their protocol fixes."""

from evaluation.features.clip import OpenAIClip, load_openai_clip
from evaluation.features.dinov2 import DINOv2, load_dinov2
from evaluation.features.inception import InceptionJudge, InceptionJudgement, load_inception_judge
from evaluation.features.load import NETWORKS, load_judge
from evaluation.features.lpips import LPIPSJudge, load_lpips
from evaluation.features.segmenter import SegmentationJudge, as_voc, load_segmenter
from evaluation.features.video import VideoJudge, VideoJudgement, load_video_judge

__all__ = [
    "NETWORKS",
    "DINOv2",
    "InceptionJudge",
    "InceptionJudgement",
    "LPIPSJudge",
    "OpenAIClip",
    "SegmentationJudge",
    "VideoJudge",
    "VideoJudgement",
    "as_voc",
    "load_dinov2",
    "load_inception_judge",
    "load_judge",
    "load_lpips",
    "load_openai_clip",
    "load_segmenter",
    "load_video_judge",
]
