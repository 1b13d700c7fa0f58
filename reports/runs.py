"""A run's folder read from disk: its record, its samples, its training logs.

The record must be there and whole. Samples and logs are optional; what is missing or damaged in them becomes a sentence
in ``Run.notes``, which the report prints, so nothing is lost in silence.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import PIL
from PIL import Image

from evaluation.records import Record, read_record
from evaluation.samples import FRAME_MS

_MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_MAX_PX = 16_000_000  # one sample, all its frames; a larger file is a mistake or an attack
_MAX_FRAMES = 256


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One sample picture or clip, checked to decode: the bytes of its file, their MIME type and its size."""

    data: bytes
    mime: str
    width_px: int
    height_px: int
    num_frames: int = 1

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"

    def image(self) -> Image.Image:
        """The picture (its first frame) decoded, RGB."""
        return Image.open(io.BytesIO(self.data)).convert("RGB")

    def frames(self) -> list[Image.Image]:
        """All frames of a clip decoded, RGB; a picture is one.

        Files keep equal frames in a row as one that lasts longer; here it comes as often as it was.
        """
        found: list[Image.Image] = []
        with Image.open(io.BytesIO(self.data)) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()  # the duration of a frame is known once it is decoded
                times = max(1, round(image.info.get("duration", 0) / FRAME_MS))
                found += [image.convert("RGB")] * times
        return found


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A caption and its pictures by label ("real", "reconstruction", "K = 8"); ``None`` for an unreadable picture."""

    id: str
    caption: str
    pictures: Mapping[str, Picture | None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a report needs of one run.

    ``logs`` maps a training stage to its log: one row a step in ascending order, columns ``step`` and the named
    numbers, NaN where a step has none. ``notes`` are sentences about what is missing.
    """

    record: Record
    samples: tuple[Sample, ...]
    logs: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...]

    @property
    def named(self) -> dict[str, Record]:
        """The record by its name, as tables take it."""
        return {self.record.name: self.record}

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the sample pictures in order of first appearance."""
        return tuple(dict.fromkeys(label for sample in self.samples for label in sample.pictures))

    def role_of(self, label: str) -> str:
        """Whose pictures are labelled so: that of the record's row whose name has the label in it, else "input".

        Rows are named by their label alone ("reconstruction"), or by the model and its way ("NÜWA tiny, sketch alone").
        """
        named = [row for row in self.record.rows if label in row.name]
        exact = [row for row in named if row.name == label]
        if not named:
            return "real" if label == "real" else "input"
        return (exact or named)[0].role


def read_run(folder: str | Path) -> Run:
    """Read ``folder/record.json``, ``folder/samples/samples.json`` and ``folder/training/<stage>/log.jsonl``.

    ValueError where the record is missing or not as written.
    """
    folder = Path(folder)
    if not (folder / "record.json").is_file():
        raise ValueError(f"{folder}: expected a run's folder with record.json, got none; run its session first")
    record = read_record(folder / "record.json")
    notes: list[str] = []
    samples = tuple(_samples(folder / "samples", notes))
    logs = dict(_logs(folder / "training", notes))
    return Run(record=record, samples=samples, logs=logs, notes=tuple(notes))


def _samples(folder: Path, notes: list[str]) -> Iterator[Sample]:
    path = folder / "samples.json"
    if not path.is_file():
        notes.append("No samples: the run has no samples/samples.json.")
        return
    try:
        items = json.loads(path.read_text(encoding="utf-8"))["items"]
        entries = [_entry(item) for item in items]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        notes.append(f"No samples: samples/samples.json is not as expected ({type(error).__name__}: {error}).")
        return
    if not entries:
        notes.append("No samples: samples/samples.json lists none.")
    for name, caption, files in entries:
        yield Sample(
            id=name,
            caption=caption,
            pictures={label: _picture(folder, file, notes) for label, file in files.items()},
        )


def _entry(item: Any) -> tuple[str, str, dict[str, str]]:
    """``id``, ``caption`` and ``images`` of one item; further keys are for other readers."""
    name, caption, images = item["id"], item["caption"], item["images"]
    if not (isinstance(name, str | int) and isinstance(caption, str) and isinstance(images, dict)):
        raise ValueError('expected items like {"id": "...", "caption": "...", "images": {"real": "0000_real.png"}}')
    if not all(isinstance(file, str) for file in images.values()):
        raise ValueError(f"item {name!r}: expected file names under images")
    return str(name), caption, images


def _picture(folder: Path, file: str, notes: list[str]) -> Picture | None:
    """The picture named ``file``; a name that leaves the folder is not opened."""
    path = folder / file
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError("the name leads out of the samples folder")
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=list(_MIME)) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > _MAX_FRAMES:
                raise ValueError(f"{frames:,} frames are more than {_MAX_FRAMES}")
            if frames * image.width * image.height > _MAX_PX:
                times = f"{frames} × " if frames > 1 else ""
                raise ValueError(f"{times}{image.width}×{image.height} px is more than {_MAX_PX:,} px")
            image.load()
            mime = _MIME[str(image.format)]
            return Picture(data=data, mime=mime, width_px=image.width, height_px=image.height, num_frames=frames)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else str(error).replace(str(path), file)
        )
        notes.append(f"Picture samples/{file} is left out: {reason}.")
        return None


def _logs(folder: Path, notes: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    paths = sorted(folder.glob("*/log.jsonl"))
    if not paths:
        notes.append("No training curves: the run has no training/<stage>/log.jsonl; the checkpoint was made before.")
    for path in paths:
        log = _log(path, notes)
        if len(log):
            yield path.parent.name, log


def _log(path: Path, notes: list[str]) -> pd.DataFrame:
    where = f"training/{path.parent.name}/log.jsonl"
    lines, bad = [], []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
            numbers = {name: float(value) for name, value in entry.items() if _is_number(value)}
            if not math.isfinite(numbers["step"]):
                raise ValueError("a step is a finite number")
        except (ValueError, KeyError, AttributeError, OverflowError, RecursionError):
            bad.append(number)
            continue
        lines.append(numbers)
    if bad:
        places = ", ".join(map(str, bad[:5])) + (", …" if len(bad) > 5 else "")
        notes.append(f"{where}: {len(bad)} line(s) left out that are no log entries (line {places}).")
    if not lines:
        notes.append(f"{where}: no entries.")
        return pd.DataFrame({"step": []})
    # a resumed run writes some steps again: the later line is the one that counts
    log = pd.DataFrame(lines).drop_duplicates("step", keep="last").sort_values("step", ignore_index=True)
    for name in log.columns:
        lost = sum(1 for line in lines if name in line and not math.isfinite(line[name]))
        if lost:
            notes.append(f"{where}: {name} is not a finite number at {lost} step(s).")
    return log


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
