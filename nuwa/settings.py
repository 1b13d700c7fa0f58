"""Nested settings compared: what differs is named, so that a person sees why a folder holds something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names of the values in which two settings differ, sorted; both are plain JSON values.

    >>> differing({"training": {"lr": 1, "steps": 2}}, {"training": {"lr": 3, "steps": 2}, "seed": 0})
    ['seed', 'training.lr']
    """
    one, other = _flat(found), _flat(json.loads(json.dumps(wanted)))
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as one table, ``{"training": {"lr": 1}}`` as ``{"training.lr": 1}``."""
    table: dict[str, Any] = {}
    for name, value in settings.items():
        table |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return table
