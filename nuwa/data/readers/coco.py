"""MS-COCO: one sample a photograph with its captions and its map; :mod:`nuwa.data.coco` has one a caption."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nuwa.data.coco import FIELDS
from nuwa.data.coco_files import find_year, read_segments, read_tables
from nuwa.data.images import UnreadableImage
from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import PictureFile
from nuwa.data.readers.walk import walk
from nuwa.tokenizers.text import clean

if TYPE_CHECKING:
    from nuwa.data.coco_segments import CocoSegments


@dataclass(frozen=True, slots=True)
class _Map:
    segments: CocoSegments
    image_id: int
    paths: tuple[Path, ...] = ()  # all maps are in one json

    def labels(self) -> NDArray[np.int64]:
        try:
            return self.segments.labels(self.image_id)
        except ValueError as error:
            raise UnreadableImage(f"map of picture {self.image_id}", str(error)) from error


@reader("coco", splits=("val", "train"))
def coco(root: Path, split: str) -> Listing:
    """``annotations/captions_<split><year>.json`` and ``<split><year>/``; maps where ``instances_*.json`` is there too."""
    year = find_year(root, split)
    path = root / "annotations" / f"captions_{split}{year}.json"
    tables = read_tables(path, FIELDS)
    found = Collecting("coco", root, split, version=year)
    folder = root / f"{split}{year}"
    tree = walk(folder) if folder.is_dir() else None
    there = set() if tree is None else set(tree.files)
    captions: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in sorted(tables["annotations"], key=lambda entry: int(entry["id"])):
        if clean(entry["caption"]):
            captions[entry["image_id"]].append(entry)
        else:
            found.skip(f"{path.name}: caption {entry['id']}", "empty caption")
    instances = root / "annotations" / f"instances_{split}{year}.json"
    segments = read_segments(instances) if instances.is_file() else None
    found.classes = segments.classes if segments is not None else ()
    named = set()
    for image in sorted(tables["images"], key=lambda image: int(image["id"])):
        name, number = image["file_name"], image["id"]
        named.add(name)
        if Path(name).name != name:
            found.skip(f"{path.name}: picture {number}", f"refused: {name!r} is outside {folder.name}/")
            continue
        sample = Sample(
            id=str(number),
            stored=PictureFile(folder / name, (image["height"], image["width"])),
            split=split,
            captions=tuple(entry["caption"].strip() for entry in captions[number]),
            caption_ids=tuple(str(entry["id"]) for entry in captions[number]),
            map=_Map(segments, number) if segments is not None and segments.has(number) else None,
        )
        found.add(sample, there=name in there)
    for number in sorted(captions.keys() - {image["id"] for image in tables["images"]}):
        found.skip(f"{path.name}: picture {number}", "captions of a picture that is not listed")
    found.pass_over(sorted(there - named), f"not in {path.name}")
    found.skipped += tree.skipped if tree is not None else []
    return found.listing()
