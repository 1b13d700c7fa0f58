"""NÜWA: text, image, video and sketch as 3D grids of tokens, and one model over them (arXiv 2111.12417)."""

from nuwa.grid import Grid
from nuwa.presets import PRESETS
from nuwa.sampling import Sampling
from nuwa.system import Nuwa
from nuwa.tasks import TASKS

__all__ = ["PRESETS", "TASKS", "Grid", "Nuwa", "Sampling"]
