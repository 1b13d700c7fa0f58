"""Moments in Time (Monfort et al., 1801.03150): three-second clips, one of 339 verbs each."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import VideoFile
from nuwa.data.readers.tables import read_lines
from nuwa.data.readers.videos import find_videos

_TABLES = {"validation": "validationSet.csv", "training": "trainingSet.csv"}


@reader("moments", splits=("validation", "training"))
def moments(root: Path, split: str) -> Listing:
    """Lines ``<label>/<file>,<label>,<votes for>,<votes against>`` and the videos in ``training/`` and ``validation/``.

    ``moments_categories.txt``, where it is there, says which labels there are; "+" in a label stands for a space.
    """
    found = Collecting("moments", root, split)
    table, folder = root / _TABLES[split], root / split
    known = _categories(root / "moments_categories.txt", found)
    videos = find_videos(folder, found) if folder.is_dir() else {}
    for line, (name, label, *_) in read_lines(table, found, columns=2):
        where = f"{table.name}:{line}"
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            found.skip(where, f"refused: {name!r} is outside {split}/")
        elif known and label not in known:
            found.skip(where, f"unknown label {label!r}")
        elif not label.strip():
            found.skip(where, "empty label")
        else:
            words = label.replace("+", " ").strip()
            path = videos.pop(name, None)
            sample = Sample(
                id=parts.with_suffix("").as_posix(),
                stored=VideoFile(path or folder / name),
                split=split,
                captions=(words,),
                label=words,
            )
            found.add(sample, there=path is not None)
    found.pass_over((f"{split}/{name}" for name in videos), f"not in {table.name}")
    return found.listing()


def _categories(path: Path, found: Collecting) -> set[str]:
    """Lines ``<label>,<number>``."""
    return {label for _, (label, *_) in read_lines(path, found, columns=2)} if path.is_file() else set()
