"""Sprites as training data: pictures, or pictures and clips, with their maps."""

from __future__ import annotations

import numpy as np

from nuwa.data.shards.sources import NUM_SPRITES
from nuwa.data.sources import HeldOut, Source
from nuwa.data.sprites import captions, clip_captions, draw, draw_clips, world
from nuwa.data.sprites.clip_dataset import SpritesClips, SpritesClipStream
from nuwa.data.sprites.dataset import SpritesPictures, SpritesStream
from nuwa.tokenizers.perceptual import load_sprites
from nuwa.training.prepare import TrainingData

VALIDATION = 256  # held-out pictures that training measures itself on
VOCABULARY = 20_000  # captions from which the text tokenizer takes its word pieces, of pictures and of clips


def sprites_data(
    size_px: int, frames: int = 1, *, num_held_out: int = VALIDATION, num_captions: int = VOCABULARY
) -> TrainingData:
    """The split train, and val to measure on; with clips where they have more than one frame.

    ``num_held_out`` pictures are held out and a quarter as many clips; the vocabulary is that of ``num_captions`` captions.
    """
    held_out = SpritesPictures("val", num_held_out, size_px)
    whole = slice(None)
    vocabulary = captions(draw("train", np.arange(num_captions)))
    clips = None
    if frames > 1:
        moving = SpritesClips("val", max(1, num_held_out // 4), frames, size_px)
        clips = Source(
            stream=SpritesClipStream(frames, size_px),
            samples=SpritesClips("train", NUM_SPRITES, frames, size_px),
            validation=HeldOut(pixels=moving.clips(whole), captions=moving.captions, maps=moving.maps(whole)),
        )
        vocabulary += clip_captions(draw_clips("train", np.arange(num_captions)))
    return TrainingData(
        name=f"sprites {world.VERSION} train" + (f", {frames} frames" if frames > 1 else ""),
        pictures=Source(
            stream=SpritesStream(size_px),
            samples=SpritesPictures("train", NUM_SPRITES, size_px),
            validation=HeldOut(pixels=held_out.images(whole), captions=held_out.captions, maps=held_out.maps(whole)),
        ),
        clips=clips,
        vocabulary=vocabulary,
        perceptual=load_sprites(),
    )
