"""Sprites: a procedural world of captioned pictures and clips, so that every part runs with nothing to download."""

from nuwa.data.sprites.captions import captions, clip_captions
from nuwa.data.sprites.clips import Clips, draw_clips, render_clip, segment_clip
from nuwa.data.sprites.render import render, segment
from nuwa.data.sprites.scenes import SPLITS, Scenes, draw

__all__ = [
    "SPLITS",
    "Clips",
    "Scenes",
    "captions",
    "clip_captions",
    "draw",
    "draw_clips",
    "render",
    "render_clip",
    "segment",
    "segment_clip",
]
