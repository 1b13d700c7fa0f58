"""The one representation of everything: a 3D grid of tokens.

Axis legend of the whole project: ``b`` batch, ``t h w`` frames, rows and columns of a token grid, ``s = t*h*w`` tokens in
raster order (frames, then rows, then columns), ``n`` heads, ``k`` width of a head, ``d`` model width, ``c`` channels,
``v`` codebook size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True, order=True)
class Grid:
    """Extent of a token grid in frames, rows and columns. Text of 77 words is ``Grid(77, 1, 1)``.

    >>> Grid(2, 3, 4).size
    24
    >>> Grid(2, 3, 4).coordinates()[13].tolist()
    [1, 0, 1]
    """

    t: int
    h: int
    w: int

    def __post_init__(self) -> None:
        for axis, length in zip("thw", (self.t, self.h, self.w), strict=True):
            if not isinstance(length, int) or length < 1:
                raise ValueError(f"grid axis {axis}: expected a whole number >= 1, got {length!r}")

    def __str__(self) -> str:
        return f"{self.t}x{self.h}x{self.w}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(t, h, w)``."""
        return (self.t, self.h, self.w)

    @property
    def size(self) -> int:
        """Number of tokens ``s``."""
        return self.t * self.h * self.w

    def coordinates(self, device: torch.device | str | None = None) -> Tensor:
        """Coordinates (s, 3) int64 of all cells in raster order, columns ``t h w``."""
        return _coordinates(self.t, self.h, self.w, str(device or "cpu"))

    def check_within(self, largest: Grid, what: str = "grid") -> None:
        """ValueError unless this grid fits into the ``largest`` on every axis."""
        if any(mine > most for mine, most in zip(self.shape, largest.shape, strict=True)):
            raise ValueError(f"{what}: expected at most {largest} (frames x rows x columns), got {self}")

    def check(self, length: int, what: str = "tokens") -> None:
        """ValueError unless ``length`` is the number of cells of this grid."""
        if length != self.size:
            raise ValueError(
                f"{what}: grid {self} has {self.size} cells, got {length}; pass the grid the tensor was made for"
            )


@lru_cache(maxsize=256)
def _coordinates(t: int, h: int, w: int, device: str) -> Tensor:
    with torch.inference_mode(False):  # they outlive the call, and serve as indices of a backward pass too
        if device != "cpu":
            return _coordinates(t, h, w, "cpu").to(device)
        axes = torch.meshgrid(*(torch.arange(n, device="cpu") for n in (t, h, w)), indexing="ij")
        return torch.stack([axis.reshape(-1) for axis in axes], dim=-1)
