"""Videos on the disk for readers whose tables name them without saying where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from nuwa.data.captioned import Skipped
from nuwa.data.readers.sample import Collecting
from nuwa.data.readers.walk import walk
from nuwa.data.video import is_video


def find_videos(folder: Path, found: Collecting) -> dict[str, Path]:
    """All videos below ``folder`` by their relative names; what cannot be looked into is named."""
    prefix = "" if folder == found.root else folder.relative_to(found.root).as_posix() + "/"
    tree = walk(folder)
    found.skipped += [Skipped(prefix + skip.id, skip.reason) for skip in tree.skipped]
    return {name: path for name, path in tree.files.items() if is_video(name)}


def by_stem(videos: Mapping[str, Path]) -> dict[str, Path]:
    """Videos by their names without folder and ending; of several of one name the first."""
    stems: dict[str, Path] = {}
    for relative, path in videos.items():
        stems.setdefault(PurePosixPath(relative).stem, path)
    return stems
