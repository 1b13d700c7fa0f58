"""Protocols by id: ``PROTOCOLS["fid@sprites-1"]``. A new one is one file with one ``register``, imported here."""

from evaluation.protocols import sprites
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
    "register",
    "sprites",
]
