"""MS-COCO's own files, found and checked: ``annotations/*.json`` beside the folders of pictures, as published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa.data.coco_segments import CocoSegments

YEARS = ("2014", "2017")


def find_year(root: Path, split: str) -> str:
    """The year whose captions for ``split`` lie under ``root``. ValueError where there is none or more than one."""
    looked_for = [root / "annotations" / f"captions_{split}{year}.json" for year in YEARS]
    found = [year for year, path in zip(YEARS, looked_for, strict=True) if path.is_file()]
    if not found:
        names = " or ".join(str(path) for path in looked_for)
        raise ValueError(f"COCO: expected {names}, found neither; name the folder that holds COCO's annotations/")
    if len(found) > 1:
        raise ValueError(f"COCO: {root} holds {split} captions of {' and '.join(found)}; say which with year")
    return found[0]


def read_tables(path: Path, fields: Mapping[str, Mapping[str, type]]) -> dict[str, list[dict[str, Any]]]:
    """The lists of one of COCO's json files, each entry checked for the keys and types that are needed.

    Args:
        path: the json file.
        fields: for each list, the keys of its entries with their types. Ids must be unique within a list.

    Raises:
        ValueError: the file is missing, no json or not COCO's; the sentence names the first fault.
    """
    try:
        with path.open(encoding="utf-8") as handle:
            document = json.load(handle)
    except FileNotFoundError:
        raise ValueError(f"COCO: expected {path}, found no such file; download it from cocodataset.org") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"COCO: {path} is no json ({error}); download it again from cocodataset.org") from error
    if not isinstance(document, dict):
        raise _not_coco(path, f"expected an object, got {type(document).__name__}")
    return {table: _checked(path, table, document.get(table), keys) for table, keys in fields.items()}


def read_segments(path: Path) -> CocoSegments:
    """The segmentation maps of ``instances_*.json``. ValueError where it is not COCO's, or pycocotools is missing."""
    try:
        from nuwa.data.coco_segments import CocoSegments
    except ModuleNotFoundError as error:
        raise ValueError("COCO's segmentation maps need pycocotools; python -m pip install pycocotools") from error
    return CocoSegments(path)


def _checked(path: Path, table: str, entries: Any, keys: Mapping[str, type]) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise _not_coco(path, f"expected a list {table!r}, got {type(entries).__name__}")
    seen = set()
    for place, entry in enumerate(entries):
        where = f"{table}[{place}]"
        if not isinstance(entry, dict):
            raise _not_coco(path, f"expected an object at {where}, got {type(entry).__name__}")
        for key, kind in keys.items():
            if not isinstance(entry.get(key), kind):
                got = type(entry[key]).__name__ if key in entry else "nothing"
                raise _not_coco(path, f"expected {where} to have {key!r} of type {kind.__name__}, got {got}")
        if entry["id"] in seen:
            raise _not_coco(path, f"{table} has the id {entry['id']} twice")
        seen.add(entry["id"])
    return entries


def _not_coco(path: Path, fault: str) -> ValueError:
    return ValueError(f"{path} is not one of COCO's files: {fault}; download it again from cocodataset.org")
