"""FID-img: the FID of frames, under the constants of the FID of pictures.

TFGAN averages one FID for each position in the clip, as far as its paper tells; others pool all frames. The two differ, since
frames of one clip are alike, so each has its own id.
"""

from __future__ import annotations

from typing import Literal

from evaluation.protocols import sprites, ttur
from evaluation.protocols.base import register
from evaluation.protocols.clip_kinds import FrameFIDProtocol
from evaluation.protocols.kinds import FIDProtocol


def _of(fid: FIDProtocol, family: str, over: Literal["positions", "pooled"]) -> FrameFIDProtocol:
    constants = {**vars(fid), "metric": "fid-img", "family": family, "radii": (0,), "resampled": "both"}
    words = {"positions": "averaged over the positions of a clip (TFGAN, NÜWA)", "pooled": "of all frames of all clips"}
    return register(FrameFIDProtocol(**{**constants, "source": f"{fid.id}, {words[over]}"}, over=over))


POSITIONS = _of(ttur.FID, "inception-positions-1", "positions")
POOLED = _of(ttur.FID, "inception-pooled-1", "pooled")
SPRITES = _of(sprites.FID, "sprites-1", "positions")
