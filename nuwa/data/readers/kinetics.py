"""Kinetics-400, -600, -700 (Kay et al., 1705.06950): videos in a folder a class, the publisher's csv where it is there."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import VideoFile
from nuwa.data.readers.tables import first_that_exists, read_lines
from nuwa.data.readers.videos import by_stem, find_videos
from nuwa.data.video import SUFFIXES

_COLUMNS = ("youtube_id", "time_start", "time_end")


SPLITS = ("val", "train", "test")


@reader("kinetics", splits=SPLITS)
def kinetics(root: Path, split: str) -> Listing:
    """Clips ``<youtube id>_<start>_<end>.<ending>`` in ``<split>/<label>/``, ``<split>/``, or ``<label>/`` right in the root.

    The caption is the label, as in the paper's text-to-video table.
    """
    found = Collecting("kinetics", root, split)
    folder = _folder(root, split)
    videos = find_videos(folder, found)
    names = (f"{split}.csv", f"annotations/{split}.csv", f"kinetics_{split}.csv", f"kinetics_{split}/{split}.csv")
    table = first_that_exists(root, names)
    if table is None:
        for relative, path in videos.items():
            parts = PurePosixPath(relative)
            if len(parts.parts) < 2:
                found.skip(relative, "no class: it lies in no class folder, and there is no csv")
                continue
            found.add(_sample(parts.stem, path, split, parts.parent.name))
        return found.listing()
    stems: dict[str, Path | None] = dict(by_stem(videos))
    for line, name, label in _rows(table, found):
        key = name if name in stems else name[:11]  # some tools name files by YouTube's id alone
        here = stems.pop(key, None)
        if label is None and here is not None and here.parent != folder:
            label = here.parent.name  # the publisher's csv of test has no labels
        absent = folder / (label or "") / f"{name}.mp4"
        if label == "":
            found.skip(f"{table.name}:{line}", "empty label")
        else:
            found.add(_sample(name, here or absent, split, label), there=here is not None)
    found.pass_over((left.relative_to(root).as_posix() for left in stems.values() if left), f"not in {table.name}")
    return found.listing()


def _folder(root: Path, split: str) -> Path:
    """The folder of the split; the root itself where no split has one. ValueError where only other splits have."""
    others = [name for name in SPLITS if (root / name).is_dir()]
    if others and split not in others:
        raise ValueError(f"kinetics {split}: expected a folder {root / split}, found those of {', '.join(others)}")
    return root / split if others else root


def _sample(name: str, path: Path, split: str, label: str | None) -> Sample:
    words = None if label is None else label.replace("_", " ").strip()  # some copies have no spaces in folder names
    return Sample(id=name, stored=VideoFile(path), split=split, captions=(words,) if words else (), label=words)


def _rows(table: Path, found: Collecting) -> list[tuple[int, str, str | None]]:
    """Line, file name without ending, and label. ValueError where the first line does not name the columns."""
    lines = read_lines(table, found, columns=len(_COLUMNS))
    header = next(lines, (0, []))[1]
    lacking = [column for column in _COLUMNS if column not in header]
    if lacking:
        raise ValueError(
            f"{table}: expected columns {', '.join(_COLUMNS)} in the first line, got {', '.join(header) or 'nothing'}; "
            f"get it again from the dataset's publisher"
        )
    rows = []
    for line, cells in lines:
        row = dict(zip(header, cells, strict=False))
        try:
            start, end = (int(float(row[column])) for column in _COLUMNS[1:])
        except (KeyError, ValueError, OverflowError):
            found.skip(f"{table.name}:{line}", "expected numbers of seconds in time_start and time_end")
            continue
        name = row["youtube_id"]
        if not name or "/" in name or PurePosixPath(name).suffix.lower() in SUFFIXES:
            found.skip(f"{table.name}:{line}", f"no YouTube id: {name!r}")
            continue
        rows.append((line, f"{name}_{start:06d}_{end:06d}", row.get("label")))
    return rows
