"""The network of any protocol by its name: the shipped judges of sprites, or published ones from a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evaluation import judges
from evaluation.features.clip import load_openai_clip
from evaluation.features.dinov2 import load_dinov2
from evaluation.features.inception import FID_INCEPTION, IMAGENET_INCEPTION, load_inception_judge
from evaluation.features.kinetics import LAST_LAYERS
from evaluation.features.video import I3D_STATE_DICT, I3D_TORCHSCRIPT, load_video_judge
from evaluation.judges import clip as sprites_clip
from evaluation.judges import image as sprites_image
from evaluation.judges import segmenter as sprites_segmenter
from evaluation.judges import video as sprites_video
from evaluation.protocols import PictureProtocol, openai_clip
from nuwa.registry import Registry

Loader = Callable[[Any, Any, torch.device | str], Any]

NETWORKS = Registry[Loader]("network")
"""Loaders by the name of a network; each takes a protocol, the user's folder of weight files, and a device."""

for name in (FID_INCEPTION, IMAGENET_INCEPTION):
    NETWORKS.add(name, load_inception_judge)
for name in openai_clip.SHA256:
    NETWORKS.add(name, load_openai_clip)
NETWORKS.add("dinov2-vitl14", load_dinov2)
NETWORKS.add(sprites_image.NAME, lambda protocol, folder, device: judges.load_image_judge(device))  # noqa: ARG005
NETWORKS.add(sprites_clip.NAME, lambda protocol, folder, device: judges.load_clip_judge(device))  # noqa: ARG005
NETWORKS.add(sprites_video.NAME, lambda protocol, folder, device: judges.load_video_judge(device))  # noqa: ARG005
NETWORKS.add(sprites_segmenter.NAME, lambda protocol, folder, device: judges.load_segmenter(device))  # noqa: ARG005

for name in (*LAST_LAYERS, I3D_STATE_DICT, I3D_TORCHSCRIPT):
    NETWORKS.add(name, load_video_judge)


def load_judge(protocol: PictureProtocol, weights: str | Path | None = None, device: torch.device | str = "cpu") -> Any:
    """The network of ``protocol`` on ``device``, with the files in the folder ``weights`` where it is a published one.

    MissingWeightsError, which says what to put where, without the file; ValueError where it is not the one published.
    """
    return NETWORKS[protocol.network](protocol, weights, device)
