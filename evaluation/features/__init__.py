"""Published networks as judges of pictures, with the preparation of the pictures that their protocol fixes."""

from evaluation.features.clip import OpenAIClip, load_openai_clip
from evaluation.features.dinov2 import DINOv2, load_dinov2
from evaluation.features.inception import InceptionJudge, InceptionJudgement, load_inception_judge
from evaluation.features.load import NETWORKS, load_judge

__all__ = [
    "NETWORKS",
    "DINOv2",
    "InceptionJudge",
    "InceptionJudgement",
    "OpenAIClip",
    "load_dinov2",
    "load_inception_judge",
    "load_judge",
    "load_openai_clip",
]
