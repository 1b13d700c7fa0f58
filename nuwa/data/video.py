"""Video files to frames, by PyAV (the extra ``video``), or by torchcodec where a rule says so.

This is the only place of the suite that decodes video.

Frames come in the order in which they are shown, turned and mirrored as the file says (phones film sideways), with pixels
as stored: a sample aspect ratio other than 1 is not applied. Time 0 is the first frame that is shown. Pixels depend on the
decoder's version, so :func:`decoder` belongs into every record.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nuwa.data.images import UnreadableImage, square_pixels

Decoder = Literal["pyav", "torchcodec"]

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})
"""Endings of the video files that are looked for, lower case."""

_MAX_BYTES = 1 << 30  # of all frames of one file, where all are kept
_NO_TIMES = ("avi",)  # formats that say when a frame is decoded and not when it is shown: frames count at their rate
_NO_SEEKING = ("avi", "mpeg")  # formats whose times are others after a seek: read from the start
_ROUNDING_S = 5e-4  # Matroska rounds times to milliseconds
_BACK_S = (
    0.0,
    2.0,
    10.0,
)  # how far before the wanted time a seek aims, one after the other; then the start of the file


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


def decoder(name: Decoder = "pyav") -> str:
    """What turns files into pixels here, such as ``"pyav 18.1.0 libavcodec 62.28.102 libswscale 9.5.102"``."""
    if name == "torchcodec":
        return video_torchcodec().decoder()
    av = require_pyav()
    libraries = (f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libswscale"))
    return f"pyav {av.__version__} {' '.join(libraries)}"


def video_torchcodec() -> Any:
    """The other decoder's file, which needs this one."""
    from nuwa.data import video_torchcodec

    return video_torchcodec


