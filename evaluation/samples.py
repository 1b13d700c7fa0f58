"""Pictures and clips on disk beside a record: the sample sheet's, and all that were generated, one a sample id."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from nuwa import files

FRAME_MS = 250  # of a clip on the sheet


class Named(Protocol):
    """Samples with ids and captions; :class:`evaluation.sessions.Samples` are some."""

    @property
    def pixels(self) -> Tensor:
        """Pictures (m, 3, h, w) or clips (m, t, 3, h, w) uint8."""

    @property
    def ids(self) -> Sequence[str]:
        """m names."""

    @property
    def captions(self) -> Sequence[str]:
        """m texts."""


def save_samples(folder: Path, samples: Named) -> None:
    """Write pictures as ``<id>.png`` and clips as ``<id>/<frame>.png``, in place of what the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    for pixels, name in zip(samples.pixels, samples.ids, strict=True):
        if pixels.dim() == 3:
            _save(folder / f"{name}.png", pixels)
        else:
            for number, frame in enumerate(pixels):
                _save(folder / name / f"{number:04d}.png", frame)


def save_captions(path: Path, captions: Mapping[str, str]) -> None:
    """Write captions by id as a table with the columns ``id`` and ``caption``, as ``score --captions`` reads them."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows([("id", "caption"), *captions.items()])
    files.write_text(path, text.getvalue())


def save_sheet(folder: Path, samples: Named, columns: Mapping[str, Tensor]) -> None:
    """Write ``samples.json`` and the files it names: for each of the samples one picture or clip of every column.

    Columns are of the samples' order, (m or more, 3, h, w) or (m or more, t, 3, h, w) uint8; those of clips become animated
    WebP without loss.
    """
    shutil.rmtree(folder, ignore_errors=True)
    items = []
    for row, (name, caption) in enumerate(zip(samples.ids, samples.captions, strict=True)):
        images = {}
        for number, (column, pixels) in enumerate(columns.items()):
            images[column] = f"{row:04d}_{number}.{'png' if pixels.dim() == 4 else 'webp'}"
            _save(folder / images[column], pixels[row])
        items.append({"id": name, "caption": caption, "images": images})
    files.write_json(folder / "samples.json", {"items": items})


def _save(path: Path, pixels: Tensor) -> None:
    frames = pixels if pixels.dim() == 4 else pixels[None]
    first, *others = (Image.fromarray(frame.permute(1, 2, 0).cpu().numpy()) for frame in frames)
    moving: dict[str, Any] = {
        "append_images": others,
        "duration": FRAME_MS,
        "loop": 0,
        "lossless": True,
        "save_all": True,
    }
    with files.atomic(path) as temporary:
        first.save(temporary, format=path.suffix[1:], **(moving if path.suffix == ".webp" else {}))
