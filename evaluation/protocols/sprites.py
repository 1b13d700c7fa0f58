"""The ``@sprites-1`` family: scores by the small judges of the sprites world.

They order models of sprites and are never set beside a number made with Inception or OpenAI's CLIP. Judges with other
weights need another family: a number of one is no number of the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluation.protocols.base import register
from evaluation.protocols.clip_kinds import ActionAccuracyProtocol, ClipDistanceProtocol
from evaluation.protocols.kinds import (
    CaptionAccuracyProtocol,
    CLIPSIMProtocol,
    EditAccuracyProtocol,
    FIDProtocol,
    InceptionScoreProtocol,
)
from evaluation.protocols.pair_kinds import SegmentationProtocol
from evaluation.protocols.segments import detected
from evaluation.protocols.set_kinds import FDInfinityProtocol, KIDProtocol, PRDCProtocol

_FAMILY = "sprites-1"
_IMAGE_JUDGE = "43f0eb8e8382043dd3052b431ce4db59a406434aac0005df91f3b146fdca1e92"
_CLIP_JUDGE = "53626b522e842491f5a483fee46a59174cee124e7cfc85f93b88306f4f340e72"
_VIDEO_JUDGE = "a70f5b66fa97ae8eeb96614d0a1c61235302e974f193d469fb1e9bbf9086b255"
_SEGMENTER = "8920c5ef30b8b9dc50692770448cb152bdbe37c985d252a20b0c002273820ee7"
_SOURCE = "this project; pictures of the sprites world, judged by networks trained on it"

FID = register(
    FIDProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="features",
        weights_sha256=_IMAGE_JUDGE,
        width=128,
        size_px=None,
        resize="none",
        normalise="none",
        radii=(0, 1, 2, 4, 8),
        blur_kernel="gaussian",
        blur_picture_px=64,  # radii grow with the token, 4 px of 32 here and 8 of 256 there, so that each of them changes bytes
        replicates=200,
        interval_seed=2020,
        source=f"{_SOURCE}; FID-k of Ramesh et al. 2021 and of NÜWA, table 1, whose radii are scaled to small pictures",
    )
)

INCEPTION_SCORE = register(
    InceptionScoreProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="class logits",
        weights_sha256=_IMAGE_JUDGE,
        classes=48,
        replicates=1000,
        interval_seed=2020,
        source=f"{_SOURCE}; splits, order and seed as in torch-fidelity",
    )
)

CLIPSIM = register(
    CLIPSIMProtocol(
        family=_FAMILY,
        network="sprites CLIP judge 1",
        layer="embeddings",
        weights_sha256=_CLIP_JUDGE,
        replicates=1000,
        interval_seed=2020,
        source=f"{_SOURCE}; CLIPSIM of GODIVA (Wu et al. 2021), raw cosine as in NÜWA, table 2",
    )
)

CAPTION_ACCURACY = register(
    CaptionAccuracyProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="logits of the nine places and the background",
        weights_sha256=_IMAGE_JUDGE,
        replicates=1000,
        interval_seed=2020,
        source=_SOURCE,
    )
)

_FEATURES: dict[str, Any] = {
    "family": _FAMILY,
    "network": "sprites image judge 1",
    "layer": "features",
    "weights_sha256": _IMAGE_JUDGE,
    "width": 128,
    "size_px": None,
    "resize": "none",
    "normalise": "none",
    "interval_seed": 2020,
}

KID = register(
    KIDProtocol(
        **_FEATURES, fewer="shrink", replicates=200, source=f"{_SOURCE}; subsets and kernel as in torch-fidelity"
    )
)

PRDC = register(PRDCProtocol(**_FEATURES, replicates=1000, source=f"{_SOURCE}; k = 3 as in torch-fidelity"))

FD_INFINITY = register(
    FDInfinityProtocol(**_FEATURES, fewer="shrink", replicates=100, source=f"{_SOURCE}; Chong and Forsyth 2020")
)

RELATIVE_MATCHING = register(
    replace(
        CLIPSIM,
        metric="rm",
        source=f"{_SOURCE}; RM of GODIVA (Wu et al. 2021): CLIPSIM of the generated over that of the real pictures",
    )
)

_CLIP: dict[str, Any] = {
    "family": _FAMILY,
    "network": "sprites video judge 1",
    "weights_sha256": _VIDEO_JUDGE,
    "size_px": 32,
    "resize": "inside-network",  # antialiased bilinear, without rounding
    "normalise": "over-127.5-minus-1",
    "frames": None,
    "min_frames": 2,
    "interval_seed": 2020,
}
_CLIP_SOURCE = "this project; clips of the sprites world, judged by a network trained on it"


def _clip_distance(metric: str, words: str) -> ClipDistanceProtocol:
    layer: dict[str, Any] = {"layer": "features", "read": "pooled", "width": 128}
    return register(
        ClipDistanceProtocol(**_CLIP, **layer, metric=metric, replicates=200, source=f"{_CLIP_SOURCE}; {words}")
    )


FVD = _clip_distance("fvd", "FVD of Unterthiner et al. 2018, on features instead of logits")
FID_VID = _clip_distance("fid-vid", "FID-vid of TFGAN and NÜWA, table 2; the same distance as fvd@sprites-1")

ACC = register(
    ActionAccuracyProtocol(
        **_CLIP,
        layer="class logits",
        read="logits",
        num_classes=10,
        class_set="all 10 of nuwa.data.sprites.actions.ACTIONS",
        replicates=1000,
        source=f"{_CLIP_SOURCE}; the action of the main object, the largest at the start",
    )
)

DETECTED = detected(
    SegmentationProtocol(
        metric="detected-pa",
        family=_FAMILY,
        network="sprites segmenter 1",
        layer="class of each pixel, logits interpolated to the size of the picture",
        weights_sha256=_SEGMENTER,
        classes=7,
        class_set="background and the six shapes, as nuwa.data.sprites.world.CLASSES",
        source=f"{_SOURCE}; Detected PA of NÜWA, table 6",
    )
)

_EDITS: dict[str, Any] = {
    "layer": "logits of the nine places and the background",
    "replicates": 1000,
    "interval_seed": 2020,
}

EDIT_ACCURACY = register(
    EditAccuracyProtocol(
        **_EDITS, family=_FAMILY, network="sprites image judge 1", weights_sha256=_IMAGE_JUDGE, source=_SOURCE
    )
)

CLIP_EDIT_ACCURACY = register(
    EditAccuracyProtocol(
        **_EDITS,
        family="sprites-clips-1",
        network="sprites video judge 1",
        weights_sha256=_VIDEO_JUDGE,
        actions=10,
        source=_CLIP_SOURCE,
    )
)