@dataclass(frozen=True, kw_only=True)
class FrameRule:
    """Which frames make a clip: those on the screen at ``start_s``, ``start_s + 1/fps``, …, by their own time stamps.

    Raises:
        ValueError: a number is out of range.
    """

    num_frames: int = 10
    fps: float = 2.5
    start_s: float = 0.0
    short: Literal["refuse", "hold"] = "refuse"
    """What becomes of a video that ends before the last of these times: no clip, or its last frame stands still."""
    decoder: Decoder = "pyav"
    """Which library decodes video files."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or not 0 < self.fps < math.inf or not 0 <= self.start_s < math.inf:
            got = f"{self.num_frames} frames at {self.fps} fps from {self.start_s} s"
            raise ValueError(f"frames: expected at least one frame, fps > 0 and start_s >= 0, got {got}")
        if self.short not in ("refuse", "hold"):
            raise ValueError(f"short: expected 'refuse' or 'hold', got {self.short!r}")
        if self.decoder not in ("pyav", "torchcodec"):
            raise ValueError(f"decoder: expected 'pyav' or 'torchcodec', got {self.decoder!r}")

    @property
    def id(self) -> str:
        """The rule in a few characters, for records and digests."""
        other = "" if self.decoder == "pyav" else f"-{self.decoder}"
        return f"{self.num_frames}@{self.fps:g}fps+{self.start_s:g}s-{self.short}{other}"

    @property
    def times_s(self) -> list[float]:
        """The times in seconds, one a frame."""
        return [self.start_s + index / self.fps for index in range(self.num_frames)]

    def held(self, name: str | Path, num_shown: int, seconds: float) -> int:
        """For how many frames the last of ``num_shown`` has to stand still. UnreadableImage where it may not, or is none."""
        lacking = self.num_frames - num_shown
        if lacking and (self.short == "refuse" or not num_shown):
            needed = f"{self.num_frames} frames at {self.fps:g} fps from {self.start_s:g} s"
            raise UnreadableImage(name, f"it lasts {seconds:.2f} s, too short for {needed}")
        return lacking


@dataclass(frozen=True)
class Clip:
    """Frames taken from a video."""

    frames: Tensor
    """(t, 3, h, w) uint8 RGB."""
    held: int = 0
    """How many of them, at the end, repeat the last frame because the video had ended."""


@dataclass(frozen=True)
class Survey:
    """What decoding a whole video finds."""

    num_frames: int
    damaged: int
    """Packets or frames that cannot be decoded."""
    seconds: float
    height: int
    width: int


def read_clip(source: Path | bytes, rule: FrameRule, *, size_px: int | None = None, name: str | Path = "") -> Clip:
    """The frames that ``rule`` chooses, decoding no further than the last of them.

    Args:
        source: a file, or its bytes.
        rule: which frames.
        size_px: side to which frames are cut and resized by ``images.RESIZE_RULE``; as stored where None.
        name: what errors call a video given as bytes.

    Raises:
        UnreadableImage: no video, damaged up to the last wanted frame, too short for the rule, or turned by an angle that
            is no multiple of 90 degrees.
    """
    if rule.decoder == "torchcodec":
        clip: Clip = video_torchcodec().read_clip(source, rule, size_px=size_px, name=name)
        return clip
    with _Reading(source, name) as reading:
        taken: list[NDArray[np.uint8]] = []
        waiting, previous, end = rule.times_s, None, 0.0
        for frame in reading.from_time(rule.start_s):
            if frame is None:
                raise UnreadableImage(reading.name, "some of its frames cannot be decoded")
            while previous is not None and len(taken) < rule.num_frames:
                if frame.seconds <= waiting[len(taken)] + reading.slack_s:
                    break  # this frame, or a later one, is on the screen by then
                taken.append(previous.pixels(size_px))
            if len(taken) == rule.num_frames:
                break
            previous, end = frame, frame.seconds + frame.duration_s
        else:
            while previous is not None and len(taken) < rule.num_frames and waiting[len(taken)] < end:
                taken.append(previous.pixels(size_px))
        if previous is None:
            raise UnreadableImage(reading.name, "none of its frames can be decoded")
        held = rule.held(reading.name, len(taken), end)
        taken += [previous.pixels(size_px)] * held if held else []
        if len({pixels.shape for pixels in taken}) > 1:
            raise UnreadableImage(reading.name, "its frames change their size")
        return Clip(torch.from_numpy(np.stack(taken)).permute(0, 3, 1, 2).contiguous(), held)


def read_frames(source: Path | bytes, stop: int | None = None, *, name: str | Path = "") -> tuple[list[Tensor], int]:
    """The first ``stop`` frames (3, h, w) uint8 RGB, all where None, and how many packets or frames were damaged.

    Raises:
        UnreadableImage: no video, none of its frames can be decoded, or they take more than a GiB.
    """
    frames: list[Tensor] = []
    damaged = num_bytes = 0
    with _Reading(source, name) as reading:
        for frame in reading.frames():
            if stop is not None and len(frames) >= stop:
                break
            if frame is None:
                damaged += 1
                continue
            frames.append(torch.from_numpy(frame.pixels(None)).permute(2, 0, 1).contiguous())
            num_bytes += frames[-1].numel()
            if num_bytes > _MAX_BYTES:
                limit = f"{_MAX_BYTES >> 30} GiB"
                raise UnreadableImage(reading.name, f"its frames take more than {limit}; cut it into clips")
        if not frames:
            raise UnreadableImage(reading.name, "none of its frames can be decoded")
    return frames, damaged


def survey(source: Path | bytes, *, name: str | Path = "") -> Survey:
    """Decode everything and keep nothing. UnreadableImage for no video, or one without a frame that can be decoded."""
    count = damaged = height = width = 0
    seconds = 0.0
    with _Reading(source, name) as reading:
        for frame in reading.frames():
            if frame is None:
                damaged += 1
                continue
            count, seconds = count + 1, max(seconds, frame.seconds + frame.duration_s)
            height, width = frame.raw.height, frame.raw.width
        if not count:
            raise UnreadableImage(reading.name, "none of its frames can be decoded")
    return Survey(count, damaged, seconds, height, width)


@dataclass(frozen=True)
class _Frame:
    """A decoded frame, not yet RGB, and when it is shown."""

    raw: Any
    seconds: float
    duration_s: float
    reading: _Reading

    def pixels(self, size_px: int | None) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB, upright."""
        quarter_turns, mirrored = self.reading.orientation(self.raw)
        pixels = self.raw.to_ndarray(format="rgb24")
        if mirrored:
            pixels = pixels[:, ::-1]
        pixels = np.ascontiguousarray(np.rot90(pixels, quarter_turns))
        return pixels if size_px is None else square_pixels(pixels, size_px)


