"""PA, FWIoU and mIoU of segmentation maps, and of what is detected in generated pictures (Long et al. 2015; NÜWA, §4).

One int64 confusion matrix is counted over the whole set and divided once; an average of scores of single maps is another
number. With n_ij the pixels of class i that were found to be j, and t_i = Σ_j n_ij:
PA = Σ n_ii / Σ t_i, FWIoU = Σ t_i n_ii / (t_i + Σ_j n_ji − n_ii) / Σ t_i, mIoU = the mean of n_ii / (t_i + Σ_j n_ji − n_ii)
over the classes with t_i > 0.
"""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluation.clips import as_frames
from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.network import Network, in_parts
from evaluation.metrics.uncertainty import centred_interval, resampling_counts
from evaluation.protocols import SegmentationProtocol, find_protocol, segments

NAMES = {"pa": "PA", "fwiou": "FWIoU", "miou": "mIoU"}
NAMES |= {f"detected-{metric}": f"Detected {name}" for metric, name in NAMES.items()}


def confusion_matrices(found: Tensor, truth: Tensor, protocol: SegmentationProtocol) -> Tensor:
    """Pixels (b, v, v) int64 of class i that were found to be class j, for each of b samples.

    ``found`` and ``truth`` are classes in 0…v − 1 of any integer type, maps (b, h, w) or those of clips (b, t, h, w). Pixels
    whose truth is the protocol's ``ignore_index`` are not counted. ValueError for other shapes, types and classes.
    """
    if found.shape != truth.shape or found.dim() not in (3, 4) or 0 in found.shape:
        raise ValueError(
            f"{protocol.id}: expected two maps (b, h, w) or (b, t, h, w) of equal shape, got {tuple(found.shape)} and "
            f"{tuple(truth.shape)}; take the argmax of logits, and resize by nearest neighbour"
        )
    for maps, what in ((found, "found"), (truth, "true")):
        if maps.is_floating_point() or maps.is_complex() or maps.dtype == torch.bool:
            raise ValueError(f"{protocol.id}: expected {what} classes as integers, got {maps.dtype}; use .long()")
    b, v = len(truth), protocol.classes
    found, truth = found.reshape(b, -1).long(), truth.reshape(b, -1).long()
    counted = torch.ones_like(truth, dtype=torch.bool)
    if protocol.ignore_index is not None:
        counted = truth != protocol.ignore_index
    for maps, what in ((found, "found"), (truth, "true")):
        unknown = maps[counted & ((maps < 0) | (maps >= v))]
        if len(unknown):
            raise ValueError(
                f"{protocol.id}: expected {what} classes in 0…{v - 1} ({protocol.class_set}), got "
                f"{unknown.unique().tolist()[:5]}; map the labels, or name an ignore_index in a protocol of your own"
            )
    sample = torch.arange(b, device=truth.device)[:, None].expand_as(truth)
    cells = ((sample * v + truth) * v + found)[counted]
    return torch.bincount(cells, minlength=b * v * v).view(b, v, v)


def marginals(confusion: Tensor) -> Tensor:
    """True, found and right pixels of each class, (…, 3, v), of confusion matrices (…, v, v): all that the scores need."""
    return torch.stack([confusion.sum(-1), confusion.sum(-2), confusion.diagonal(dim1=-2, dim2=-1)], -2)


def score(counts: Tensor, metric: str) -> Tensor:
    """Scores (…) float64 in 0…1 from marginals (…, 3, v). Classes that the truth does not hold contribute 0."""
    true, found, right = counts.double().unbind(-2)
    metric = metric.removeprefix("detected-")
    if metric == "pa":
        return right.sum(-1) / true.sum(-1).clamp_min(1)  # a replicate may draw only samples without pixels
    iou = torch.where(true > 0, right / (true + found - right).clamp_min(1), 0.0)
    if metric == "fwiou":
        return (true * iou).sum(-1) / true.sum(-1).clamp_min(1)
    assert metric == "miou", metric
    return iou.sum(-1) / (true > 0).sum(-1).clamp_min(1)


