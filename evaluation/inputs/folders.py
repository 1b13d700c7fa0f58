"""Pictures in folders and zip archives: any depth, any size, endings in any case, in the order of their names."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock

import torch

from evaluation.inputs.source import Loaded
from evaluation.inputs.videos import ALL_FRAMES, Cut
from nuwa import files
from nuwa.data.captioned import Skipped, some
from nuwa.data.images import SUFFIXES, UnreadableImage, decode_image, read_image

_MEMBER_BYTES = 1 << 28  # a picture file of more than 256 MiB is a mistake, or an archive made to fill the memory


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """A picture in a file of its own. Pixels are taken as stored, without turning them as EXIF says, as all tools do."""

    id: str
    path: Path
    size: int = 1

    def digest(self) -> str:
        """sha256 of the file."""
        try:
            return files.sha256(self.path)
        except OSError as error:
            raise UnreadableImage(self.path, error.strerror or str(error)) from error

    def load(self) -> Loaded:
        """The picture (3, h, w)."""
        return Loaded.one(self.id, read_image(self.path, orient=False))


class Archive:
    """A zip archive read by several threads; nothing is unpacked to the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{path}: expected a zip archive of pictures, got {error}; pack it again") from error

    @cached_property
    def members(self) -> list[zipfile.ZipInfo]:
        """Its files, without folders."""
        return [member for member in self._zip.infolist() if not member.is_dir()]

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes of a member. UnreadableImage where they are damaged, encrypted or too many."""
        if member.file_size > _MEMBER_BYTES:
            raise UnreadableImage(member.filename, f"{member.file_size:,} bytes, more than {_MEMBER_BYTES:,}")
        try:
            with self._lock:  # one file handle
                return self._zip.read(member)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
            raise UnreadableImage(member.filename, str(error) or type(error).__name__) from error
        except Exception as error:  # zlib.error, and lzma's and bz2's own
            raise UnreadableImage(member.filename, f"damaged: {error}") from error


@dataclass(frozen=True, kw_only=True)
class PictureMember:
    """A picture in a zip archive."""

    id: str
    archive: Archive
    member: zipfile.ZipInfo
    size: int = 1

    def digest(self) -> str:
        """sha256 of the file as it was packed."""
        return hashlib.sha256(self.archive.read(self.member)).hexdigest()

    def load(self) -> Loaded:
        """The picture (3, h, w)."""
        return Loaded.one(self.id, decode_image(self.archive.read(self.member), self.id, orient=False))


@dataclass(frozen=True, kw_only=True)
class FrameFolder:
    """A clip as a folder of frames, in the natural order of their names: frame 2 comes before frame 10."""

    id: str
    frames: tuple[PictureFile, ...]
    cut: Cut = ALL_FRAMES
    size: int = 1

    def digest(self) -> str:
        """sha256 over the digests of the frames and what is taken of them."""
        content = hashlib.sha256("\n".join(frame.digest() for frame in self.frames).encode()).hexdigest()
        return self.cut.digest(content)

    def load(self) -> Loaded:
        """The clip (t, 3, h, w). A frame that cannot be read, or that has another size, makes the clip unreadable."""
        self.cut.check(self.id, len(self.frames))
        frames = [frame.load().samples[0][1] for frame in self.frames[: self.cut.stop : self.cut.step]]
        sizes = sorted({tuple(frame.shape[1:]) for frame in frames})
        if len(sizes) > 1:
            raise UnreadableImage(self.id, f"frames of {len(sizes)} sizes, such as {sizes[0]} and {sizes[-1]}")
        return Loaded.one(self.id, torch.stack(frames))


def tree(root: Path) -> list[tuple[str, Path]]:
    """All files under ``root`` by their relative names, sorted by folder and name; hidden ones are passed over."""
    found = []
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found.append((relative.as_posix(), path))
    return sorted(found, key=lambda pair: pair[0].split("/"))


def is_picture(name: str) -> bool:
    """Whether the name ends like that of a picture."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def passed_over(names: Iterable[str], what: str) -> list[Skipped]:
    """One line about the files that are not read."""
    names = list(names)
    count = f"{len(names)} file{'s' * (len(names) != 1)}"
    return [Skipped("other files", f"{count} passed over, {what}: {some(names, 3)}")] if names else []
