import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image import PeakSignalNoiseRatio

from evaluation.metrics import PSNR, SSIM, paired
from evaluation.metrics.pixel_errors import ssim
from evaluation.protocols import pairs

BLACK, WHITE = torch.zeros(8, 30, 3, 64, 64, dtype=torch.uint8), torch.full((8, 30, 3, 64, 64), 255, dtype=torch.uint8)


def pictures(b: int = 3, h: int = 20, w: int = 27, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    real = torch.randint(0, 256, (b, 3, h // 4 + 1, w // 4 + 1), dtype=torch.uint8, generator=g)
    real = real.repeat_interleave(4, 2).repeat_interleave(4, 3)[..., :h, :w]
    noise = torch.randint(-60, 60, real.shape, generator=g)
    return (real + noise).clamp(0, 255).byte(), real


def skimage_ssim(generated: torch.Tensor, real: torch.Tensor) -> list[float]:
    return [
        structural_similarity(
            *(side.permute(1, 2, 0).numpy() for side in pair),
            data_range=255,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in zip(generated, real, strict=True)
    ]


@pytest.mark.parametrize(("h", "w"), [(20, 27), (11, 11), (33, 12)])
def test_second_opinion_scikit_image(h, w):
    generated, real = pictures(h=h, w=w)
    found = ssim(generated, real, pairs.SSIM_CROPPED)
    np.testing.assert_allclose(found, skimage_ssim(generated, real), rtol=1e-10)


@pytest.mark.parametrize(("h", "w"), [(20, 27), (11, 11), (33, 12)])
def test_second_opinion_torchmetrics(h, w):
    generated, real = pictures(h=h, w=w)
    expected = structural_similarity_index_measure(
        generated.double() / 255, real.double() / 255, data_range=1.0, reduction="none"
    )
    found = ssim(generated, real, pairs.SSIM)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert not torch.allclose(found, ssim(generated, real, pairs.SSIM_CROPPED), rtol=1e-3)  # borders are another number


@pytest.mark.parametrize("protocol", ["torchmetrics", "wang"])
def test_black_against_white(protocol):
    metric = SSIM(protocol)
    metric.update(BLACK, WHITE)
    assert float(metric.compute()) == pytest.approx(9.999000099990664e-05, rel=1e-10)  # common_metrics_on_video_quality


@pytest.mark.parametrize("protocol", ["frames", "squared-error"])
def test_black_against_white_in_decibel(protocol):
    metric = PSNR(protocol)
    metric.update(BLACK, WHITE)
    assert float(metric.compute()) == pytest.approx(0.0, abs=1e-12)


def test_psnr_second_opinion_scikit_image():
    generated, real = pictures()
    metric = PSNR("frames")
    metric.update(generated, real)
    each = [peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=255) for a, b in zip(generated, real, strict=True)]
    assert float(metric.compute()) == pytest.approx(np.mean(each), rel=1e-12)


def test_psnr_second_opinion_torchmetrics():
    generated, real = pictures()
    ours, theirs = PSNR("squared-error"), PeakSignalNoiseRatio(data_range=1.0)
    for a, b in zip(generated.split(2), real.split(2), strict=True):
        ours.update(a, b)
        theirs.update(a.double() / 255, b.double() / 255)
    assert float(ours.compute()) == pytest.approx(float(theirs.compute()), rel=1e-6)  # theirs ends in float32


def test_equal_frames_count_the_ceiling():
    generated, real = pictures(2)
    metric = PSNR("frames")
    metric.update(torch.cat([generated[:1], real[:1]]), real[[0, 0]])
    alone = peak_signal_noise_ratio(real[0].numpy(), generated[0].numpy(), data_range=255)
    assert float(metric.compute()) == pytest.approx((alone + 100) / 2)


def test_an_infinite_ratio_is_said():
    _, real = pictures()
    metric = PSNR("squared-error")
    metric.update(real, real)
    with pytest.raises(ValueError, match="whose ratio is infinite; leave the number out"):
        metric.compute()


@settings(max_examples=30)
@given(seed=st.integers(0, 999), protocol=st.sampled_from([pairs.SSIM, pairs.SSIM_CROPPED]))
def test_ssim_is_symmetric_bounded_and_one_for_equals(seed, protocol):
    generated, real = pictures(seed=seed)
    found = ssim(generated, real, protocol)
    torch.testing.assert_close(found, ssim(real, generated, protocol))
    assert ((found > -1) & (found < 1)).all()
    torch.testing.assert_close(ssim(real, real, protocol), torch.ones(3, dtype=torch.float64))


def test_frames_are_compared_a_few_at_a_time(monkeypatch):
    generated, real = pictures(7)
    whole = SSIM()
    whole.update(generated, real)
    monkeypatch.setattr(paired, "PIXELS", 2 * 20 * 27)
    parts = SSIM()
    monkeypatch.setattr(parts, "_of_frames", lambda a, b: ssim(a, b, pairs.SSIM) if len(a) <= 2 else pytest.fail("all"))
    parts.update(generated, real)
    assert float(parts.compute()) == float(whole.compute())


def test_frames_are_averaged_before_samples():
    generated, real = pictures(6)
    metric = SSIM()
    metric.update(generated.unflatten(0, (2, 3)), real.unflatten(0, (2, 3)))
    each = ssim(generated, real, pairs.SSIM).view(2, 3)
    assert float(metric.compute()) == pytest.approx(float(each.mean()))
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.protocol, estimate.n) == ("SSIM", "ssim@torchmetrics-1", 2)
    curve = metric.curve()
    assert [point.name for point in curve] == ["SSIM, frame 1", "SSIM, frame 2", "SSIM, frame 3"]
    assert [point.value for point in curve] == pytest.approx(each.mean(0).tolist())
    assert np.mean([point.value for point in curve]) == pytest.approx(estimate.value)


@pytest.mark.parametrize("metric", [SSIM, PSNR])
def test_bytes_and_floats_are_the_same_pictures(metric):
    generated, real = pictures()
    numbers = []
    for sides in ((generated, real), (generated.float() / 255, real.double() / 255)):
        numbers.append(metric())
        numbers[-1].update(*sides)
    assert float(numbers[0].compute()) == float(numbers[1].compute())


def test_two_models_are_compared_sample_by_sample():
    _, real = pictures(40)
    near, far = (pictures(40, seed=0)[0] // step * step for step in (8, 64))
    estimates = []
    for generated in (near, far):
        metric = SSIM()
        metric.update(generated, real)
        estimates += metric.estimates()
    difference = estimates[0].minus(estimates[1])
    assert difference.value > 0
    assert difference.p_value < 0.01


GREY = torch.full((2, 3, 16, 16), 99, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        (GREY, GREY[:1], r"expected each sample beside its real one, got \(2, 3, 16, 16\) and \(1, 3, 16, 16\)"),
        (GREY, GREY[..., :12], r"got \(2, 3, 16, 16\) and \(2, 3, 16, 12\)"),
        (GREY, GREY[:, None], r"got \(2, 3, 16, 16\) and \(2, 1, 3, 16, 16\)"),
        (GREY.permute(0, 2, 3, 1), GREY.permute(0, 2, 3, 1), "channels last"),
        (GREY.float(), GREY, "divide by 255"),
        (GREY, GREY // 99, "got only 0 and 1"),
        (GREY, GREY.float() * torch.nan, "NaN or infinity"),
        (GREY[:0], GREY[:0], "at least one picture"),
        (GREY[..., :10], GREY[..., :10], "ssim@torchmetrics-1: expected at least 11 pixels a side, got 16×10"),
    ],
)
def test_wrong_use_is_caught(generated, real, message):
    with pytest.raises(ValueError, match=message):
        SSIM().update(generated, real)


def test_clips_have_one_length():
    metric = SSIM()
    metric.update(GREY[:, None], GREY[:, None])
    with pytest.raises(ValueError, match="expected samples of 1 frames as before, got 2"):
        metric.update(GREY[None], GREY[None])


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
@pytest.mark.parametrize(("n", "message"), [(0, "samples: expected at least 2, got an empty set"), (1, "got one")])
def test_too_few_samples(n, message):
    metric = SSIM()
    if n:
        metric.update(GREY[:n], GREY[:n])
    for use in (metric.compute, metric.estimates, metric.curve):
        with pytest.raises(ValueError, match=message):
            use()


def test_rounding_is_the_protocols():
    half = torch.full((2, 3, 16, 16), 99.6 / 255)
    cut = PSNR(dataclasses.replace(pairs.PSNR, quantise="truncate"))
    cut.update(half, GREY)
    assert float(cut.compute()) == 100.0
    rounded = PSNR()
    rounded.update(half, GREY)
    assert float(rounded.compute()) == pytest.approx(20 * np.log10(255))