class SegmentationMetric(ProtocolMetric[SegmentationProtocol]):
    """A streaming score of segmentation maps: one confusion matrix, and 3·v numbers a sample for the interval."""

    higher_is_better = True
    metric: ClassVar[str]
    default: ClassVar[SegmentationProtocol]
    confusion: Tensor
    counts: list[Tensor]

    def __init__(self, protocol: SegmentationProtocol | str | None = None, **settings: Any) -> None:
        wanted = self.default if protocol is None else protocol
        super().__init__(find_protocol(self.metric, wanted, SegmentationProtocol), **settings)
        v = self.protocol.classes
        self.add_state("confusion", torch.zeros(v, v, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_rows("counts", 3, v, dtype=torch.int64)

    def update(self, found: Tensor, truth: Tensor) -> None:
        """Add maps (b, h, w), or those of clips (b, t, h, w), and the true ones: classes in 0…v − 1, integers."""
        confusion = confusion_matrices(found, truth, self.protocol).to(self.device)
        self.confusion += confusion.sum(0)
        self.counts.append(marginals(confusion))

    def compute(self) -> Tensor:
        """The score over all pixels, () float64."""
        return score(self._counted(), self.metric)

    def _counted(self) -> Tensor:
        check_set(len(gather(self.counts)), "maps")
        if not bool(self.confusion.any()):
            raise ValueError(
                f"{self.protocol.id}: expected pixels to count, got only ignored ones; leave the number out"
            )
        return marginals(self.confusion)

    def _estimates(self) -> list[Estimate]:
        value = float(score(self._counted(), self.metric))
        samples = gather(self.counts).flatten(1).double().cpu()
        protocol = self.protocol
        drawn = torch.from_numpy(resampling_counts(len(samples), protocol.replicates, protocol.interval_seed))
        replicates = score((drawn @ samples).view(-1, 3, protocol.classes), self.metric).numpy()
        return [
            Estimate(
                name=NAMES[self.metric],
                protocol=protocol.id,
                value=value,
                ci95=centred_interval(value, replicates, low=0.0, high=1.0),
                n=len(samples),
                higher_is_better=True,
                replicates=replicates,
            )
        ]


@METRICS.register("pa")
class PixelAccuracy(SegmentationMetric):
    """PA: share of pixels whose class is right."""

    metric = "pa"
    default = segments.PA["sprites-1"]


@METRICS.register("fwiou")
class FrequencyWeightedIoU(SegmentationMetric):
    """FWIoU: intersection over union of the classes, each weighted by its share of the true pixels."""

    metric = "fwiou"
    default = segments.FWIOU["sprites-1"]


@METRICS.register("miou")
class MeanIoU(SegmentationMetric):
    """mIoU: intersection over union, averaged over the classes that the truth holds."""

    metric = "miou"
    default = segments.MIOU["sprites-1"]


class Segmenter(typing.Protocol):
    """A network that says what stands where; :class:`evaluation.features.SegmentationJudge` is one."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Classes (b, h, w) int64 of pictures (b, 3, h, w) uint8."""


class DetectedMetric(SegmentationMetric):
    """The score of a segmenter's map of the generated picture against the sketch it was made from.

    For pictures and clips it asks the segmenter of the protocol, whose file has to lie in the folder ``weights``, or the
    ``judge`` given in its place, a :class:`Segmenter`. The sketch must be in the classes of the segmenter.
    """

    def __init__(
        self,
        protocol: SegmentationProtocol | str | None = None,
        *,
        weights: str | Path | None = None,
        judge: Segmenter | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(protocol, **settings)
        self._network = Network(self.protocol, judge, weights, _load)

    def update(self, found: Tensor, truth: Tensor) -> None:
        """Add generated pictures (b, 3, h, w) or clips (b, t, 3, h, w), and their sketches (b, h, w) or (b, t, h, w).

        Or, in place of pictures, maps of the segmenter, of as many axes as the sketches.
        """
        super().update(found if found.dim() == truth.dim() else self._detect(found), truth)

    def _detect(self, generated: Tensor) -> Tensor:
        frames = as_frames(generated).to(self.device)
        judge: Segmenter = self._network.on(self.device)
        with torch.no_grad():
            maps = in_parts(judge, frames.flatten(0, 1), at_once=16).unflatten(0, frames.shape[:2])
        return maps if generated.dim() == 5 else maps[:, 0]


@METRICS.register("detected-pa")
class DetectedPixelAccuracy(DetectedMetric):
    """Detected PA: the PA of what a segmenter sees in the generated picture."""

    metric = "detected-pa"
    default = segments.DETECTED["pa"]


@METRICS.register("detected-fwiou")
class DetectedFrequencyWeightedIoU(DetectedMetric):
    """Detected FWIoU: the FWIoU of what a segmenter sees in the generated picture."""

    metric = "detected-fwiou"
    default = segments.DETECTED["fwiou"]


@METRICS.register("detected-miou")
class DetectedMeanIoU(DetectedMetric):
    """Detected mIoU: the mIoU of what a segmenter sees in the generated picture."""

    metric = "detected-miou"
    default = segments.DETECTED["miou"]


def _load(protocol: SegmentationProtocol, folder: str | Path, device: torch.device) -> Segmenter:
    from evaluation.features import load_segmenter  # slow to import, and only needed for pictures

    return load_segmenter(protocol, folder, device)
