"""Where pixels are: files, members of tar archives, folders of frames. Arrays have a file of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nuwa.data.images import UnreadableImage, decode_image, decode_square, read_image, read_square, resize_square
from nuwa.data.readers.sample import Facts, Kind, Place, Stored
from nuwa.data.video import Clip, FrameRule, is_video, read_clip, survey

_CHUNK = 1 << 20
_MEMBER_BYTES = 1 << 30  # a larger member is a mistake, or an archive made to fill the memory


@dataclass(frozen=True, slots=True)
class PictureFile(Stored):
    """A picture in a file of its own, pixels as stored, without turning them as EXIF says.

    Attributes:
        size: (height, width) that the publisher's table says; a file of another size counts as damaged.
    """

    path: Path
    size: tuple[int, int] | None = None
    kind = "picture"

    @property
    def places(self) -> tuple[Place, ...]:
        """The file."""
        return (Place(self.path),)

    def content(self) -> Iterator[bytes]:
        """See :class:`Stored`."""
        return chunks(self.path)

    def facts(self) -> Facts:
        """See :class:`Stored`."""
        height, width = read_image(self.path, orient=False).shape[1:]
        if self.size is not None and (height, width) != self.size:
            raise UnreadableImage(
                self.path, f"{width} x {height} pixels, expected {self.size[1]} x {self.size[0]} by the table"
            )
        return Facts(height=height, width=width)

    def picture(self, size_px: int) -> Tensor:
        """See :class:`Stored`."""
        return read_square(self.path, size_px, orient=False)


@dataclass(frozen=True, slots=True)
class VideoFile(Stored):
    """A clip in a video file. One with damaged frames is unreadable: what is left would jump in time."""

    path: Path
    kind = "clip"

    @property
    def places(self) -> tuple[Place, ...]:
        """The file."""
        return (Place(self.path),)

    def content(self) -> Iterator[bytes]:
        """See :class:`Stored`."""
        return chunks(self.path)

    def facts(self) -> Facts:
        """See :class:`Stored`."""
        return _of_video(self.path, self.path)

    def clip(self, rule: FrameRule, size_px: int) -> Clip:
        """See :class:`Stored`."""
        return read_clip(self.path, rule, size_px=size_px)


@dataclass(frozen=True, slots=True)
class Member(Stored):
    """A picture or video in an uncompressed tar archive, read from where it lies; nothing is unpacked."""

    archive: Path
    name: str
    offset: int
    num_bytes: int
    kind: Kind

    @property
    def places(self) -> tuple[Place, ...]:
        """The archive and the member's name."""
        return (Place(self.archive, self.name),)

    def content(self) -> Iterator[bytes]:
        """See :class:`Stored`."""
        yield self.read()

    def read(self) -> bytes:
        """All its bytes."""
        if self.num_bytes > _MEMBER_BYTES:
            raise UnreadableImage(self.name, f"{self.num_bytes:,} bytes, more than {_MEMBER_BYTES:,}")
        with _named(self.archive), self.archive.open("rb") as handle:
            handle.seek(self.offset)
            data = handle.read(self.num_bytes)
        if len(data) < self.num_bytes:
            raise UnreadableImage(self.archive, f"it ends within its member {self.name!r}")
        return data

    def facts(self) -> Facts:
        """See :class:`Stored`."""
        if self.kind == "clip":
            return _of_video(self.read(), self.name)
        height, width = decode_image(self.read(), self.name, orient=False).shape[1:]
        return Facts(height=height, width=width)

    def picture(self, size_px: int) -> Tensor:
        """See :class:`Stored`."""
        if self.kind == "clip":
            return Stored.picture(self, size_px)  # which refuses
        return decode_square(self.read(), self.name, size_px, orient=False)

    def clip(self, rule: FrameRule, size_px: int) -> Clip:
        """See :class:`Stored`."""
        if self.kind == "picture":  # FFmpeg would take a jpeg for a video
            return Stored.clip(self, rule, size_px)
        return read_clip(self.read(), rule, size_px=size_px, name=self.name)


@dataclass(frozen=True, slots=True)
class FrameFiles(Stored):
    """A clip as pictures that follow each other at ``fps``, or at a rate that nobody says (None)."""

    paths: tuple[Path, ...]
    fps: float | None
    kind = "clip"

    @property
    def places(self) -> tuple[Place, ...]:
        """The pictures, in order."""
        return tuple(Place(path) for path in self.paths)

    def content(self) -> Iterator[bytes]:
        """See :class:`Stored`."""
        for path in self.paths:
            yield from chunks(path)

    def facts(self) -> Facts:
        """See :class:`Stored`. Frames of several sizes are no clip."""
        sizes = {tuple(read_image(path, orient=False).shape[1:]) for path in self.paths}
        if len(sizes) > 1:
            raise UnreadableImage(self.paths[0].parent, f"frames of {len(sizes)} sizes, such as {min(sizes)}")
        ((height, width),) = sizes
        count = len(self.paths)
        seconds = None if self.fps is None else count / self.fps
        return Facts(height=height, width=width, num_frames=count, seconds=seconds)

    def clip(self, rule: FrameRule, size_px: int) -> Clip:
        """See :class:`Stored`."""
        chosen, held = self.choose(rule)
        read = {index: read_square(self.paths[index], size_px, orient=False) for index in sorted(set(chosen))}
        return Clip(torch.stack([read[index] for index in chosen]), held)

    def choose(self, rule: FrameRule) -> tuple[list[int], int]:
        """Numbers of the frames that ``rule`` takes, and for how many of them the last one stands still."""
        return choose(len(self.paths), self.fps, rule, self.paths[0].parent)


def choose(num_frames: int, fps: float | None, rule: FrameRule, name: str | Path) -> tuple[list[int], int]:
    """Which of ``num_frames`` frames are on the screen at the rule's times, and how many times the last one is repeated.

    Frames without a rate are taken one after the other from the first on. UnreadableImage where there are too few.
    """
    if fps is None:
        wanted, seconds = list(range(rule.num_frames)), num_frames / rule.fps
    else:
        wanted, seconds = [int(time_s * fps + 1e-6) for time_s in rule.times_s], num_frames / fps
    chosen = [index for index in wanted if index < num_frames]
    held = rule.held(name, len(chosen), seconds)
    return chosen + [num_frames - 1] * held, held


def of_file(path: Path) -> Stored:
    """The picture or video in a file, by its ending."""
    return VideoFile(path) if is_video(path.name) else PictureFile(path)


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file. UnreadableImage where it cannot be read."""
    with _named(path), path.open("rb") as handle:
        while piece := handle.read(_CHUNK):
            yield piece


def squares(frames: np.ndarray, size_px: int) -> Tensor:
    """Frames (t, h, w, 3) uint8, cut and resized: (t, 3, size_px, size_px)."""
    return torch.stack([resize_square(frame, size_px) for frame in torch.from_numpy(frames).permute(0, 3, 1, 2)])


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error


def _of_video(source: Path | bytes, name: str | Path) -> Facts:
    found = survey(source, name=name)
    if found.damaged:
        raise UnreadableImage(name, f"{found.damaged} of {found.damaged + found.num_frames} frames cannot be decoded")
    return Facts(height=found.height, width=found.width, num_frames=found.num_frames, seconds=found.seconds)
