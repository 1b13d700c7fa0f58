"""Protocols by id: ``PROTOCOLS["fid@sprites-1"]``. A new one is one file with one ``register``, imported here."""

from evaluation.protocols import (
    adm,
    cd_fvd,
    clean,
    dmgan_coco,
    frames,
    google,
    kinetics,
    pairs,
    pytorch_fid,
    segments,
    sg2ada,
    sprites,
    stylegan_v,
    torchmetrics_aa,
    ttur,
    videogpt,
)
from evaluation.protocols.base import PROTOCOLS, Protocol, register
from evaluation.protocols.clip_kinds import (
    ActionAccuracyProtocol,
    ClipDistanceProtocol,
    ClipProtocol,
    FrameFIDProtocol,
)
from evaluation.protocols.kinds import (
    CaptionAccuracyProtocol,
    CLIPSIMProtocol,
    FIDProtocol,
    InceptionScoreProtocol,
)
from evaluation.protocols.lookup import find_protocol
from evaluation.protocols.pair_kinds import (
    LPIPSProtocol,
    PairProtocol,
    PSNRProtocol,
    SegmentationProtocol,
    SSIMProtocol,
)

__all__ = [
    "PROTOCOLS",
    "ActionAccuracyProtocol",
    "CLIPSIMProtocol",
    "CaptionAccuracyProtocol",
    "ClipDistanceProtocol",
    "ClipProtocol",
    "FIDProtocol",
    "FrameFIDProtocol",
    "InceptionScoreProtocol",
    "LPIPSProtocol",
    "PSNRProtocol",
    "PairProtocol",
    "Protocol",
    "SSIMProtocol",
    "SegmentationProtocol",
    "adm",
    "cd_fvd",
    "clean",
    "dmgan_coco",
    "find_protocol",
    "frames",
    "google",
    "kinetics",
    "pairs",
    "pytorch_fid",
    "register",
    "segments",
    "sg2ada",
    "sprites",
    "stylegan_v",
    "torchmetrics_aa",
    "ttur",
    "videogpt",
]
