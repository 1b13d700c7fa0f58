"""Protocols by id: ``PROTOCOLS["fid@sprites-1"]``. A new one is one file with one ``register``, imported here."""

from evaluation.protocols import (
    adm,
    clean,
    cogview,
    dgm,
    dmgan_coco,
    edm2,
    google_research,
    hessel,
    improved_gan,
    openai_clip,
    pytorch_fid,
    sg2ada,
    sprites,
    torchmetrics_aa,
    ttur,
)
from evaluation.protocols.base import PROTOCOLS, Protocol, register
from evaluation.protocols.kinds import (
    CaptionAccuracyProtocol,
    CLIPSIMProtocol,
    FIDProtocol,
    InceptionScoreProtocol,
    PictureProtocol,
)
from evaluation.protocols.lookup import find_protocol
from evaluation.protocols.set_kinds import CMMDProtocol, FDInfinityProtocol, KIDProtocol, PRDCProtocol

__all__ = [
    "PROTOCOLS",
    "CLIPSIMProtocol",
    "CMMDProtocol",
    "CaptionAccuracyProtocol",
    "FDInfinityProtocol",
    "FIDProtocol",
    "InceptionScoreProtocol",
    "KIDProtocol",
    "PRDCProtocol",
    "PictureProtocol",
    "Protocol",
    "adm",
    "clean",
    "cogview",
    "dgm",
    "dmgan_coco",
    "edm2",
    "find_protocol",
    "google_research",
    "hessel",
    "improved_gan",
    "openai_clip",
    "pytorch_fid",
    "register",
    "sg2ada",
    "sprites",
    "torchmetrics_aa",
    "ttur",
]
