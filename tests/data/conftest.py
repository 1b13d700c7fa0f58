"""Tiny datasets in the formats of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CocoMaker = Callable[..., Path]

POLYGON = [2, 1, 6, 1, 6, 4, 2, 4]  # x from 2 to 6, y from 1 to 4


@pytest.fixture
def make_coco(tmp_path: Path) -> CocoMaker:
    """Writes a COCO folder of three pictures (12 wide, 8 high) and five captions; the caller may change the tables."""

    def make(split: str = "val", year: str = "2017", *, draw: bool = True, **tables: Any) -> Path:
        names = {7: "000000000007.jpg", 9: "000000000009.jpg", 8: "000000000008.jpg"}
        images = [{"id": number, "file_name": name, "height": 8, "width": 12} for number, name in names.items()]
        texts = [
            (31, 7, "A red bus. "),
            (12, 9, "Two dogs"),
            (25, 8, "a cat"),
            (14, 9, "dogs play"),
            (40, 8, "one cat"),
        ]
        captions = [{"id": number, "image_id": image, "caption": text} for number, image, text in texts]
        categories = [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}, {"id": 17, "name": "cat"}]
        instances = [instance(1, 7, 17, [POLYGON])]
        folder = tmp_path / "coco"
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        document = {"images": images, "annotations": captions} | tables
        (folder / "annotations" / f"captions_{split}{year}.json").write_text(json.dumps(document))
        document = {"images": images, "annotations": instances, "categories": categories}
        document["annotations"] = tables.get("instances", instances)
        (folder / "annotations" / f"instances_{split}{year}.json").write_text(json.dumps(document))
        if draw:
            (folder / f"{split}{year}").mkdir(exist_ok=True)
            for number, name in names.items():
                Image.new("RGB", (12, 8), (number * 20, 0, 0)).save(folder / f"{split}{year}" / name, quality=95)
        return folder

    return make


def instance(number: int, image: int, category: int, shape: Any, crowd: int = 0) -> dict[str, Any]:
    """One entry of instances_*.json."""
    return {"id": number, "image_id": image, "category_id": category, "segmentation": shape, "iscrowd": crowd}


def run_lengths(inside: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed run lengths of a mask (h, w): columns first, outside first."""
    flat = inside.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(inside.shape), "counts": [0, *runs] if flat[0] else runs}
