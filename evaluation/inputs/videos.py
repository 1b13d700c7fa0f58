"""Video files as frames or as clips, decoded by :mod:`nuwa.data.video`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.inputs.source import Loaded
from nuwa import files
from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage
from nuwa.data.video import read_frames


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Which frames of a clip count: the first ``num_frames`` of every ``step``-th; all of them where it is ``None``."""

    num_frames: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        if (self.num_frames is not None and self.num_frames < 1) or self.step < 1:
            raise ValueError(f"clips: expected num_frames and step >= 1, got {self.num_frames} and {self.step}")

    @property
    def stop(self) -> int | None:
        """Number of frames to read."""
        return None if self.num_frames is None else (self.num_frames - 1) * self.step + 1

    def digest(self, content: str) -> str:
        """The digest of a clip so cut from a file whose digest is ``content``."""
        if self.num_frames is None and self.step == 1:
            return content
        return hashlib.sha256(f"{content} {self.num_frames} {self.step}".encode()).hexdigest()

    def check(self, name: str | Path, length: int) -> None:
        """UnreadableImage for a clip of fewer frames than are wanted."""
        if self.stop is not None and length < self.stop:
            raise UnreadableImage(name, f"{length} frames, fewer than the {self.stop} that are needed")


ALL_FRAMES = Cut()


@dataclass(frozen=True, kw_only=True)
class VideoFrames:
    """The frames of a video file, each a picture. Frames that cannot be decoded are counted and named."""

    id: str
    path: Path
    size: int | None = None

    def digest(self) -> str:
        """sha256 of the file."""
        return _sha256(self.path)

    def load(self) -> Loaded:
        """All frames that can be decoded, (3, h, w) each, as ``id#000012``."""
        frames, damaged = read_frames(self.path)
        lost = (Skipped(self.id, f"{damaged} of its frames cannot be decoded"),) if damaged else ()
        return Loaded(samples=tuple((f"{self.id}#{i:06d}", frame) for i, frame in enumerate(frames)), skipped=lost)


@dataclass(frozen=True, kw_only=True)
class VideoClip:
    """A video file as one clip. A file with damaged frames has none: what is left would jump in time."""

    id: str
    path: Path
    cut: Cut = ALL_FRAMES
    size: int = 1

    def digest(self) -> str:
        """sha256 of the file and of what is taken from it."""
        return self.cut.digest(_sha256(self.path))

    def load(self) -> Loaded:
        """The clip (t, 3, h, w)."""
        frames, damaged = read_frames(self.path, self.cut.stop)
        if damaged:
            raise UnreadableImage(self.path, f"{damaged} of its frames cannot be decoded")
        self.cut.check(self.path, len(frames))
        return Loaded.one(self.id, torch.stack(frames[:: self.cut.step]))


def _sha256(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
