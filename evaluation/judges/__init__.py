"""Judges of the sprites world: small networks, trained once by the recipe here and shipped with their sha256.

A number made with them says so in its protocol's name and is never set beside one made with Inception or OpenAI's CLIP.
"""

from evaluation.judges.clip import ClipJudge, load_clip_judge
from evaluation.judges.image import ImageJudge, ImageJudgement, load_image_judge
from evaluation.judges.segmenter import Segmenter, load_segmenter
from evaluation.judges.video import VideoJudge, VideoJudgement, load_video_judge

__all__ = [
    "ClipJudge",
    "ImageJudge",
    "ImageJudgement",
    "Segmenter",
    "VideoJudge",
    "VideoJudgement",
    "load_clip_judge",
    "load_image_judge",
    "load_segmenter",
    "load_video_judge",
]
