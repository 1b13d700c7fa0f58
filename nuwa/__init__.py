"""NÜWA: text, image, video and sketch as 3D grids of tokens, and one model over them (arXiv 2111.12417)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa.grid import Grid
    from nuwa.presets import PRESETS
    from nuwa.sampling import Sampling
    from nuwa.system import Nuwa
    from nuwa.tasks import TASKS

__all__ = ["PRESETS", "TASKS", "Grid", "Nuwa", "Sampling"]

_WHERE = {
    "PRESETS": "nuwa.presets",
    "TASKS": "nuwa.tasks",
    "Grid": "nuwa.grid",
    "Nuwa": "nuwa.system",
    "Sampling": "nuwa.sampling",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: torch takes seconds, and a process that only hands out work needs none."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nuwa' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
