"""What lies beside a picture or video: captions, a class, a map. Shared by folders and tar archives."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from nuwa.data.images import SUFFIXES as PICTURES
from nuwa.data.readers.sample import Kind
from nuwa.data.video import SUFFIXES as VIDEOS
from nuwa.tokenizers.text import clean

MAP_ENDINGS = ("mask.png", "seg.png")
CAPTION_ENDINGS = ("txt", "caption")


def kind_of(ending: str) -> Kind | None:
    """Whether files of this ending, without its dot, are pictures or videos; None for others and for maps."""
    suffix = f".{ending.lower()}"
    if ending.lower() in MAP_ENDINGS:
        return None
    return "picture" if suffix in PICTURES else "clip" if suffix in VIDEOS else None


def is_map(name: str) -> bool:
    """Whether the name ends like that of a segmentation map."""
    return PurePosixPath(name).name.lower().endswith(tuple(f".{ending}" for ending in MAP_ENDINGS))


def captions_in(data: bytes) -> tuple[str, ...]:
    """The captions of a text file, one a line. ValueError for an empty file, one without words or not in UTF-8."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"captions: not UTF-8 (byte {error.start})") from None
    found = tuple(line.strip() for line in lines if clean(line))
    if not found:
        raise ValueError("captions: the file has no words")
    return found


def described(data: bytes) -> tuple[tuple[str, ...], str | None]:
    """Captions (``caption``, ``text`` or ``captions``) and class (``label``) of a sample's json. ValueError for no json."""
    try:
        document: Any = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no json: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"json: expected an object, got {type(document).__name__}")
    said = document.get("captions", document.get("caption", document.get("text", [])))
    said = [said] if isinstance(said, str) else said
    if not isinstance(said, list) or not all(isinstance(caption, str) for caption in said):
        raise ValueError("json: expected captions to be text")
    label = document.get("label")
    return tuple(caption.strip() for caption in said if clean(caption)), None if label is None else str(label)
