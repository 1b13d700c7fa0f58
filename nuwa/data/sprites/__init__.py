"""Sprites: a procedural world of captioned pictures, clips and edits, so that every part runs with nothing to download."""

from nuwa.data.sprites.captions import captions, clip_captions
from nuwa.data.sprites.clips import Clips, draw_clips, render_clip, segment_clip
from nuwa.data.sprites.edits import Edits, draw_clip_edits, draw_edits, masks
from nuwa.data.sprites.instructions import instructions
from nuwa.data.sprites.outcomes import draw_outcomes
from nuwa.data.sprites.render import render, segment
from nuwa.data.sprites.scenes import SPLITS, Scenes, draw

__all__ = [
    "SPLITS",
    "Clips",
    "Edits",
    "Scenes",
    "captions",
    "clip_captions",
    "draw",
    "draw_clip_edits",
    "draw_clips",
    "draw_edits",
    "draw_outcomes",
    "instructions",
    "masks",
    "render",
    "render_clip",
    "segment",
    "segment_clip",
]
