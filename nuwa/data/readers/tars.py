"""Members of tar archives by webdataset's rule: ``a/0001.jpg`` and ``a/0001.txt`` are parts of the sample ``a/0001``.

The library webdataset streams archives from front to back and takes every name as it is. Evaluation needs samples by
position and archives from strangers, so archives are listed once here, by the standard library, and members that no honest
archive has are refused. Tests compare the samples with webdataset's.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nuwa.data.readers.sample import Collecting


@dataclass(frozen=True, slots=True)
class Part:
    """A file in an archive."""

    name: str
    offset: int
    num_bytes: int


def samples(archive: Path, into: Collecting) -> Iterator[tuple[str, dict[str, Part]]]:
    """Key and parts, by lower-case ending (``"seg.png"``), of each sample, in the order of the archive.

    Refused members and an archive that is compressed, damaged or ends too early are named; what comes before is used.
    """
    where = archive.relative_to(into.root).as_posix()
    parts: dict[str, Part] = {}
    key: str | None = None
    for member in _members(archive, where, into):
        base, ending = split_name(member.name)
        if base != key:
            if key is not None:
                yield key, parts
            key, parts = base, {}
        if ending in parts:
            into.skip(f"{where}#{member.name}", f"the sample {base!r} has a second .{ending}")
        else:
            parts[ending] = member
    if key is not None:
        yield key, parts


def split_name(name: str) -> tuple[str, str]:
    """Key and ending: the ending begins at the first dot of the file's own name.

    >>> split_name("a.b/0001.seg.PNG")
    ('a.b/0001', 'seg.png')
    """
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}/{stem}" if folder else stem, ending.lower()


def _members(archive: Path, where: str, into: Collecting) -> Iterator[Part]:
    try:
        size = archive.stat().st_size
        if size == 0:
            into.skip(where, "the file is empty")
            return
        with tarfile.open(archive, "r:") as tar:  # a compressed one cannot be read from the middle
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else the list grows with the archive
                reason = _refusal(member)
                if member.isdir() and reason is None:
                    continue
                if reason is None and member.offset_data + member.size > size:
                    into.skip(f"{where}#{member.name}", "the archive ends within it")
                    return
                if reason is not None:
                    into.skip(f"{where}#{member.name}", reason)
                elif not PurePosixPath(member.name).name.startswith("."):
                    yield Part(member.name, member.offset_data, member.size)
            if (fault := _end_fault(archive, tar.offset)) is not None:
                into.skip(where, fault)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        into.skip(where, f"no whole uncompressed tar archive: {error}")


def _end_fault(archive: Path, offset: int) -> str | None:
    """What is wrong at the place where tarfile stops, which it does without a word at a damaged header too."""
    with archive.open("rb") as handle:
        handle.seek(offset)
        block = handle.read(tarfile.BLOCKSIZE)
    if not block:
        return "the archive ends without its end mark; it may have been cut"
    return "damaged from here on: no header where one has to be" if block.strip(b"\0") else None


def _refusal(member: tarfile.TarInfo) -> str | None:
    """Why a member is not taken, None where it is."""
    if member.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", member.name):
        return "refused: an absolute path"
    if ".." in re.split(r"[/\\]", member.name):
        return "refused: a path that leaves the archive"
    if not (member.isfile() or member.isdir()):
        return "refused: a link or a device"
    if member.issparse():
        return "refused: a sparse file"
    return None
