"""Where a view is cut, beside torchvision's ten-crop."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import ten_crop

from nuwa.data.shards.views import VIEWS, check_views

TEN = ("top-left", "top-right", "bottom-left", "bottom-right", "centre")
OF_THE_MIRRORED = ("top-right", "top-left", "bottom-right", "bottom-left", "centre")  # a mirror's left is the right
NAMES = (*TEN, *(f"{name}-mirrored" for name in OF_THE_MIRRORED))


@pytest.mark.parametrize(("place", "name"), list(enumerate(NAMES)))
@pytest.mark.parametrize("size", [(12, 12), (8, 14)], ids=str)
def test_ten_crop(place: int, name: str, size: tuple[int, int]) -> None:
    clip = torch.arange(2 * 3 * size[0] * size[1]).reshape(2, 3, *size)
    assert torch.equal(VIEWS[name](clip, 8), ten_crop(clip, [8, 8])[place])


def test_these_are_all() -> None:
    assert sorted(VIEWS) == sorted(NAMES)


@pytest.mark.parametrize("name", ["centre", "centre-mirrored"])
def test_a_sample_of_the_right_size_is_its_centre(name: str) -> None:
    picture = torch.arange(3 * 8 * 8).reshape(3, 8, 8)
    assert torch.equal(VIEWS[name](picture, 8), picture.flip(-1) if "mirrored" in name else picture)


@pytest.mark.parametrize(
    ("name", "side", "sentence"),
    [
        ("centre", 7, "view centre: expected samples of at least 8 px, got 7 x 7; read them larger with --read-px"),
        ("top-left", 8, "view top-left: expected samples larger than 8 px, got 8 x 8; read them larger"),
    ],
)
def test_nothing_to_cut_is_refused(name: str, side: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        VIEWS[name](torch.zeros(3, side, side), 8)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "views: expected one or more distinct names, got none"),
        (("centre", "centre"), "views: expected one or more distinct names, got centre, centre"),
        (("center",), "unknown view 'center'; did you mean 'centre'?"),
    ],
)
def test_wrong_names(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        check_views(names)