class _Reading:
    """An open video; what its libraries raise becomes :class:`~nuwa.data.images.UnreadableImage`."""

    def __init__(self, source: Path | bytes, name: str | Path) -> None:
        self.name: str | Path = source if isinstance(source, Path) else name
        self._av, self._source = require_pyav(), source

    def __enter__(self) -> _Reading:
        self._open()
        self.tick_s = float(self._stream.time_base or Fraction(1, 1000))
        self.slack_s = min(self.tick_s / 2, _ROUNDING_S)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self._period_s = float(1 / rate) if rate else 0.0
        self._format = self._container.format.name
        self._origin_s: float | None = None
        self._orientation: tuple[int, bool] | None = None
        return self

    def _open(self) -> None:
        try:
            if (isinstance(self._source, Path) and self._source.stat().st_size == 0) or self._source == b"":
                raise UnreadableImage(self.name, "the file is empty")
            handle = str(self._source) if isinstance(self._source, Path) else io.BytesIO(self._source)
            self._container = self._av.open(handle)
        except BaseException as error:
            self._translate(error)
            raise
        try:
            if not self._container.streams.video:
                raise UnreadableImage(self.name, "it has no video stream")
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "NONE"  # files are decoded side by side
            size, limit = (self._stream.width or 0) * (self._stream.height or 0), Image.MAX_IMAGE_PIXELS
            if limit is not None and size > limit:
                raise UnreadableImage(self.name, f"{size} pixels a frame, more than Pillow's limit of {limit}")
        except BaseException as error:
            self._container.close()
            self._translate(error)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._container.close()
        if error is not None:
            self._translate(error)

    def frames(self) -> Iterator[_Frame | None]:
        """Frames from where the file stands, in the order shown, None for what cannot be decoded."""
        last_s: float | None = None
        for raw in self._raw():
            if raw is None or raw.is_corrupt:
                yield None
                continue
            if raw.pts is None or self._format in _NO_TIMES:
                clock_s = 0.0 if last_s is None else last_s + self._period_s
            else:
                clock_s = float(raw.pts * (raw.time_base or self._stream.time_base))
            if self._origin_s is None:
                self._origin_s = clock_s
            lasts_s = float(raw.duration * raw.time_base) if raw.duration and raw.time_base else self._period_s
            last_s = clock_s
            yield _Frame(raw, clock_s - self._origin_s, lasts_s, self)

    def from_time(self, start_s: float) -> Iterator[_Frame | None]:
        """Frames from the one on the screen at ``start_s``, or from some before it."""
        if start_s == 0 or self._format in _NO_SEEKING:
            yield from self.frames()
            return
        if next((frame for frame in self.frames() if frame is not None), None) is None:
            return  # the first frame tells where time begins
        for back_s in _BACK_S:
            if start_s <= back_s or not self._seek(start_s - back_s):
                break
            found = self.frames()
            first = next(_from_key(found), None)
            if first is not None and first.seconds <= start_s + self.slack_s:
                yield first
                yield from found
                return
        self._container.close()
        self._open()
        yield from self.frames()

    def orientation(self, raw: Any) -> tuple[int, bool]:
        """How all frames of the file are turned, from the first of them that is asked for.

        PyAV keeps a frame, whose side data was looked at, in a cycle of references until the next collection.
        """
        if self._orientation is None:
            self._orientation = _orientation(raw, self.name)
        return self._orientation

    def _seek(self, seconds: float) -> bool:
        """Go to the key frame before ``seconds``, as far as the container knows. False where it refuses."""
        assert self._origin_s is not None
        tick = math.floor((self._origin_s + seconds) / self.tick_s)
        try:
            self._container.seek(tick, stream=self._stream, backward=True)
        except (self._av.error.FFmpegError, OSError):
            return False
        return True

    def _raw(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                found = next(packets).decode()
            except (StopIteration, self._av.error.EOFError):
                return
            except self._av.error.InvalidDataError:
                yield None
                continue
            yield from found

    def _translate(self, error: BaseException) -> None:
        """Raise what a damaged or vanished file causes as UnreadableImage, and nothing else."""
        if isinstance(error, UnreadableImage) or not isinstance(
            error, self._av.error.FFmpegError | OSError | ValueError
        ):
            return
        raise UnreadableImage(self.name, getattr(error, "strerror", None) or str(error)) from error


def _from_key(frames: Iterator[_Frame | None]) -> Iterator[_Frame]:
    """From the first key frame: what is shown before it refers to frames that were not read."""
    return (frame for frame in frames if frame is not None and frame.raw.key_frame)


def _orientation(raw: Any, name: str | Path) -> tuple[int, bool]:
    """Quarter turns against the clock, after mirroring left and right, that make a frame upright."""
    matrix = raw.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float) / 65536  # 16.16 fixed point, by rows
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    angle = math.degrees(math.atan2(-b, a))  # positive y points down
    if abs(angle - 90 * round(angle / 90)) > 1:
        raise UnreadableImage(name, f"it is turned by {angle:.0f} degrees, which is no multiple of 90")
    return round(angle / 90) % 4, bool(mirrored)
