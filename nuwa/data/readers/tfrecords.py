"""Clips in TensorFlow's record files, as BAIR ships them: ``tf.train.Example`` with a frame of raw bytes per feature.

Messages are read by the package ``tfrecord``, which neither checks the sums that a record carries nor can go to a record,
so the frame around the messages (length, its sum, message, its sum) is read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crc32c import crc32c
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tfrecord import example_pb2

from nuwa.data.images import UnreadableImage
from nuwa.data.readers.rows import RowClip
from nuwa.data.readers.sample import Collecting, Place, Stored

VIEW = "image_aux1"  # the camera that papers use; image_main is the other one
SHAPE = (64, 64, 3)
_HEAD, _SUM = 12, 4  # bytes before and behind a message


def rows(path: Path, found: Collecting) -> Iterator[tuple[str, Stored]]:
    """Number and clip of every record; what follows a damaged head is lost and named."""
    where, size, offset, index = path.relative_to(found.root).as_posix(), path.stat().st_size, 0, 0
    if size == 0:
        found.skip(where, "the file is empty")
    with path.open("rb") as handle:
        while offset < size:
            handle.seek(offset)
            head = handle.read(_HEAD)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else 0
            if len(head) < _HEAD or _masked(head[:8]) != head[8:]:
                found.skip(f"{where}#{index}", f"damaged from byte {offset} on: the head of record {index}")
                return
            if offset + _HEAD + length + _SUM > size:
                found.skip(f"{where}#{index}", f"the file ends within record {index}")
                return
            yield f"{index:03d}", Record(path, index, offset, length)
            offset, index = offset + _HEAD + length + _SUM, index + 1


@dataclass(frozen=True, slots=True)
class Record(RowClip):
    """One record."""

    path: Path
    index: int
    offset: int
    length: int

    @property
    def places(self) -> tuple[Place, ...]:
        """The file and the number of the record."""
        return (Place(self.path, f"{self.index:03d}"),)

    def content(self) -> Iterator[bytes]:
        """The message."""
        try:
            with self.path.open("rb") as handle:
                handle.seek(self.offset + _HEAD)
                message, check = handle.read(self.length), handle.read(_SUM)
        except OSError as error:
            raise UnreadableImage(self.path, error.strerror or str(error)) from error
        if len(message) < self.length or _masked(message) != check:
            raise UnreadableImage(self.path, f"record {self.index} is damaged: its sum differs")
        yield message

    def frames(self) -> NDArray[np.uint8]:
        """All frames (t, 64, 64, 3)."""
        try:
            features = example_pb2.Example.FromString(next(self.content())).features.feature
        except DecodeError as error:
            raise UnreadableImage(self.path, f"record {self.index} is no tf.train.Example: {error}") from error
        found: list[NDArray[np.uint8]] = []
        while (key := f"{len(found)}/{VIEW}/encoded") in features:
            values = features[key].bytes_list.value
            if len(values) != 1 or len(values[0]) != np.prod(SHAPE):
                raise UnreadableImage(self.path, f"record {self.index}: {key} is no frame of 64 x 64 x 3 bytes")
            found.append(np.frombuffer(values[0], np.uint8).reshape(SHAPE))
        if not found:
            raise UnreadableImage(self.path, f"record {self.index} has no 0/{VIEW}/encoded")
        return np.stack(found)


def _masked(data: bytes) -> bytes:
    """TensorFlow's masked sum of ``data``."""
    total = crc32c(data)
    return struct.pack("<I", (((total >> 15) | (total << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
