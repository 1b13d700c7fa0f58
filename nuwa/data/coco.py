"""Captioned photographs of MS-COCO (Lin et al., 1405.0312), read from the files that COCO publishes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from nuwa import noise
from nuwa.data.captioned import Skipped, some
from nuwa.data.coco_files import find_year, read_segments, read_tables
from nuwa.data.images import find_unreadable, read_image, resize_square, resize_square_labels
from nuwa.tokenizers.text import clean

if TYPE_CHECKING:
    from nuwa.data.coco_segments import CocoSegments

FIELDS = {
    "images": {"id": int, "file_name": str, "height": int, "width": int},
    "annotations": {"id": int, "image_id": int, "caption": str},
}


@dataclass(frozen=True, kw_only=True)
class CocoCaption:
    """One caption with its photograph, of which COCO describes each about five times."""

    caption_id: int
    image_id: int
    caption: str
    path: Path


class CocoCaptions:
    """One sample per caption, by rising caption id; follows :class:`nuwa.data.captioned.CaptionedPictures`.

    Pictures are tried once at the start: those that cannot be read, and captions without words, are left out and named
    in ``skipped``. Pixels are taken as they are stored, without EXIF rotation, since COCO's annotations count them so.

    Args:
        root: folder with ``annotations/`` and the folders of pictures, such as ``val2017/``.
        split: ``"train"`` or ``"val"``.
        year: ``"2014"`` or ``"2017"``; the one whose captions are there where None.
        size_px: side of the pictures and maps.
        caption_ids: the captions to use, such as a published list; all where None.
        limit: use this many captions, chosen evenly by a hash of their ids; a smaller choice is part of a larger one.
        allow_missing: list captions whose picture is not on disk in ``skipped`` instead of refusing.

    Raises:
        ValueError: a file or picture is missing, a json is not COCO's, a caption id is unknown, or nothing is left.
    """

    name = "coco"

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "val"] = "val",
        *,
        year: str | None = None,
        size_px: int = 256,
        caption_ids: Sequence[int] | None = None,
        limit: int | None = None,
        allow_missing: bool = False,
    ) -> None:
        self.root, self.split, self.size_px = Path(root), split, size_px
        self.version = find_year(self.root, split) if year is None else year
        self._json = self.root / "annotations" / f"captions_{split}{self.version}.json"
        tables = read_tables(self._json, FIELDS)
        images = {image["id"]: image for image in tables["images"]}
        chosen = self._choose(tables["annotations"], caption_ids, limit)
        reasons = self._faults(chosen, images, allow_missing)
        self.skipped = [Skipped(str(entry["id"]), reasons[entry["id"]]) for entry in chosen if entry["id"] in reasons]
        self.items = tuple(
            CocoCaption(
                caption_id=entry["id"],
                image_id=entry["image_id"],
                caption=entry["caption"].strip(),
                path=self._folder / images[entry["image_id"]]["file_name"],
            )
            for entry in chosen
            if entry["id"] not in reasons
        )
        if not self.items:
            first = f", the first because: {self.skipped[0].reason}" if self.skipped else ""
            raise ValueError(f"{self._json}: no caption is left, {len(self.skipped)} were skipped{first}")

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def ids(self) -> list[str]:
        """Caption ids."""
        return [str(item.caption_id) for item in self.items]

    @cached_property
    def captions(self) -> list[str]:
        """Captions as COCO has them, without the space around them."""
        return [item.caption for item in self.items]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over split and year and, sample by sample, ids, caption, file name and file size in bytes."""
        digest = hashlib.sha256(json.dumps([self.name, self.version, self.split]).encode())
        for item in self.items:
            file = [item.path.relative_to(self.root).as_posix(), item.path.stat().st_size]
            digest.update(json.dumps([item.caption_id, item.image_id, item.caption, *file]).encode())
        return digest.hexdigest()

    def image(self, index: int) -> Tensor:
        """Picture ``index``, uint8 (3, size_px, size_px) RGB, cut and resized by ``images.RESIZE_RULE``."""
        return resize_square(read_image(self.items[index].path, orient=False), self.size_px)

    @cached_property
    def segments(self) -> CocoSegments:
        """The instances of this split, read when first asked for. Needs pycocotools."""
        return read_segments(self.root / "annotations" / f"instances_{self.split}{self.version}.json")

    def segmentation(self, index: int) -> Tensor:
        """Class of every pixel of picture ``index``, int64 (size_px, size_px); names are in ``segments.classes``."""
        labels = torch.from_numpy(self.segments.labels(self.items[index].image_id))
        return resize_square_labels(labels, self.size_px)

    @property
    def _folder(self) -> Path:
        return self.root / f"{self.split}{self.version}"

    def _choose(
        self, captions: list[dict[str, Any]], wanted: Sequence[int] | None, limit: int | None
    ) -> list[dict[str, Any]]:
        """The captions to use, by rising id."""
        if wanted is not None and limit is not None:
            raise ValueError("expected caption_ids or limit, got both; a list of ids needs no limit")
        captions = sorted(captions, key=lambda caption: caption["id"])
        if limit is not None:
            if not 1 <= limit <= len(captions):
                raise ValueError(f"limit: expected 1 to {len(captions)} captions of {self._json}, got {limit}")
            ranks = noise.bits(noise.key(self.name, self.version, self.split), [entry["id"] for entry in captions])
            return [captions[place] for place in np.sort(np.argsort(ranks, kind="stable")[:limit])]
        if wanted is None:
            return captions
        known = {entry["id"]: entry for entry in captions}
        unknown = [str(number) for number in wanted if number not in known]
        if unknown:
            raise ValueError(f"{self._json} has no caption {some(unknown)}; use ids of this split and year")
        return [known[number] for number in sorted(set(wanted))]

    def _faults(
        self, captions: list[dict[str, Any]], images: dict[int, dict[str, Any]], allow_missing: bool
    ) -> dict[int, str]:
        """Why a caption cannot be used, by caption id."""
        used: dict[str, dict[str, Any]] = {}
        for entry in captions:
            image = images.get(entry["image_id"])
            if image is None or Path(image["file_name"]).name != image["file_name"]:
                fault = "an unknown picture" if image is None else f"a picture outside {self._folder.name}/"
                raise ValueError(f"{self._json} is not one of COCO's files: caption {entry['id']} has {fault}")
            used[image["file_name"]] = image
        present = {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()
        missing = sorted(name for name in used if name not in present)
        if missing and not allow_missing:
            raise ValueError(
                f"COCO: {len(missing)} of {len(used)} pictures named in {self._json} are missing in {self._folder}: "
                f"{some(missing)}; unpack {self._folder.name}.zip there"
            )
        there = {name: image for name, image in used.items() if name in present}
        paths = {name: self._folder / name for name in there}
        sizes = {name: (image["height"], image["width"]) for name, image in there.items()}
        broken = {skip.id: skip.reason for skip in find_unreadable(paths, orient=False, sizes=sizes)}
        broken |= dict.fromkeys(missing, "no such file")
        reasons = {}
        for entry in captions:
            file = images[entry["image_id"]]["file_name"]
            if file in broken:
                reasons[entry["id"]] = f"{self._folder.name}/{file}: {broken[file]}"
            elif not clean(entry["caption"]):
                reasons[entry["id"]] = "empty caption"
        return reasons
