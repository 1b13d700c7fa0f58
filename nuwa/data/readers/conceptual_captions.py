"""Conceptual Captions 3M (Sharma et al., ACL 2018): Google's tsv of captions and addresses, and pictures users fetched.

Google publishes no pictures. They are looked for where the usual tools put them: ``<line>_<crc32 of the address>``, with or
without an ending, or ``<line>.<ending>``, lines counted from 0, below ``training/`` or ``validation/``; or tar archives of
img2dataset, which hold the captions too.
"""

from __future__ import annotations

import zlib
from pathlib import Path, PurePosixPath

from nuwa.data.images import SUFFIXES
from nuwa.data.readers.sample import Collecting, Listing, Sample, reader
from nuwa.data.readers.stored import PictureFile
from nuwa.data.readers.tables import first_that_exists, read_lines
from nuwa.data.readers.walk import walk
from nuwa.data.readers.webdataset import add_archives
from nuwa.tokenizers.text import clean

_TABLES = {
    "validation": ("Validation_GCC-1.1.0-Validation.tsv", "validation.tsv"),
    "training": ("Train_GCC-training.tsv", "Train-GCC-training.tsv", "training.tsv"),
}


@reader("conceptual-captions", splits=("validation", "training"))
def conceptual_captions(root: Path, split: str) -> Listing:
    """Lines ``<caption>\\t<address>`` with pictures in ``<split>/``; or tar archives in ``<split>/``."""
    found = Collecting("conceptual-captions", root, split)
    folder = root / split
    tree = walk(folder) if folder.is_dir() else None
    files = {} if tree is None else tree.files
    found.skipped += [] if tree is None else tree.skipped
    archives = [(f"{split}/{name}", path) for name, path in files.items() if name.lower().endswith(".tar")]
    if archives:
        add_archives(archives, found)
        return found.listing()
    table = first_that_exists(root, _TABLES[split])
    if table is None:
        names = " or ".join(_TABLES[split])
        raise ValueError(
            f"conceptual-captions {split}: expected {root / names}, or tar archives in {folder}; found none"
        )
    pictures = {_stem(name): path for name, path in files.items()}
    for line, (caption, address, *_) in read_lines(table, found, columns=2, delimiter="\t"):
        row = line - 1
        stems = (f"{row}_{zlib.crc32(address.encode())}", str(row), f"{row:08d}", f"{row:09d}")
        path = next((pictures.pop(name) for name in stems if name in pictures), None)
        if not clean(caption):
            found.skip(f"{table.name}:{line}", "empty caption")
            continue
        stored = PictureFile(path or folder / f"{stems[0]}.jpg")
        found.add(Sample(id=str(row), stored=stored, split=split, captions=(caption.strip(),)), there=path is not None)
    found.pass_over((path.relative_to(root).as_posix() for path in pictures.values()), f"of no line of {table.name}")
    return found.listing()


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
