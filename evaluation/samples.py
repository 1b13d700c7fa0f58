"""Pictures on disk beside a record: the sample sheet's, and all that were generated, one file per caption id."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from nuwa import files


def save_pictures(folder: Path, pictures: Tensor, ids: Sequence[str]) -> None:
    """Write pictures (b, 3, h, w) uint8 as ``<id>.png``, in place of what the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    for picture, name in zip(pictures, ids, strict=True):
        _save(folder / f"{name}.png", picture)


def save_sheet(folder: Path, ids: Sequence[str], captions: Sequence[str], columns: Mapping[str, Tensor]) -> None:
    """Write ``samples.json`` and the pictures it names: for each caption one picture (3, h, w) of every column."""
    shutil.rmtree(folder, ignore_errors=True)
    items = []
    for row, (name, caption) in enumerate(zip(ids, captions, strict=True)):
        images = {}
        for number, (column, pictures) in enumerate(columns.items()):
            images[column] = f"{row:04d}_{number}.png"
            _save(folder / images[column], pictures[row])
        items.append({"id": name, "caption": caption, "images": images})
    files.write_json(folder / "samples.json", {"items": items})


def _save(path: Path, picture: Tensor) -> None:
    with files.atomic(path) as temporary:
        Image.fromarray(picture.permute(1, 2, 0).cpu().numpy()).save(temporary, format="png")
