"""PA, FWIoU and mIoU of segmentation maps (VQ-GAN-Seg, NÜWA's §4), and of generated pictures (Detected PA, its Table 6)."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols.base import register
from evaluation.protocols.pair_kinds import SegmentationProtocol

_SETS = {  # family to number of classes, and which they are
    "sprites-1": (7, "background and the six shapes, as nuwa.data.sprites.world.CLASSES"),
    "coco-things-1": (81, "background and the 80 categories of MS-COCO, as nuwa.data.coco_segments.CocoSegments"),
}
_SOURCE = "Long et al. 2015; one confusion matrix of the whole set, classes that the truth does not hold contribute 0"


def _maps(metric: str, family: str) -> SegmentationProtocol:
    classes, words = _SETS[family]
    return register(
        SegmentationProtocol(metric=metric, family=family, classes=classes, class_set=words, source=_SOURCE)
    )


PA = {family: _maps("pa", family) for family in _SETS}
FWIOU = {family: _maps("fwiou", family) for family in _SETS}
MIOU = {family: _maps("miou", family) for family in _SETS}


def detected(pa: SegmentationProtocol) -> dict[str, SegmentationProtocol]:
    """Detected PA, FWIoU and mIoU under the constants of the first, by the names of the scores."""
    return {name: register(replace(pa, metric=f"detected-{name}")) for name in ("pa", "fwiou", "miou")}


DETECTED = detected(
    SegmentationProtocol(
        metric="detected-pa",
        family="deeplabv3-resnet50-voc-1",
        network="deeplabv3-resnet50",
        layer="class of each pixel",
        weights_sha256="cd0a2569",
        classes=21,
        class_set="background and the 20 categories of Pascal VOC",
        source="torchvision's DeepLabV3, COCO_WITH_VOC_LABELS_V1, with its own transforms; NÜWA does not name its "
        "segmenter",
    )
)
