"""Datasets that the command line can encode, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nuwa.data.coco import CocoCaptions
from nuwa.data.limits import guard
from nuwa.data.listed import ListedClips, ListedPictures
from nuwa.data.lists import every_caption
from nuwa.data.readers import READERS
from nuwa.data.shards.encode import Samples
from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.data.video import FrameRule
from nuwa.registry import Registry


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Which samples, and how large they are read."""

    split: str
    root: Path | None
    num: int | None  # all where None
    size_px: int
    frames: int
    fps: float = 2.5  # of clips of files


SOURCES: Registry[Callable[[SourceOptions], Samples]] = Registry("dataset")


@SOURCES.register("sprites")
def sprites(options: SourceOptions) -> Samples:
    """The first samples of a split, 65,536 where no number is given."""
    return SpritesPictures(options.split, options.num or NUM_SPRITES, options.size_px)


@SOURCES.register("sprites-clips")
def sprites_clips(options: SourceOptions) -> Samples:
    """The first clips of a split, 65,536 where no number is given."""
    return SpritesClips(options.split, options.num or NUM_SPRITES, options.frames, options.size_px)


@SOURCES.register("coco")
def coco(options: SourceOptions) -> Samples:
    """MS-COCO from the files it publishes, a sample for every caption."""
    if options.root is None:
        raise ValueError("coco: expected --root with annotations/ and the folders of pictures, got none")
    if options.split not in ("train", "val"):
        raise ValueError(f"coco: expected the split train or val, got {options.split!r}")
    split: Literal["train", "val"] = "train" if options.split == "train" else "val"
    return CocoCaptions(options.root, split, size_px=options.size_px, limit=options.num)


def of_files(name: str, options: SourceOptions) -> Samples:
    """A split of the dataset of reader ``name``, a sample for each caption; clips where its first sample is one."""
    if options.root is None:
        raise ValueError(f"{name}: expected --root with the dataset's files, got none; docs/data.md shows the folder")
    listing = READERS[name](options.root, options.split)
    guard(f"{name} {listing.split}", listing.skipped, len(listing) + len(listing.skipped))
    choice = every_caption(listing, options.num)
    if listing.samples[0].kind == "picture":
        return ListedPictures(listing, choice, options.size_px)
    return ListedClips(listing, choice, options.size_px, FrameRule(num_frames=options.frames, fps=options.fps))


for _name in READERS:
    if _name != "coco":  # which has its own, above
        SOURCES.add(_name, partial(of_files, _name))


NUM_SPRITES = 65_536
"""Samples of sprites, of which there is no end: more than the preset ``tiny`` reads in a training."""
