"""Pictures, clips and maps laid out to be looked at while a training goes on."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from nuwa.drawing import colours

FRAMES = 3  # of a clip that are shown
LEAST_PX = 64
GAP = 6


def pairs_sheet(above: Tensor, below: Tensor) -> Image.Image:
    """Pictures uint8 (m, 3, H, W) with others below them."""
    tiles = [tile(each[None]) for each in (*above, *below)]
    columns, side = len(above), tiles[0].width
    sheet = Image.new("RGB", (columns * (side + GAP) - GAP, 2 * side + GAP), "white")
    for place, each in enumerate(tiles):
        sheet.paste(each, (place % columns * (side + GAP), place // columns * (side + GAP)))
    return sheet


def in_colours(maps: Tensor) -> Tensor:
    """Maps (…, H, W) of whole numbers as pixels uint8 (…, 3, H, W)."""
    return torch.from_numpy(colours(maps.long().numpy())).movedim(-1, -3)


def tile(frames: Tensor) -> Image.Image:
    """A few of the frames uint8 (t, 3, H, W) beside each other, enlarged where they are small."""
    chosen = torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().long()
    strip = torch.cat([*frames[chosen]], dim=-1).permute(1, 2, 0)
    times = -(-LEAST_PX // frames.shape[-1])
    size = (strip.shape[1] * times, strip.shape[0] * times)
    return Image.fromarray(strip.contiguous().numpy()).resize(size, Image.Resampling.NEAREST)
