"""Datasets by name: what is tested, what the floor is, and what is left out with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from evaluation.data import DATASETS, DataOptions


def options(root: Path | None = None, num: int | None = None) -> DataOptions:
    return DataOptions(root=root, num=num, size_px=32, weights=None, seed=0)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    for split, numbers in (("train", range(4)), ("val", range(10, 13))):
        images = [{"id": n, "file_name": f"{n}.png", "height": 40, "width": 50} for n in numbers]
        captions = [
            {"id": 100 * n + k, "image_id": n, "caption": f"picture {n}, wording {k}"} for n in numbers for k in (0, 1)
        ]
        (tmp_path / "annotations").mkdir(exist_ok=True)
        document = json.dumps({"images": images, "annotations": captions})
        (tmp_path / "annotations" / f"captions_{split}2017.json").write_text(document)
        (tmp_path / f"{split}2017").mkdir()
        for n in numbers:
            Image.new("RGB", (50, 40), (10 * n, 0, 0)).save(tmp_path / f"{split}2017" / f"{n}.png")
    return tmp_path


def test_sprites_floor_is_another_take_of_the_same_captions() -> None:
    data = DATASETS["sprites"](options(num=6))
    assert data.real.captions == data.test.captions
    assert len(data.test) == 6
    assert not any(torch.equal(ours, other) for ours, other in zip(data.test.images, data.real.images, strict=True))
    assert data.scenes is not None
    assert len(data.scenes) == 6


def test_coco_takes_one_caption_a_picture(coco: Path) -> None:
    data = DATASETS["coco"](options(coco))
    assert len(data.test) == 3
    assert data.test.images.shape == (3, 3, 32, 32)
    assert {name[:2] for name in data.test.ids} == {"10", "11", "12"}
    assert {each.id for each in data.notes} == {"caption accuracy", "perceptual term"}


def test_coco_choice_of_fewer_is_stable(coco: Path) -> None:
    few = DATASETS["coco"](options(coco, num=2)).test.ids
    assert few == DATASETS["coco"](options(coco, num=2)).test.ids
    assert set(few) <= set(DATASETS["coco"](options(coco)).test.ids)


def test_coco_trains_on_all_captions_of_train(coco: Path) -> None:
    training = DATASETS["coco"](options(coco)).training()
    pictures, captions = training.pictures.stream.batch(0, 8)
    assert pictures.shape == (8, 3, 32, 32)
    assert len(set(captions)) == 8  # an epoch has each of the eight captions once
    assert training.perceptual is None


def test_picture_that_breaks_later_is_left_out_and_named(coco: Path) -> None:
    data = DATASETS["coco"](options(coco))
    broken = data.test.dataset.ids[data.test.rows[0]]
    (coco / "val2017" / "10.png").write_bytes(b"broken")
    assert len(data.test) == 2
    assert [each.id for each in data.test.skipped] == [broken]
    assert torch.equal(data.test.images[0, 0], torch.full((32, 32), 110, dtype=torch.uint8))


def test_unusable_captions_are_left_out_unread_and_named(coco: Path) -> None:
    data = DATASETS["coco"](options(coco))
    first = data.test.dataset.captions[data.test.rows[0]]
    (coco / "val2017" / "10.png").unlink()  # it would be named as unreadable if it were read
    few = data.only(lambda captions: [caption != first for caption in captions], "said so")
    assert [(each.id[:2], each.reason) for each in few.test.skipped] == [("10", "said so")]
    assert {name[:2] for name in few.test.ids} == {"11", "12"}
    assert few.real.ids == data.real.ids


def test_no_usable_caption_at_all(coco: Path) -> None:
    with pytest.raises(ValueError, match="no caption of 3 can be used: said so"):
        DATASETS["coco"](options(coco)).only(lambda captions: [False] * len(captions), "said so")
