"""Views of a sample: where it is cut, and whether it is mirrored. Each has a name, and a shard holds the tokens of several.

The ten of Krizhevsky et al. (2012), known as ten-crop: the centre and the four corners, each also mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nuwa.registry import Registry

VIEWS: Registry[View] = Registry("view")
MIRRORED = "-mirrored"


@dataclass(frozen=True)
class View:
    """A square cut out of pictures or clips, the same in every frame."""

    name: str
    top: float  # share of the spare rows above the square
    left: float  # share of the spare columns left of it
    mirrored: bool  # left and right changed; a caption that names a side is then wrong

    def __call__(self, pixels: Tensor, size_px: int) -> Tensor:
        """The view (..., size_px, size_px) of pixels (..., H, W), any dtype. ValueError where there is nothing to cut."""
        height, width = pixels.shape[-2:]
        centre = self.top == self.left == 0.5
        if min(height, width) < size_px or (not centre and height == width == size_px):
            raise ValueError(
                f"view {self.name}: expected samples {'of at least' if centre else 'larger than'} {size_px} px, got "
                f"{height} x {width}; read them larger with --read-px, or leave the view out"
            )
        top, left = int(self.top * (height - size_px)), int(self.left * (width - size_px))
        cut = pixels[..., top : top + size_px, left : left + size_px]
        return cut.flip(-1) if self.mirrored else cut


for _name, _top, _left in (
    ("centre", 0.5, 0.5),
    ("top-left", 0.0, 0.0),
    ("top-right", 0.0, 1.0),
    ("bottom-left", 1.0, 0.0),
    ("bottom-right", 1.0, 1.0),
):
    VIEWS.add(_name, View(_name, _top, _left, False))
    VIEWS.add(_name + MIRRORED, View(_name + MIRRORED, _top, _left, True))


def check_views(names: tuple[str, ...]) -> None:
    """ValueError unless ``names`` are distinct views, at least one."""
    if not names or len(set(names)) != len(names):
        raise ValueError(f"views: expected one or more distinct names, got {', '.join(names) or 'none'}")
    for name in names:
        VIEWS[name]  # refuses an unknown one with the nearest
