"""The segmenter of Detected PA, with random weights in torchvision's format."""

import dataclasses

import pytest
import torch
from stand_ins import publish
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

from evaluation.features import SegmentationJudge, as_voc, load_segmenter
from evaluation.features.segmenter import VOC_CLASSES
from evaluation.metrics import DetectedPixelAccuracy
from evaluation.protocols import segments

COCO = (  # MS-COCO's categories that VOC has too, in COCO's order, with some that it has not
    *(
        "background",
        "person",
        "bicycle",
        "car",
        "motorcycle",
        "airplane",
        "bus",
        "train",
        "truck",
        "boat",
        "bird",
        "cat",
    ),
    *("dog", "horse", "sheep", "cow", "bottle", "chair", "couch", "potted plant", "dining table", "tv", "vase"),
)


def pictures(b: int = 1, size: int = 40) -> torch.Tensor:
    return torch.randint(0, 256, (b, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
def test_maps_are_torchvisions(tmp_path, monkeypatch):
    torch.manual_seed(0)
    whole = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
    publish(monkeypatch, tmp_path, deeplabv3_resnet50=lambda path: torch.save(whole.state_dict(), path))
    judge = load_segmenter(segments.DETECTED["pa"], tmp_path)
    with torch.no_grad():
        logits = whole(DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.transforms()(pictures()))["out"]
    expected = torch.nn.functional.interpolate(logits, (40, 40), mode="bilinear", align_corners=False).argmax(1)
    assert (judge(pictures()) == expected).float().mean() > 0.999
    with pytest.raises(ValueError, match="needs a protocol of its own"):
        DetectedPixelAccuracy(judge=judge)


class Thresholds(torch.nn.Module):
    """A network with the answer of torchvision's: class 1 where a picture is bright."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        bright = x.mean(1, keepdim=True)
        return {"out": torch.cat([-bright, bright, torch.full_like(bright, -99).expand(-1, 19, -1, -1)], 1)}


@pytest.mark.parametrize("clip", [False, True], ids=["pictures", "clips"])
def test_detected_pa_of_generated_pictures(clip):
    protocol = dataclasses.replace(segments.DETECTED["pa"], weights_sha256=None)
    judge = SegmentationJudge(Thresholds(), protocol, digest="")
    halves = torch.full((4, 3, 40, 40), 10, dtype=torch.uint8)
    halves[..., 20:] = 240
    sketch = torch.zeros(4, 40, 40, dtype=torch.int64)
    sketch[..., 20:] = 1
    sketch[0] = 1 - sketch[0]  # one of four is the wrong way round
    if clip:
        halves, sketch = halves.unflatten(0, (2, 2)), sketch.unflatten(0, (2, 2))
    metric = DetectedPixelAccuracy(protocol, judge=judge)
    metric.update(halves, sketch)
    assert float(metric.compute()) == pytest.approx(0.75, abs=0.01)


def test_cocos_classes_become_vocs():
    labels = torch.arange(len(COCO)).view(1, 1, -1)
    names = [VOC_CLASSES[label] for label in as_voc(labels, COCO).flatten().tolist()]
    assert names[COCO.index("airplane")] == "aeroplane"
    assert names[COCO.index("tv")] == "tvmonitor"
    assert names[COCO.index("truck")] == names[COCO.index("vase")] == "background"
    assert set(names) == set(VOC_CLASSES)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match="expected MS-COCO's classes with 'airplane' among them, got 2 others"):
        as_voc(torch.zeros(1, 2, 2), ("background", "ring"))
