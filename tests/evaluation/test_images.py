import pytest
import torch

from evaluation.images import as_bytes, check_set

GREY = torch.full((2, 3, 4, 5), 128, dtype=torch.uint8)


def test_bytes_pass_as_they_are():
    assert as_bytes(GREY) is GREY


def test_black_pictures_are_pictures():
    assert as_bytes(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)).sum() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_every_grey_level_survives_floats(dtype):
    levels = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    assert torch.equal(as_bytes((levels.double() / 255).to(dtype)), levels)


@pytest.mark.parametrize(("quantise", "expected"), [("round", 128), ("truncate", 127)])
def test_rounding_rule(quantise, expected):
    images = torch.full((1, 3, 2, 2), 127.6 / 255)
    assert (as_bytes(images, quantise) == expected).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GREY.float(), "divide by 255"),
        (GREY.float() / 256 - 1, r"use \(images \+ 1\) / 2"),
        (torch.full((1, 3, 2, 2), float("nan")), "NaN or infinity"),
        (torch.tensor([0.0, float("nan"), 0.5, 1.0]).expand(1, 3, 2, 4), "NaN or infinity"),
        (torch.full((1, 3, 2, 2), float("inf")), "NaN or infinity"),
        (torch.ones(1, 3, 2, 2, dtype=torch.uint8), "got only 0 and 1"),
        (GREY.long(), "expected uint8 or floats, got torch.int64"),
        (GREY.bool(), "expected uint8 or floats, got torch.bool"),
        (GREY.permute(0, 2, 3, 1), "channels last"),
        (GREY[0], "add the batch axis"),
        (GREY[:, None], "flatten clips to frames"),
        (GREY[0, 0], r"expected \(b, 3, h, w\), got \(4, 5\)"),
        (GREY[:, :1], r"expected 3 channels \(RGB\), got 1"),
        (torch.zeros(1, 4, 5, 5, dtype=torch.uint8), "got 4"),
        (GREY[:0], "at least one picture"),
        (GREY.numpy(), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_use_is_caught(images, message):
    with pytest.raises(ValueError, match=message):
        as_bytes(images)


@pytest.mark.parametrize(("count", "message"), [(0, "got an empty set"), (1, "got one")])
def test_sets_need_two_samples(count, message):
    with pytest.raises(ValueError, match=message):
        check_set(count)
