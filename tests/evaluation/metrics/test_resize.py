import typing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from evaluation.metrics.resize import pil_bytes, pil_float, resize, tf1_bilinear
from evaluation.protocols.kinds import Resize

SIZES = [(32, 32), (64, 48), (256, 256), (299, 299), (400, 310), (5, 7)]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
RULES = typing.get_args(Resize)


OVERSHOOTS = "torch-bicubic-antialias"  # EDM2 does not clip what it makes of sharp edges


def pictures(h: int, w: int, b: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (b, 3, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(h * w))


def tensorflow_1(image: np.ndarray, size: int) -> np.ndarray:
    """The loop of TensorFlow's resize_bilinear_op.cc, in float64."""
    h, w, c = image.shape
    out = np.empty((size, size, c))
    for i in range(size):
        for j in range(size):
            y, x = i * h / size, j * w / size
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            top = image[y0, x0] + (image[y0, x1] - image[y0, x0]) * (x - x0)
            low = image[y1, x0] + (image[y1, x1] - image[y1, x0]) * (x - x0)
            out[i, j] = top + (low - top) * (y - y0)
    return out


@pytest.mark.parametrize("size", [(32, 32), (16, 50), (60, 70)], ids=str)
def test_tf1_is_the_loop(size):
    images = pictures(*size).float() / 255
    expected = tensorflow_1(images[0].permute(1, 2, 0).double().numpy(), 43)
    np.testing.assert_allclose(tf1_bilinear(images, 43)[0].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_second_opinion_torch_fidelity(size):
    images = pictures(*size).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
    torch.testing.assert_close(tf1_bilinear(images, 299), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kernel", FILTERS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_floats_are_pillows(size, kernel):
    images = pictures(*size)
    channels = [Image.fromarray(channel.numpy().astype(np.float32)) for channel in images[0]]
    expected = np.stack([np.asarray(channel.resize((299, 299), FILTERS[kernel])) for channel in channels])
    np.testing.assert_allclose(pil_float(images.float(), 299, kernel)[0], expected, rtol=0, atol=1e-4)


def by_pillow(image: torch.Tensor, size: int, kernel: str) -> np.ndarray:
    """Two calls fix the order of the axes: Pillow 13 would choose it by cost, older ones take the width first."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    return np.asarray(picture.resize((size, picture.height), FILTERS[kernel]).resize((size, size), FILTERS[kernel]))


@pytest.mark.parametrize("kernel", FILTERS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_bytes_are_pillows_byte_for_byte(size, kernel):
    images = pictures(*size, b=2)
    expected = [by_pillow(image, 299, kernel) for image in images]
    np.testing.assert_array_equal(pil_bytes(images, 299, kernel).permute(0, 2, 3, 1), np.stack(expected))


@settings(max_examples=40)
@given(h=st.integers(1, 40), w=st.integers(1, 40), size=st.integers(1, 50), kernel=st.sampled_from(list(FILTERS)))
def test_bytes_are_pillows_at_any_size(h, w, size, kernel):
    images = pictures(h, w)
    np.testing.assert_array_equal(
        pil_bytes(images, size, kernel)[0].permute(1, 2, 0), by_pillow(images[0], size, kernel)
    )


@pytest.mark.parametrize("size", [(40, 40), (30, 50), (64, 33)], ids=str)
def test_the_central_square_is_resized_where_the_rule_says_so(size):
    images = pictures(*size, b=2)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    square = images[..., top : top + side, left : left + side]
    assert torch.equal(resize(images, 45, "square-bicubic-uint8"), pil_bytes(square, 45, "bicubic").float())


@pytest.mark.parametrize("size", [(30, 50), (33, 64), (40, 40)], ids=str)
def test_clips_rule_keeps_the_aspect(size):
    picture = Image.fromarray(pictures(*size)[0].permute(1, 2, 0).numpy())
    resized = picture.resize((int(45 * size[1] / size[0]), 45), Image.Resampling.BICUBIC)
    left = round((resized.width - 45) / 2)
    expected = np.asarray(resized.crop((left, 0, left + 45, 45)))
    np.testing.assert_array_equal(resize(pictures(*size), 45, "clip-bicubic-uint8")[0].permute(1, 2, 0), expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_flat_picture_stays_flat(rule, level):
    images = torch.full((2, 3, 20, 31), level, dtype=torch.uint8)
    resized = resize(images, 45, rule)
    assert resized.dtype == torch.float32
    assert resized.shape == (images.shape if rule == "none" else (2, 3, 45, 45))
    torch.testing.assert_close(resized, torch.full_like(resized, level), rtol=0, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_pictures_stay_in_range_and_apart(rule):
    images = torch.cat([pictures(16, 16), 255 * (pictures(16, 16) > 127).byte()])
    resized = resize(images, 33, rule)
    assert (float(resized.min()) >= -1e-4 and float(resized.max()) <= 255 + 1e-4) == (rule != OVERSHOOTS)
    torch.testing.assert_close(resized[1:], resize(images[1:], 33, rule))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "none"])
def test_every_rule_is_another(rule):
    images = pictures(64, 50)
    others = [other for other in RULES if other not in (rule, "none")]
    assert min(float((resize(images, 45, rule) - resize(images, 45, other)).abs().max()) for other in others) > 0.3


@pytest.mark.parametrize(
    ("images", "rule", "message"),
    [
        (pictures(4, 4).float(), "tf1-bilinear", "expected uint8"),
        (pictures(4, 4)[0], "tf1-bilinear", r"expected uint8 \(b, c, h, w\)"),
        (pictures(4, 4), "lanczos", "unknown resize rule 'lanczos'"),
    ],
)
def test_wrong_use_is_caught(images, rule, message):
    with pytest.raises(ValueError, match=message):
        resize(images, 8, rule)
