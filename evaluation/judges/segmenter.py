"""The segmenter: which shape each pixel of a picture of sprites belongs to (Detected PA)."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges import weights
from evaluation.judges.frozen import Judge
from evaluation.judges.layers import Residual, conv
from evaluation.judges.pictures import prepare
from nuwa.data.sprites import world

NAME = "sprites segmenter 1"


class SegmenterNetwork(nn.Module):
    """A small U-shaped residual network: pictures (b, 3, 32, 32) in [-1, 1] to class logits (b, 7, 32, 32)."""

    def __init__(self, *, widths: tuple[int, int] = (64, 96)) -> None:
        super().__init__()
        fine, coarse = widths
        self.down = nn.Sequential(nn.PixelUnshuffle(2), *conv(12, fine, 3, padding=1), Residual(fine))
        self.deep = nn.Sequential(
            *conv(fine, coarse, 3, stride=2, padding=1), Residual(coarse), nn.Upsample(scale_factor=2, mode="nearest")
        )
        self.up = nn.Sequential(
            *conv(fine + coarse, fine, 3, padding=1),
            Residual(fine),
            nn.Conv2d(fine, 4 * len(world.CLASSES), 1),
            nn.PixelShuffle(2),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Class logits of float pictures (b, 3, 32, 32) in [-1, 1]."""
        seen = self.down(pictures)
        logits: Tensor = self.up(torch.cat([seen, self.deep(seen)], dim=1))
        return logits


class Segmenter(Judge):
    """The trained segmenter, frozen: bytes in, classes out."""

    network: SegmenterNetwork

    def __init__(self, network: SegmenterNetwork, *, sha256: str) -> None:
        super().__init__(network, name=NAME, sha256=sha256)

    def forward(self, images: Tensor) -> Tensor:
        """Classes (b, h, w) int64, index into ``world.CLASSES``, of pictures (b, 3, h, w) uint8 in 0…255 of any size.

        The judge looks at 32 px; for another size its logits are interpolated. ValueError for another dtype or layout.
        """
        return self.logits(images).argmax(dim=1)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Class logits (b, 7, h, w) float32; as for :meth:`forward`."""
        pictures = prepare(images)
        with torch.autocast(pictures.device.type, enabled=False):
            said: Tensor = self.network(pictures)
        return said if said.shape[2:] == images.shape[2:] else F.interpolate(said, images.shape[2:], mode="bilinear")


def load_segmenter(device: torch.device | str = "cpu", *, folder: Path = weights.FOLDER) -> Segmenter:
    """The shipped segmenter on ``device``. ValueError where its weight file is not the one in ``judges.json``."""
    stored = weights.load("segmenter", folder)
    network = SegmenterNetwork(**stored.header["config"])
    network.load_state_dict(stored.tensors)
    return Segmenter(network, sha256=stored.sha256).to(device)
