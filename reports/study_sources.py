"""Where the pictures of a blind comparison come from: the sheet of a run, or everything that it generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from evaluation.records import Record
from nuwa.registry import suggest
from reports.runs import Run

GENERATED = "generated"

Frames = Callable[[], list[Image.Image]]
"""Reads a picture or the frames of a clip, RGB."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Whose pictures they are: the record, its digest, and the label that they have in its samples."""

    record: str
    record_sha256: str
    label: str

    @property
    def name(self) -> str:
        """``"t2i: K = 8"``."""
        return f"{self.record}: {self.label}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The pictures of one model by sample id and caption."""

    model: Model
    pictures: Mapping[tuple[str, str], Frames]


def of_sheet(run: Run, label: str | None = None) -> Source:
    """The pictures under ``label`` of a run's samples, by default the first model's.

    ValueError where there are none of that label, or of no model.
    """
    own = [each for each in run.labels if run.role_of(each) == "model"]
    if label is None and not own:
        raise ValueError(f"{run.record.name}: expected samples of a model, got {', '.join(run.labels) or 'none'}")
    if label is not None and label not in run.labels:
        raise ValueError(
            f"{run.record.name}: expected one of {', '.join(run.labels)}, got {label!r}{suggest(label, list(run.labels))}"
        )
    label = label or own[0]
    pictures = {
        (sample.id, sample.caption): picture.frames
        for sample in run.samples
        if (picture := sample.pictures.get(label)) is not None
    }
    return Source(model=_model(run.record, label), pictures=pictures)


def of_generated(folder: Path, record: Record, captions: Mapping[str, str]) -> Source:
    """What a run left under ``generated/``: ``<id>.png``, or a folder of frames, of every id that has a caption.

    ValueError where there is no picture of any of the ids.
    """
    root = (folder / GENERATED).resolve()
    pictures: dict[tuple[str, str], Frames] = {}
    for name, caption in captions.items():
        for place in (root / f"{name}.png", root / name):
            if place.resolve().is_relative_to(root) and place.exists() and place.resolve() != root:
                pictures[name, caption] = partial(_read, place)
                break
    if not pictures:
        raise ValueError(f"{folder}: expected pictures named by the ids of the captions under {GENERATED}/, got none")
    return Source(model=_model(record, GENERATED), pictures=pictures)


def _model(record: Record, label: str) -> Model:
    return Model(record=record.name, record_sha256=record.content_sha256, label=label)


def _read(place: Path) -> list[Image.Image]:
    paths = sorted(place.glob("*.png")) if place.is_dir() else [place]
    if not paths:
        raise ValueError(f"{place}: expected frames as png, got none")
    frames = []
    for path in paths:
        with Image.open(path, formats=["PNG"]) as image:
            frames.append(image.convert("RGB"))
    return frames
