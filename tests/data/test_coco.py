from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nuwa.data.captioned import CaptionedPictures
from nuwa.data.coco import CocoCaptions
from nuwa.data.images import UnreadableImage, read_image, resize_square

JSON = "annotations/captions_val2017.json"


def test_samples_lie_by_rising_caption_id(make_coco) -> None:
    data = CocoCaptions(make_coco(), size_px=8)
    assert data.ids == ["12", "14", "25", "31", "40"]
    assert data.captions == ["Two dogs", "dogs play", "a cat", "A red bus.", "one cat"]
    assert [item.image_id for item in data.items] == [9, 9, 8, 7, 8]
    assert (data.name, data.version, data.split, data.skipped, len(data)) == ("coco", "2017", "val", [], 5)


def test_it_is_a_set_of_captioned_pictures(make_coco) -> None:
    data: CaptionedPictures = CocoCaptions(make_coco(), size_px=8)
    assert isinstance(data, CaptionedPictures)
    image = data.image(3)
    assert (image.shape, image.dtype) == ((3, 8, 8), torch.uint8)
    assert (image[0].int() - 7 * 20).abs().max() <= 2


def test_pictures_are_cut_and_resized_by_the_rule(make_coco) -> None:
    root = make_coco()
    Image.effect_mandelbrot((12, 8), (-2, -1, 1, 1), 50).convert("RGB").save(root / "val2017/000000000007.jpg")
    image = read_image(root / "val2017/000000000007.jpg")
    assert torch.equal(CocoCaptions(root, size_px=5).image(3), resize_square(image, 5))


def test_pixels_are_taken_as_stored(make_coco) -> None:
    root, exif = make_coco(), Image.Exif()
    exif[0x0112] = 6
    Image.effect_mandelbrot((12, 8), (-2, -1, 1, 1), 50).save(root / "val2017/000000000007.jpg", exif=exif)
    data = CocoCaptions(root, size_px=8)
    assert data.skipped == []
    assert torch.equal(data.image(3), resize_square(read_image(data.items[3].path, orient=False), 8))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("year", ["2014", "2017"])
def test_the_year_is_found(make_coco, split: str, year: str) -> None:
    assert CocoCaptions(make_coco(split, year), split).version == year


def test_two_years_want_a_choice(make_coco) -> None:
    make_coco("val", "2014")
    root = make_coco("val", "2017")
    with pytest.raises(ValueError, match="val captions of 2014 and 2017; say which with year"):
        CocoCaptions(root)
    assert CocoCaptions(root, year="2014").items[0].path.parent.name == "val2014"


def test_a_missing_root_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected .*nowhere/annotations/captions_val2014\.json or .*2017\.json, found"
    ):
        CocoCaptions(tmp_path / "nowhere")


def test_captions_without_pictures(make_coco) -> None:
    with pytest.raises(
        ValueError, match=r"3 of 3 pictures .* are missing in .*val2017: 000000000007\.jpg, 000000000008"
    ):
        CocoCaptions(make_coco(draw=False))


def test_missing_pictures_can_be_allowed(make_coco) -> None:
    root = make_coco()
    (root / "val2017/000000000009.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 pictures .*: 000000000009\.jpg; unpack val2017\.zip"):
        CocoCaptions(root)
    data = CocoCaptions(root, allow_missing=True)
    assert [(skip.id, skip.reason) for skip in data.skipped] == [
        ("12", "val2017/000000000009.jpg: no such file"),
        ("14", "val2017/000000000009.jpg: no such file"),
    ]
    assert data.ids == ["25", "31", "40"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def grow(path: Path) -> None:
    Image.new("RGB", (13, 8)).save(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, ": "),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_text("gone"), "not a PNG"),
        (grow, "13 x 8 pixels, expected 12 x 8"),
    ],
    ids=["truncated", "empty", "text", "another size"],
)
def test_unreadable_pictures_are_left_out_and_named(make_coco, damage, reason: str) -> None:
    root = make_coco()
    damage(root / "val2017/000000000008.jpg")
    data = CocoCaptions(root, size_px=8)
    assert data.ids == ["12", "14", "31"]
    assert [skip.id for skip in data.skipped] == ["25", "40"]
    assert all(skip.reason.startswith("val2017/000000000008.jpg: ") and reason in skip.reason for skip in data.skipped)
    assert all(data.image(place).shape == (3, 8, 8) for place in range(len(data)))


@pytest.mark.parametrize("text", ["", "  \n", "&nbsp;", "\u0000"])
def test_empty_captions_are_left_out_and_named(make_coco, text: str) -> None:
    captions = [{"id": 1, "image_id": 7, "caption": text}, {"id": 2, "image_id": 7, "caption": "a bus"}]
    data = CocoCaptions(make_coco(annotations=captions))
    assert data.captions == ["a bus"]
    assert [(skip.id, skip.reason) for skip in data.skipped] == [("1", "empty caption")]


