"""A published segmenter for Detected PA: torchvision's DeepLabV3, which knows the 20 categories of Pascal VOC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

from evaluation import weights
from evaluation.features.exact import exact
from evaluation.features.published import PublishedJudge
from evaluation.images import as_bytes
from evaluation.protocols import SegmentationProtocol
from nuwa.files import sha256

_PUBLISHED = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1
VOC_CLASSES: tuple[str, ...] = ("background", *_PUBLISHED.meta["categories"][1:])
_COCO_NAMES = {  # where MS-COCO calls a category by another name
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


def as_voc(labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Maps in MS-COCO's classes, as ``nuwa.data.coco_segments.CocoSegments.classes``, in the 21 of Pascal VOC, int64.

    The 60 categories that VOC does not have become background, as they were in the segmenter's training.
    """
    table = torch.zeros(len(classes), dtype=torch.int64)
    for index, name in enumerate(VOC_CLASSES):
        name = _COCO_NAMES.get(name, name)
        if name not in classes:
            raise ValueError(f"expected MS-COCO's classes with {name!r} among them, got {len(classes)} others")
        table[list(classes).index(name)] = index
    return table.to(labels.device)[labels.long()]


class SegmentationJudge(PublishedJudge[SegmentationProtocol]):
    """DeepLabV3 under one protocol, frozen, in float32 without TF32 or autocast."""

    def forward(self, images: Tensor) -> Tensor:
        """Classes (b, h, w) int64 of pictures (b, 3, h, w), uint8 or floats in [0, 1], at their own size."""
        images = as_bytes(images)
        with exact(images.device):
            logits: Tensor = self.network(_PUBLISHED.transforms()(images))["out"]
            return F.interpolate(logits, images.shape[-2:], mode="bilinear").argmax(1)


def load_segmenter(
    protocol: SegmentationProtocol, folder: str | Path, device: torch.device | str = "cpu"
) -> SegmentationJudge:
    """The segmenter of ``protocol`` from its weight file in ``folder``.

    MissingWeightsError where the file is not there, ValueError where it is not the one published.
    """
    path = weights.find(protocol.network, folder)
    return SegmentationJudge(build_segmenter(path), protocol, digest=sha256(path)).to(device)


def build_segmenter(path: str | Path) -> nn.Module:
    """DeepLabV3 with the tensors of torchvision's file at ``path``; its auxiliary head is left out."""
    network: nn.Module = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=len(VOC_CLASSES))
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("aux_classifier.")})
    return network
