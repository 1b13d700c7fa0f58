import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from evaluation.metrics.blur import blur, gaussian_blur, pil_box_blur, pillow_blur


def noise(h: int, w: int, b: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (b, 3, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def by_pillow(images: torch.Tensor, sigma: float) -> np.ndarray:
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    return np.stack([np.asarray(p.filter(ImageFilter.GaussianBlur(sigma))).transpose(2, 0, 1) for p in pictures])


@pytest.mark.parametrize("sigma", [0.125, 0.5, 1, 1.3, 2, 4, 8, 30])
@pytest.mark.parametrize("size", [(32, 32), (64, 48), (5, 7), (1, 9)], ids=str)
def test_box_is_pillow_byte_for_byte(size, sigma):
    images = noise(*size, b=2)
    np.testing.assert_array_equal(pil_box_blur(images, sigma).numpy(), by_pillow(images, sigma))


@given(sigma=st.floats(0.01, 12), h=st.integers(1, 20), w=st.integers(1, 20), seed=st.integers(0, 99))
def test_box_is_pillow_at_any_size(sigma, h, w, seed):
    images = noise(h, w, seed=seed)
    np.testing.assert_array_equal(pil_box_blur(images, sigma).numpy(), by_pillow(images, sigma))


@pytest.mark.parametrize("images", [noise(20, 30, b=2), noise(30, 20, b=2).transpose(2, 3)], ids=["rows", "columns"])
@pytest.mark.parametrize("sigma", [0.5, 2, 8])
def test_planes_are_blurred_as_pictures_are(images, sigma):
    np.testing.assert_array_equal(pillow_blur(images, sigma).numpy(), by_pillow(images, sigma))


@pytest.mark.parametrize("sigma", [0.125, 0.25, 0.5, 1, 2.5, 8])
@pytest.mark.parametrize("size", [(32, 32), (9, 20)], ids=str)
def test_gaussian_is_that_of_scipy(size, sigma):
    images = noise(*size)
    expected = scipy.ndimage.gaussian_filter(
        images.numpy().astype(np.float64), sigma, axes=(2, 3), mode="nearest", truncate=4.0
    )
    assert np.abs(gaussian_blur(images, sigma).numpy() - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("kernel", ["gaussian", "pil-box"])
@given(level=st.integers(0, 255), sigma=st.floats(0, 10))
def test_a_flat_picture_stays_flat(kernel, level, sigma):
    images = torch.full((1, 3, 6, 4), level, dtype=torch.uint8)
    assert torch.equal(blur(images, sigma, kernel), images)


@pytest.mark.parametrize("kernel", ["gaussian", "pil-box"])
def test_pictures_do_not_mix(kernel):
    images = noise(16, 16, b=3)
    assert torch.equal(blur(images, 2, kernel)[1:2], blur(images[1:2], 2, kernel))


@pytest.mark.parametrize("kernel", ["gaussian", "pil-box"])
def test_variance_of_the_kernel(kernel):
    images = torch.zeros(1, 3, 101, 101, dtype=torch.uint8)
    images[..., 50] = 255
    row = blur(images, 4, kernel)[0, 0, 50].double()
    positions = torch.arange(101) - 50
    assert float((row * positions**2).sum() / row.sum()) == pytest.approx(16, rel=0.05)


@pytest.mark.parametrize("kernel", ["gaussian", "pil-box"])
def test_radius_0_changes_nothing(kernel):
    images = noise(8, 8)
    assert blur(images, 0.0, kernel) is images


@pytest.mark.parametrize(
    ("images", "sigma", "message"),
    [
        (noise(4, 4).float(), 1.0, "expected uint8"),
        (noise(4, 4)[0], 1.0, r"expected uint8 \(b, c, h, w\)"),
        (noise(4, 4), -1.0, "sigma >= 0"),
        (noise(4, 4), float("nan"), "sigma >= 0"),
        (noise(4, 4), float("inf"), "finite sigma"),
    ],
)
def test_wrong_use_is_caught(images, sigma, message):
    with pytest.raises(ValueError, match=message):
        blur(images, sigma, "gaussian")
