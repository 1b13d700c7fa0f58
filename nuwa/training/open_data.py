"""What a training reads, by the name of a dataset: sprites, or the files of any reader."""

from __future__ import annotations

from pathlib import Path

import torch

from nuwa.data.images import UnreadableImage
from nuwa.data.listed import ListedClips, ListedPictures
from nuwa.data.loading import pixels_of
from nuwa.data.readers import READERS
from nuwa.data.shards.sources import SourceOptions, of_files
from nuwa.training.on_files import FilesData, Measured
from nuwa.training.on_sprites import VALIDATION, sprites_data
from nuwa.training.prepare import TrainingData


def open_data(
    name: str,
    size_px: int,
    frames: int,
    *,
    root: Path | None = None,
    split: str = "train",
    held_out: str = "val",
    fps: float = 2.5,
    seed: int = 0,
) -> TrainingData:
    """A split of a dataset to learn from and some samples of another to measure on; without sketches where it is of files.

    ``frames`` is of a clip, 1 where only pictures are learnt. Splits are the reader's; sprites have their own. ValueError for
    an unknown name, a folder that is not the dataset's, or a split that cannot be read.
    """
    if name == "sprites":
        return sprites_data(size_px, frames)
    if name not in READERS:
        raise ValueError(f"data: expected sprites or one of {', '.join(READERS)}, got {name!r}")
    options = SourceOptions(split=split, root=root, num=None, size_px=size_px, frames=frames, fps=fps)
    train = of_files(name, options)
    measured = of_files(name, SourceOptions(**vars(options) | {"split": held_out, "num": VALIDATION}))
    assert isinstance(train, ListedPictures | ListedClips)
    assert isinstance(measured, ListedPictures | ListedClips)
    return FilesData(train=train, measured=_read(measured), classes=None, seed=seed)()


def _read(samples: ListedPictures | ListedClips) -> Measured:
    """Those that can be read."""
    pixels, captions = [], []
    for row in range(len(samples)):
        try:
            pixels.append(pixels_of(samples, row))
        except UnreadableImage:  # the training names what is broken among its own samples
            continue
        captions.append(samples.captions[row])
    if not pixels:
        raise ValueError(f"{samples.name} {samples.split}: expected samples to measure on, got none that can be read")
    return Measured(pixels=torch.stack(pixels), captions=captions)
