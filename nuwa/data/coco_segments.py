"""MS-COCO's instances as one segmentation map per picture, drawn by COCO's own rasteriser (pycocotools)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from nuwa.data.coco_files import read_tables

BACKGROUND = "background"

_FIELDS: dict[str, dict[str, type]] = {
    "images": {"id": int, "height": int, "width": int},
    "annotations": {"id": int, "image_id": int, "category_id": int, "iscrowd": int, "segmentation": object},
    "categories": {"id": int, "name": str},
}


class CocoSegments:
    """Segmentation maps of ``instances_*.json``.

    Classes are contiguous: 0 is the background, then the categories by rising category id (80 of them, whose own ids go
    up to 90). Where instances overlap the smaller lies on top, and crowds lie below everything: COCO knows no depth.

    Args:
        path: ``instances_<split><year>.json``.

    Raises:
        ValueError: the file is missing or not COCO's.
    """

    def __init__(self, path: Path) -> None:
        tables = read_tables(path, _FIELDS)
        self._path = path
        categories = sorted(tables["categories"], key=lambda category: category["id"])
        self.classes: tuple[str, ...] = (BACKGROUND, *(category["name"] for category in categories))
        self._labels = {category["id"]: label for label, category in enumerate(categories, start=1)}
        self._sizes = {image["id"]: (image["height"], image["width"]) for image in tables["images"]}
        self._instances: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for instance in tables["annotations"]:
            if instance["category_id"] not in self._labels:
                raise ValueError(
                    f"{path}: instance {instance['id']} has the unknown category {instance['category_id']}"
                )
            self._instances[instance["image_id"]].append(instance)

    def has(self, image_id: int) -> bool:
        """Whether the picture is listed."""
        return image_id in self._sizes

    def labels(self, image_id: int) -> NDArray[np.int64]:
        """Class of every pixel of a picture, int64 (h, w) in [0, len(classes)). ValueError for an unknown picture."""
        if not self.has(image_id):
            raise ValueError(
                f"{self._path} does not list picture {image_id}; use the instances of the same split and year"
            )
        height, width = self._sizes[image_id]
        masks = [(instance, self._mask(instance, height, width)) for instance in self._instances.get(image_id, [])]
        masks.sort(key=lambda pair: (not pair[0]["iscrowd"], -int(pair[1].sum()), pair[0]["id"]))
        labels = np.zeros((height, width), np.int64)
        for instance, inside in masks:
            labels[inside] = self._labels[instance["category_id"]]
        return labels

    def _mask(self, instance: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
        """Pixels of one instance, bool (h, w)."""
        code = _run_lengths(instance["segmentation"], height, width)
        if code is None:
            raise ValueError(
                f"{self._path}: expected instance {instance['id']} to have polygons or a run-length code of "
                f"{height} x {width} pixels, got neither; download the file again from cocodataset.org"
            )
        return np.asarray(mask.decode(code), dtype=bool)


def _run_lengths(shape: Any, height: int, width: int) -> Any:
    """COCO's run-length code of a shape given as polygons (x, y, x, y, ...) or run lengths, None for anything else."""
    if isinstance(shape, list):
        # a polygon of four numbers would be taken for a box
        whole = all(isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 for points in shape)
        return mask.merge(mask.frPyObjects(shape, height, width)) if shape and whole else None
    if not isinstance(shape, dict) or shape.get("size") != [height, width]:
        return None
    counts: Any = shape.get("counts")
    if isinstance(counts, list):
        runs: Any = shape
        return mask.frPyObjects(runs, height, width) if sum(counts) == height * width else None
    return shape if isinstance(counts, str) else None
