"""The image judge: what stands where in a picture of sprites, and features for distances between sets of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluation.judges import weights
from evaluation.judges.frozen import Judge
from evaluation.judges.layers import Residual, conv
from evaluation.judges.pictures import prepare
from nuwa.data.sprites import world

NAME = "sprites image judge 1"

_SHAPES, _COLOURS, _SIZES = len(world.SHAPES) + 1, len(world.COLOURS), len(world.SIZES)
PLACE_LOGITS = (_SHAPES, _COLOURS, _SIZES)
"""Logits of a place: shape (0 is nothing), colour, size."""


@dataclass(frozen=True, kw_only=True)
class ImageJudgement:
    """What the judge says of b pictures, float32. Places are in raster order of the 3×3 board."""

    features: Tensor
    """(b, 128), at least 0; they hold the whole scene and are what Fréchet distances compare."""
    class_logits: Tensor
    """(b, 48) shape · 8 + colour of the main object, the first in :class:`~nuwa.data.sprites.Scenes`."""
    shape_logits: Tensor
    """(b, 9, 7) index 0: nothing stands here; index 1 + i: shape i of the world."""
    colour_logits: Tensor
    """(b, 9, 8) of what stands here; without meaning where nothing does."""
    size_logits: Tensor
    """(b, 9, 3) of what stands here; without meaning where nothing does."""
    background_logits: Tensor
    """(b, 4)."""


class ImageNetwork(nn.Module):
    """A small residual network: pictures (b, 3, 32, 32) in [-1, 1] to a 3×3 board, and from there to features.

    The board's cells see only their surroundings, so one object is judged the same whatever stands elsewhere; what
    concerns the whole picture (features, main object, background) is read from all nine.
    """

    def __init__(self, *, widths: tuple[int, int] = (64, 96), num_features: int = 128) -> None:
        super().__init__()
        fine, coarse = widths
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(2),  # 16×16 cells that still hold every pixel: small shapes differ in single ones
            *conv(12, fine, 3, padding=1),
            Residual(fine),
            *conv(fine, coarse, 3, stride=2, padding=1),
            Residual(coarse),
            *conv(coarse, coarse, 4, stride=2),  # 8×8 cells to the nine places
        )
        self.place = nn.Conv2d(coarse, sum(PLACE_LOGITS), 1)
        self.neck = nn.Sequential(
            nn.Flatten(), nn.Linear(9 * coarse, num_features, bias=False), nn.BatchNorm1d(num_features), nn.ReLU()
        )
        self.main = nn.Linear(num_features, len(world.SHAPES) * len(world.COLOURS))
        self.background = nn.Linear(num_features, len(world.BACKGROUNDS))

    def forward(self, pictures: Tensor) -> ImageJudgement:
        """Judge float pictures (b, 3, 32, 32) in [-1, 1]."""
        board = self.trunk(pictures)
        shape, colour, size = self.place(board).flatten(2).transpose(1, 2).split(PLACE_LOGITS, dim=-1)
        features = self.neck(board)
        return ImageJudgement(
            features=features,
            class_logits=self.main(features),
            shape_logits=shape,
            colour_logits=colour,
            size_logits=size,
            background_logits=self.background(features),
        )


class ImageJudge(Judge):
    """The trained image network, frozen: bytes in, float32 out."""

    network: ImageNetwork

    def __init__(self, network: ImageNetwork, *, sha256: str) -> None:
        super().__init__(network, name=NAME, sha256=sha256)

    @torch.no_grad()
    def forward(self, images: Tensor) -> ImageJudgement:
        """Judge pictures (b, 3, h, w) uint8 in 0…255 of any size. ValueError for another dtype or layout."""
        pictures = prepare(images)
        with torch.autocast(pictures.device.type, enabled=False):
            said: ImageJudgement = self.network(pictures)
        return said


def load_image_judge(device: torch.device | str = "cpu", *, folder: Path = weights.FOLDER) -> ImageJudge:
    """The shipped image judge on ``device``. ValueError where its weight file is not the one in ``judges.json``."""
    stored = weights.load("image", folder)
    network = ImageNetwork(**stored.header["config"])
    network.load_state_dict(stored.tensors)
    return ImageJudge(network, sha256=stored.sha256).to(device)
