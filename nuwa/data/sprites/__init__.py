"""Sprites: a procedural world of captioned pictures, so that every part of the suite runs with nothing to download."""

from nuwa.data.sprites.captions import captions
from nuwa.data.sprites.render import render, segment
from nuwa.data.sprites.scenes import SPLITS, Scenes, draw

__all__ = ["SPLITS", "Scenes", "captions", "draw", "render", "segment"]
