"""Protocols by id: ``PROTOCOLS["fid@sprites-1"]``. A new one is one file with one ``register``, imported here."""

from evaluation.protocols import adm, clean, dmgan_coco, pytorch_fid, sg2ada, sprites, torchmetrics_aa, ttur
from evaluation.protocols.base import PROTOCOLS, Protocol, register
from evaluation.protocols.kinds import (
    CaptionAccuracyProtocol,
    CLIPSIMProtocol,
    FIDProtocol,
    InceptionScoreProtocol,
)

__all__ = [
    "PROTOCOLS",
    "CLIPSIMProtocol",
    "CaptionAccuracyProtocol",
    "FIDProtocol",
    "InceptionScoreProtocol",
    "Protocol",
    "adm",
    "clean",
    "dmgan_coco",
    "pytorch_fid",
    "register",
    "sg2ada",
    "sprites",
    "torchmetrics_aa",
    "ttur",
]
