from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from nuwa.data.coco import CocoCaptions

from .conftest import POLYGON, instance, run_lengths

# pycocotools 2.0.11 says this on every decode
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

CAR, CAT, BRUSH = 1, 2, 3


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    inside = np.zeros((8, 12), bool)
    inside[top:bottom, left:right] = True
    return inside


def labels_of(root) -> np.ndarray:
    return CocoCaptions(root).segments.labels(7)


def test_classes_are_contiguous(make_coco) -> None:
    assert CocoCaptions(make_coco()).segments.classes == ("background", "car", "cat", "toothbrush")


def test_polygons_fill_their_pixels(make_coco) -> None:
    labels = labels_of(make_coco())
    assert (labels.shape, labels.dtype) == ((8, 12), np.int64)
    assert np.array_equal(labels == CAT, box(1, 2, 4, 6))


def test_polygons_agree_with_pillow(make_coco) -> None:
    points = [1.0, 0.5, 10.5, 2.0, 7.0, 7.2, 2.5, 6.0]
    canvas = Image.new("L", (12 * 16, 8 * 16))
    ImageDraw.Draw(canvas).polygon([coordinate * 16 for coordinate in points], fill=1)
    share = np.asarray(canvas).reshape(8, 16, 12, 16).mean((1, 3))  # how much of each pixel lies inside
    labels = labels_of(make_coco(instances=[instance(1, 7, 3, [points])]))
    assert (labels[share > 0.9] == CAR).all()
    assert (labels[share < 0.1] == 0).all()


def test_several_polygons_are_one_instance(make_coco) -> None:
    parts = [POLYGON, [8, 5, 11, 5, 11, 7, 8, 7]]
    labels = labels_of(make_coco(instances=[instance(1, 7, 90, parts)]))
    assert np.array_equal(labels == BRUSH, box(1, 2, 4, 6) | box(5, 8, 7, 11))


@pytest.mark.parametrize("inside", [box(0, 0, 3, 5), box(2, 3, 8, 12), box(0, 0, 8, 12)], ids=["corner", "rest", "all"])
def test_run_lengths(make_coco, inside: np.ndarray) -> None:
    labels = labels_of(make_coco(instances=[instance(1, 7, 3, run_lengths(inside), crowd=1)]))
    assert np.array_equal(labels == CAR, inside)


def test_compressed_run_lengths(make_coco) -> None:
    from pycocotools import mask

    inside = box(2, 3, 8, 12)
    code = mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    shape = {"size": code["size"], "counts": code["counts"].decode()}
    assert np.array_equal(labels_of(make_coco(instances=[instance(1, 7, 3, shape)])) == CAR, inside)


@pytest.mark.parametrize("order", [1, -1])
def test_small_lies_on_large_and_crowds_below(make_coco, order: int) -> None:
    instances = [
        instance(1, 7, 3, run_lengths(box(0, 0, 2, 2)), crowd=1),
        instance(2, 7, 17, run_lengths(box(0, 0, 6, 6))),
        instance(3, 7, 90, run_lengths(box(1, 1, 4, 4))),
        instance(4, 7, 3, run_lengths(box(0, 0, 8, 8)), crowd=1),
    ]
    expected = np.zeros((8, 12), int)
    expected[:8, :8], expected[:6, :6], expected[1:4, 1:4] = CAR, CAT, BRUSH
    assert np.array_equal(labels_of(make_coco(instances=instances[::order])), expected)


def test_a_picture_without_instances_is_background(make_coco) -> None:
    assert not CocoCaptions(make_coco()).segments.labels(9).any()


def test_maps_are_cut_like_pictures(make_coco) -> None:
    root = make_coco(instances=[instance(1, 7, 3, run_lengths(box(2, 3, 6, 7)))])
    Image.fromarray(np.where(box(2, 3, 6, 7), 255, 0).astype(np.uint8)).save(
        root / "val2017/000000000007.jpg", quality=100
    )
    data = CocoCaptions(root, size_px=8)
    labels = data.segmentation(3)
    assert (labels.shape, labels.dtype) == ((8, 8), torch.int64)
    assert torch.equal(labels == CAR, data.image(3)[0] > 127)


@pytest.mark.parametrize(
    "shape",
    [
        [],
        [[1, 1, 4, 4]],
        [[1, 1, 4, 4, 2]],
        "polygon",
        {"size": [12, 8], "counts": [96]},
        {"size": [8, 12], "counts": [95]},
        {"size": [8, 12]},
    ],
    ids=str,
)
def test_shapes_that_are_not_cocos(make_coco, shape: object) -> None:
    data = CocoCaptions(make_coco(instances=[instance(5, 7, 3, shape)]))
    with pytest.raises(ValueError, match="expected instance 5 to have polygons or a run-length code of 8 x 12 pixels"):
        data.segmentation(3)


def test_unknown_categories_and_pictures(make_coco) -> None:
    with pytest.raises(ValueError, match="instance 5 has the unknown category 4"):
        labels_of(make_coco(instances=[instance(5, 7, 4, [POLYGON])]))
    with pytest.raises(ValueError, match="does not list picture 10"):
        CocoCaptions(make_coco()).segments.labels(10)


def test_missing_instances(make_coco) -> None:
    root = make_coco()
    (root / "annotations/instances_val2017.json").unlink()
    data = CocoCaptions(root)
    with pytest.raises(ValueError, match=r"expected .*instances_val2017\.json, found no such file"):
        data.segmentation(0)


def test_without_pycocotools(make_coco, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nuwa.data.coco_segments", raising=False)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    data = CocoCaptions(make_coco())
    with pytest.raises(ValueError, match="need pycocotools; python -m pip install pycocotools"):
        data.segmentation(0)
