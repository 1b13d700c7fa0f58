"""VATEX (Wang et al., 1904.03493): ten English captions for each of 41,250 clips of Kinetics-600."""

from __future__ import annotations

from pathlib import Path, PurePath

from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import VideoFile
from nuwa.data.readers.tables import checked_rows, first_that_exists, read_json
from nuwa.data.readers.videos import by_stem, find_videos
from nuwa.tokenizers.text import clean

TABLES = {
    "training": ("vatex_training_v1.0.json",),
    "validation": ("vatex_validation_v1.0.json",),
    "public-test": ("vatex_public_test_english_v1.1.json", "vatex_public_test_english_v1.0.json"),
    "private-test": ("vatex_private_test_without_annotations.json",),
}


@reader("vatex", splits=("validation", "training", "public-test", "private-test"))
def vatex(root: Path, split: str) -> Listing:
    """``vatex_<split>_v1.0.json`` and videos ``<videoID>.mp4``, where the id is ``<YouTube id>_<start>_<end>``."""
    names = (*TABLES[split], *(f"annotations/{name}" for name in TABLES[split]))
    table = first_that_exists(root, names)
    if table is None:
        raise ValueError(f"vatex {split}: expected one of {', '.join(names)} in {root}, found none")
    found = Collecting("vatex", root, split, version=table.stem.rpartition("_v")[2] if "_v" in table.stem else "1")
    stems = by_stem(find_videos(root, found))
    for place, video in checked_rows(table, read_json(table), {"videoID": str}, found):
        name, said = video["videoID"], video.get("enCap", [])
        if PurePath(name).name != name:
            found.skip(f"{table.name}[{place}]", f"refused: {name!r} is a path instead of a name")
            continue
        if not isinstance(said, list) or not all(isinstance(caption, str) and clean(caption) for caption in said):
            found.skip(f"{table.name}[{place}]", "expected 'enCap' to be a list of captions with words")
            continue
        sample = Sample(
            id=name,
            stored=VideoFile(stems.get(name, root / f"{name}.mp4")),
            split=split,
            captions=tuple(caption.strip() for caption in said),
        )
        found.add(sample, there=name in stems)
    return found.listing()
