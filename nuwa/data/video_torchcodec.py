"""The other decoder: torchcodec (the extra ``torchcodec``, and FFmpeg's libraries on the machine).

Its pixels may differ from PyAV's by a level or two, so a rule that asks for it says so in its id. It goes by the times in the
file alone; those of AVI files are times of decoding, so they are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nuwa.data.images import UnreadableImage, square_pixels
from nuwa.data.video import Clip, FrameRule

_ROUNDING_S = 1e-6


def require_torchcodec() -> Any:
    """torchcodec. ValueError where it is not installed or finds no FFmpeg."""
    try:
        import torchcodec.decoders
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"videos: expected torchcodec with FFmpeg's libraries, got: {reason}; pip install 'nuwa[torchcodec]' and install "
            f"FFmpeg, or take decoder='pyav'"
        ) from error
    return torchcodec


def decoder() -> str:
    """Name and version for records, such as ``"torchcodec 0.17.0 FFmpeg 8"``."""
    torchcodec = require_torchcodec()
    return f"torchcodec {torchcodec.__version__} FFmpeg {torchcodec.ffmpeg_major_version}"


def read_clip(source: Path | bytes, rule: FrameRule, *, size_px: int | None, name: str | Path) -> Clip:
    """:func:`nuwa.data.video.read_clip` by torchcodec."""
    name = source if isinstance(source, Path) else name
    torchcodec = require_torchcodec()
    try:
        head = _head(source)
        if not head:
            raise UnreadableImage(name, "the file is empty")
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            raise UnreadableImage(name, "AVI files do not say when a frame is shown; take decoder='pyav'")
        video = torchcodec.decoders.VideoDecoder(
            str(source) if isinstance(source, Path) else source, num_ffmpeg_threads=1, seek_mode="exact"
        )
        begin_s, end_s = video.metadata.begin_stream_seconds, video.metadata.end_stream_seconds
        times_s = [begin_s + time_s + _ROUNDING_S for time_s in rule.times_s]
        wanted = [time_s for time_s in times_s if time_s < end_s]
        held = rule.held(name, len(wanted), end_s - begin_s)
        if held:
            wanted += [end_s - _ROUNDING_S] * held
        frames = video.get_frames_played_at(seconds=wanted).data
    except OSError as error:
        raise UnreadableImage(name, error.strerror or str(error)) from error
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage(name, str(error).strip().splitlines()[0]) from error
    if size_px is None:
        return Clip(frames.contiguous(), held)
    squares = [square_pixels(frame, size_px) for frame in frames.permute(0, 2, 3, 1).numpy()]
    return Clip(torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous(), held)


def _head(source: Path | bytes) -> bytes:
    if not isinstance(source, Path):
        return source[:12]
    with source.open("rb") as handle:
        return handle.read(12)
