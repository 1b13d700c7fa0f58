"""Video files as frames or as clips, decoded by PyAV (the extra ``video``); the only user of PyAV in this package."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.inputs.source import Loaded
from nuwa import files
from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})
"""Endings of the video files that are looked for, lower case."""


_MAX_BYTES = 1 << 30  # of the frames of one file


def is_video(name: str) -> bool:
    """Whether the name ends like that of a video."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def require_pyav() -> Any:
    """PyAV. ValueError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise ValueError("videos: expected PyAV, which is not installed; pip install 'nuwa[video]'") from error
    return av


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
        frames, damaged = _decode(self.path)
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
        frames, damaged = _decode(self.path, self.cut.stop)
        if damaged:
            raise UnreadableImage(self.path, f"{damaged} of its frames cannot be decoded")
        self.cut.check(self.path, len(frames))
        return Loaded.one(self.id, torch.stack(frames[:: self.cut.step]))


def _decode(path: Path, stop: int | None = None) -> tuple[list[Tensor], int]:
    """The first frames (3, h, w) RGB of the first video stream, and how many packets or frames were damaged."""
    av = require_pyav()
    frames: list[Tensor] = []
    damaged = num_bytes = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableImage(path, "it has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # files are decoded side by side
            for frame in _frames(av, container, stream):
                if stop is not None and len(frames) >= stop:
                    break
                if frame is None or frame.is_corrupt:
                    damaged += 1
                    continue
                pixels = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
                frames.append(torch.from_numpy(pixels).movedim(-1, 0).contiguous())
                num_bytes += pixels.nbytes
                if num_bytes > _MAX_BYTES:
                    raise UnreadableImage(path, f"its frames take more than {_MAX_BYTES >> 30} GiB; cut it into clips")
    except UnreadableImage:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableImage(path, getattr(error, "strerror", None) or str(error)) from error
    if not frames:
        raise UnreadableImage(path, "none of its frames can be decoded")
    return frames, damaged


def _frames(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """Frames in the order they are shown, ``None`` for a packet that cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            found = packet.decode()
        except StopIteration:
            return
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            yield None
            continue
        yield from found


def _sha256(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