def test_nothing_left_is_an_error(make_coco) -> None:
    with pytest.raises(ValueError, match="no caption is left, 1 were skipped, the first because: empty caption"):
        CocoCaptions(make_coco(annotations=[{"id": 1, "image_id": 7, "caption": ""}]))


def test_a_picture_that_breaks_later_is_named(make_coco) -> None:
    data = CocoCaptions(make_coco())
    data.items[0].path.unlink()
    with pytest.raises(UnreadableImage, match="No such file"):
        data.image(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, "expected a list 'annotations', got NoneType"),
        ({"images": {}}, "expected a list 'images', got dict"),
        ({"annotations": [3]}, r"expected an object at annotations\[0\], got int"),
        ({"annotations": [{"id": 1, "image_id": 7}]}, r"annotations\[0\] to have 'caption' of type str, got nothing"),
        ({"annotations": [{"id": "1", "image_id": 7, "caption": "a"}]}, "'id' of type int, got str"),
        ({"annotations": [{"id": 1, "image_id": 7, "caption": "a"}] * 2}, "annotations has the id 1 twice"),
        ({"annotations": [{"id": 1, "image_id": 5, "caption": "a"}]}, "caption 1 has an unknown picture"),
        ({"images": [{"id": 7, "file_name": "../x.jpg", "height": 8, "width": 12}]}, "picture"),
    ],
)
def test_json_that_is_not_cocos(make_coco, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"captions_val2017.json is not one of COCO's files: .*{message}"):
        CocoCaptions(make_coco(**change))


def test_pictures_outside_the_folder_are_refused(make_coco) -> None:
    images = [{"id": 7, "file_name": "../../secret.jpg", "height": 8, "width": 12}]
    captions = [{"id": 1, "image_id": 7, "caption": "a"}]
    with pytest.raises(ValueError, match="caption 1 has a picture outside val2017/"):
        CocoCaptions(make_coco(images=images, annotations=captions))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no json"), ("[]", "expected an object, got list"), ("\ufffe", "is no json")],
)
def test_files_that_are_no_json(make_coco, text: str, message: str) -> None:
    root = make_coco()
    (root / JSON).write_bytes(text.encode("utf-16" if text == "\ufffe" else "utf-8"))
    with pytest.raises(ValueError, match=message):
        CocoCaptions(root)


def test_a_list_of_ids_chooses(make_coco) -> None:
    root = make_coco()
    assert CocoCaptions(root, caption_ids=[40, 12]).ids == ["12", "40"]
    with pytest.raises(ValueError, match=r"has no caption 13, 99; use ids"):
        CocoCaptions(root, caption_ids=[12, 13, 99])
    with pytest.raises(ValueError, match="caption_ids or limit, got both"):
        CocoCaptions(root, caption_ids=[12], limit=1)


def test_limits_are_nested_and_do_not_depend_on_the_order_in_the_file(make_coco) -> None:
    captions = [{"id": number, "image_id": 7, "caption": "a"} for number in range(30)]
    root = make_coco(annotations=captions)
    chosen = [set(CocoCaptions(root, limit=count).ids) for count in (3, 10, 30)]
    assert [len(ids) for ids in chosen] == [3, 10, 30]
    assert chosen[0] < chosen[1] < chosen[2]
    assert set(CocoCaptions(make_coco(annotations=captions[::-1]), limit=10).ids) == chosen[1]
    # python -c "from nuwa import noise; import numpy as np; print(sorted(np.argsort(noise.bits(
    #     noise.key('coco', '2017', 'val'), np.arange(30)))[:3]))"
    assert chosen[0] == {"2", "15", "16"}


@pytest.mark.parametrize("limit", [0, 6])
def test_impossible_limits(make_coco, limit: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 to 5 captions of .*, got {limit}"):
        CocoCaptions(make_coco(), limit=limit)


def test_fingerprints_name_the_samples(make_coco) -> None:
    root = make_coco()
    first = CocoCaptions(root, size_px=8).fingerprint
    assert CocoCaptions(root, size_px=16).fingerprint == first
    assert CocoCaptions(root, limit=4).fingerprint != first
    document = json.loads((root / JSON).read_text())
    (root / JSON).write_text(json.dumps(document | {"annotations": document["annotations"][::-1], "info": {}}))
    assert CocoCaptions(root).fingerprint == first
    document["annotations"][0]["caption"] += "!"
    (root / JSON).write_text(json.dumps(document))
    other = CocoCaptions(root).fingerprint
    assert other != first
    with (root / "val2017/000000000007.jpg").open("ab") as handle:
        handle.write(b"\0")
    assert CocoCaptions(root).fingerprint not in (first, other)
