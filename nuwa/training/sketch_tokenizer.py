"""Training of the VQ-GAN-Seg: class-weighted cross-entropy and commitment; PA and FWIoU on held-out maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nuwa.data.streams import MapStream
from nuwa.tokenizers.vqgan_seg import VQGANSeg, VQGANSegConfig
from nuwa.training.codebook import CodebookStage, CodebookTraining
from nuwa.training.distributed import summed
from nuwa.training.sheets import in_colours, pairs_sheet

COUNTED = 16  # batches from which the frequencies of the classes are taken


@dataclass(frozen=True, kw_only=True)
class SketchTraining(CodebookTraining):
    """How a VQ-GAN-Seg is trained. Moments are shares of ``steps``."""

    model: VQGANSegConfig = VQGANSegConfig()
    steps: int = 1000
    class_balance: float = 0.5  # a class of frequency f weighs f to the minus this; 0: all alike, 1: every class alike


class SketchStage(CodebookStage):
    """The VQ-GAN-Seg."""

    name, measure = "train sketch tokenizer", "-val_pa"
    settings: SketchTraining
    model: VQGANSeg

    def __init__(
        self, config: SketchTraining, stream: MapStream, validation: Tensor,
        *, data: str, device: torch.device, workers: int | None = None,
    ) -> None:  # fmt: skip
        """``validation`` is maps uint8 (m, h, w); ``data`` names what the stream reads, for the config of the checkpoint."""
        self.stream = stream
        torch.manual_seed(config.seed)
        super().__init__(config, VQGANSeg(config.model), validation, data=data, device=device, workers=workers)
        counted = torch.stack([self.read(batch, range(config.batch)) for batch in range(COUNTED)])
        self.weights = class_weights(counted, config.model.num_classes, config.class_balance).to(device)
        self._factor = torch.ones((), device=device)

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result."""
        return super().config | {"class_weights": [round(weight, 6) for weight in self.weights.tolist()]}

    def read(self, index: int, rows: range) -> Tensor:
        """Maps uint8 (b, H, W)."""
        return self.stream.part_maps(index, self.settings.batch, rows)

    def channels(self, read: Tensor) -> Tensor:
        """Maps as channels (b, C, H, W)."""
        return self.model.one_hot(read.to(self.device))

    def each(self, index: int, xs: Sequence[Tensor]) -> Iterable[Tensor]:  # noqa: ARG002  all steps are alike
        """The parts; their classes make each more or less of the whole than its number of maps says."""
        if self.whole:
            yield from xs
            return
        weights = torch.stack([self.weights[x.argmax(dim=1)].sum() for x in xs])
        whole = summed(weights.sum())
        for x, weight in zip(xs, weights, strict=True):
            self._factor = weight / whole * (self.settings.batch / len(x))
            yield x

    def reconstruction(self, y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy in nats a pixel, each weighted by its class."""
        loss = F.cross_entropy(y, x.argmax(dim=1), weight=self.weights) * self._factor
        return loss, {"cross_entropy": loss}

    def fooling(self, index: int, y: Tensor, reconstruction: Tensor) -> None:
        """There is no critic."""

    def after(self, index: int, xs: Sequence[Tensor], ys: Sequence[Tensor], share: float) -> None:
        """There is no critic."""

    def sheet(self) -> Image.Image:
        """Held-out maps above what is rebuilt from their tokens."""
        return pairs_sheet(*(in_colours(maps) for maps in self.some_rebuilt()))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Pixel accuracy and frequency-weighted IoU, codebook usage and perplexity on held-out maps; alarms on collapse."""
        rebuilt, usage = self.rebuilt()
        confusion = confusion_matrix(rebuilt[:, 0], self.validation, self.settings.model.num_classes)
        return {"val_pa": pixel_accuracy(confusion), "val_fwiou": frequency_weighted_iou(confusion), **usage}


def class_weights(maps: Tensor, num_classes: int, balance: float) -> Tensor:
    """Weights (C,) float32 of the classes of maps (…) whole numbers: frequency to the minus ``balance``.

    Scaled so that the weights of all pixels add up to their number. A class that never occurs weighs as one of one pixel.
    """
    count = torch.bincount(maps.flatten().long(), minlength=num_classes).clamp_min(1).double()
    share = count / count.sum()
    weight = share**-balance
    return (weight / (weight * share).sum()).float()


def confusion_matrix(found: Tensor, expected: Tensor, num_classes: int) -> Tensor:
    """Pixels (C, C) int64 by expected class (row) and found class (column), of two maps of one shape."""
    pairs = expected.flatten().long() * num_classes + found.flatten().long()
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def pixel_accuracy(confusion: Tensor) -> float:
    """PA: share of pixels (C, C) with the right class."""
    return float(confusion.diagonal().sum() / confusion.sum())


def frequency_weighted_iou(confusion: Tensor) -> float:
    """FWIoU: intersection over union of every class, weighted by its share of the expected pixels (arXiv 1411.4038)."""
    confusion = confusion.double()
    hit, expected, found = confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)
    iou = hit / (expected + found - hit).clamp_min(1)
    return float((expected / expected.sum() * iou).sum())
