"""Any folder of pictures or videos: captions in text files and maps in png files beside them, classes as folders."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nuwa.data.readers.maps import MapFiles, Numbering
from nuwa.data.readers.parts import MAP_ENDINGS, captions_in, described, is_map, kind_of
from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import of_file
from nuwa.data.readers.walk import walk

_NUMBERING = Numbering(num_classes=255)  # a folder says no names; 255 is no class, as everywhere


@reader("folder")
def folder(root: Path, split: str) -> Listing:
    """``a/b.jpg`` with ``a/b.txt`` (a caption a line) or ``a/b.json``, ``a/b.mask.png``; ``a`` is its class.

    Args:
        root: the folder.
        split: a folder below it, or ``"all"`` for the root itself.
    """
    top = root if split == "all" else root / split
    if not top.is_dir():
        raise ValueError(f"folder: expected {top}, found no such folder; name one that is there with --split")
    found = Collecting("folder", top, split)
    tree = walk(top)
    found.skipped += tree.skipped
    used: set[str] = set()
    for relative, path in tree.files.items():
        name = PurePosixPath(relative)
        if is_map(relative) or kind_of(name.suffix[1:]) is None:
            continue
        used.add(relative)
        stem = name.with_suffix("").as_posix()
        try:
            captions, label = _beside(stem, tree.files, used)
        except (ValueError, OSError) as error:
            found.skip(relative, getattr(error, "strerror", None) or str(error))
            continue
        maps = [f"{stem}.{ending}" for ending in MAP_ENDINGS if f"{stem}.{ending}" in tree.files]
        used.update(maps)
        sample = Sample(
            id=stem,
            stored=of_file(path),
            split=split,
            captions=captions,
            label=label or (name.parent.as_posix() if len(name.parts) > 1 else None),
            map=MapFiles((tree.files[maps[0]],), _NUMBERING) if maps else None,
        )
        found.add(sample)
    found.pass_over((name for name in tree.files if name not in used), "no pictures, no videos and beside none")
    return found.listing()


def _beside(stem: str, files: dict[str, Path], used: set[str]) -> tuple[tuple[str, ...], str | None]:
    """Captions and class in the files beside one. ValueError where they cannot be read."""
    captions: tuple[str, ...] = ()
    label = None
    if (text := f"{stem}.txt") in files:
        used.add(text)
        captions = captions_in(files[text].read_bytes())
    if (document := f"{stem}.json") in files:
        used.add(document)
        more, label = described(files[document].read_bytes())
        captions += more
    return captions, label
