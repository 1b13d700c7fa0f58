"""VSPW (Miao et al., CVPR 2021): videos as frames with a segmentation map each, 124 classes, 15 frames a second."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from nuwa.data.readers.maps import MapFiles, Numbering
from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import FrameFiles
from nuwa.data.readers.tables import is_text, read_json
from nuwa.data.readers.walk import walk

FPS = 15.0
NUM_CLASSES = 124
NUMBERING = Numbering(NUM_CLASSES, shift=1, ignored=frozenset({0, 255}))  # 1 to 124; 0 is "others", 255 is void


@reader("vspw", splits=("val", "train", "test"))
def vspw(root: Path, split: str) -> Listing:
    """``<split>.txt`` names the videos, ``data/<video>/origin/*.jpg`` are frames and ``mask/*.png`` their maps.

    A video with a frame without a map, or a map without a frame, is broken; videos of test have no maps at all.
    """
    table = root / f"{split}.txt"
    if not table.is_file():
        raise ValueError(f"vspw {split}: expected {table}, found no such file; root is the folder VSPW or VSPW_480p")
    found = Collecting("vspw", root, split, version="480p" if "480p" in root.name else "1")
    found.classes = _classes(root / "label_num_dic_final.json")
    lines = table.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    for number, name in enumerate(map(str.strip, lines), start=1):
        if not name:
            continue
        if not is_text(name) or PurePath(name).name != name or name == "..":
            found.skip(f"{table.name}:{number}", f"refused: {name!r} is no name of a video")
        else:
            _add(name, split, found)
    return found.listing()


def _add(name: str, split: str, found: Collecting) -> None:
    folder = found.root / "data" / name
    tree = walk(folder) if folder.is_dir() else None
    if tree is None:
        found.add(Sample(id=name, stored=FrameFiles((folder / "origin",), FPS), split=split), there=False)
        return
    frames = {PurePosixPath(file).stem: path for file, path in tree.files.items() if file.startswith("origin/")}
    maps = {PurePosixPath(file).stem: path for file, path in tree.files.items() if file.startswith("mask/")}
    unpaired = sorted(frames.keys() ^ maps.keys()) if maps else []
    if tree.skipped:
        found.skip(f"data/{name}/{tree.skipped[0].id}", tree.skipped[0].reason)
    elif not frames:
        found.skip(f"data/{name}", "no frames in origin/")
    elif unpaired:
        lacks = "map" if unpaired[0] in frames else "frame"
        found.skip(
            f"data/{name}", f"{len(unpaired)} frames without their counterpart, the first {unpaired[0]} has no {lacks}"
        )
    else:
        labels = MapFiles(tuple(maps[stem] for stem in frames), NUMBERING, frames=True) if maps else None
        found.add(Sample(id=name, stored=FrameFiles(tuple(frames.values()), FPS), split=split, map=labels))


def _classes(path: Path) -> tuple[str, ...]:
    """Names by class. ValueError where the file is not VSPW's."""
    if not path.is_file():
        return tuple(f"class {number}" for number in range(1, NUM_CLASSES + 1))
    document: Any = read_json(path)
    try:
        names = {int(number): str(name) for name, number in document.items()}
        return tuple(names[number] for number in range(1, NUM_CLASSES + 1))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected names with the numbers 1 to {NUM_CLASSES}, found others ({error!r}); get it again"
        ) from error
