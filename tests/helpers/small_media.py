"""Pictures and videos that tests write: every frame says its number by its grey level."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from torch import Tensor

STEP = 8  # grey levels between two frames


def picture(path: Path, size: tuple[int, int] = (24, 16), grey: int = 100) -> Path:
    """A picture of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path, format="JPEG" if path.suffix != ".png" else "PNG")
    return path


def video(
    path: Path,
    frames: int | np.ndarray = 20,
    *,
    fps: int = 10,
    times_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    gop: int = 5,
    size: tuple[int, int] = (32, 32),
    options: dict[str, str] | None = None,
) -> Path:
    """A video of grey frames, or of frames (t, h, w, 3), at ``fps`` or with time stamps of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(frames, int):
        frames = np.stack([np.full((size[1], size[0], 3), STEP * number, np.uint8) for number in range(frames)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        if codec != "libx264" and options:
            stream.options = options
        if codec == "libx264":
            stream.options = {"crf": "1", "preset": "ultrafast"} | (options or {})
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(clip: Tensor) -> list[int]:
    """The numbers that the frames (t, 3, h, w) say."""
    return [round(float(frame.float().mean()) / STEP) for frame in clip]


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix (a, b, c, d) into the track header of an mp4, as phones do."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # version 0: 40 bytes before the matrix
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))
    return path
