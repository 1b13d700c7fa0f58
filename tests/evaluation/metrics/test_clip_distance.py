import dataclasses
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from stand_ins import TinyVideoNetwork, moving_clips

from evaluation.metrics import FVD, FIDVid, SmallSampleWarning
from evaluation.metrics.clip_distance import clip_distance
from evaluation.protocols import cd_fvd, google, kinetics, stylegan_v, videogpt

NARROW = dataclasses.replace(google.FVD, width=8, replicates=20, weights_sha256=None)
QUIET = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def sets(n: int = 400, m: int = 300, d: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g) * 2 + 1, torch.randn(m, d, generator=g)


def with_sqrtm(generated: torch.Tensor, real: torch.Tensor, ddof: int) -> float:
    """As StyleGAN-V and content-debiased-fvd compute it."""
    (mu1, sigma1), (mu2, sigma2) = (
        (side.numpy().astype(np.float64).mean(0), np.cov(side.numpy().astype(np.float64), rowvar=False, ddof=ddof))
        for side in (generated, real)
    )
    root = scipy.linalg.sqrtm(sigma1 @ sigma2)
    return float(np.real(np.square(mu1 - mu2).sum() + np.trace(sigma1 + sigma2 - 2 * root)))


def in_float32(generated: torch.Tensor, real: torch.Tensor) -> float:
    """As VideoGPT computes it, after TFGAN: everything in float32, from the features on."""

    def root(matrix: torch.Tensor) -> torch.Tensor:
        left, values, right = torch.linalg.svd(matrix)
        return left @ torch.where(values < 1e-10, values, values.sqrt()).diag() @ right

    half = root(generated.T.cov())
    trace = (generated.T.cov() + real.T.cov()).trace() - 2 * root(half @ real.T.cov() @ half).trace()
    return float(trace + (generated.mean(0) - real.mean(0)).square().sum())


@pytest.mark.parametrize(
    ("protocol", "ddof"),
    [(google.FVD, 1), (stylegan_v.FVD, 0), (cd_fvd.FVD, 0)],
    ids=lambda value: getattr(value, "id", ""),
)
@QUIET
def test_second_opinion_sqrtm(protocol, ddof):
    generated, real = sets()
    found = clip_distance(generated, real, dataclasses.replace(protocol, width=8, replicates=2))
    assert found.value == pytest.approx(with_sqrtm(generated, real, ddof), rel=1e-8)
    assert found.value != pytest.approx(with_sqrtm(generated, real, 1 - ddof), rel=1e-8)


def decaying(n: int, shift: float) -> torch.Tensor:
    """Features like I3D's logits: variances over four orders of magnitude."""
    g = torch.Generator().manual_seed(n + int(shift))
    mix = torch.randn(400, 400, generator=torch.Generator().manual_seed(9)) / 20
    return (torch.randn(n, 400, generator=g) * torch.linspace(0, -5, 400).exp() * 2) @ mix + shift


@pytest.mark.parametrize("n", [512, 2048])
@QUIET
def test_videogpt_computes_in_float32(n):
    generated, real = decaying(n, 0.3), decaying(n + 1, 0.0)
    protocol = dataclasses.replace(videogpt.FVD, replicates=2)
    found = clip_distance(generated, real, protocol).value
    exact = clip_distance(generated, real, dataclasses.replace(protocol, arithmetic="float64")).value
    expected = in_float32(generated, real)
    assert exact == pytest.approx(with_sqrtm(generated, real, 1), rel=1e-6)
    assert expected / exact - 1 > 5e-4  # its rounding can be seen, and is most of what sets the two apart
    assert abs(found - expected) < 0.5 * abs(exact - expected)


@pytest.mark.parametrize("protocol", [google.FVD, videogpt.FVD], ids=lambda protocol: protocol.id)
@QUIET
def test_a_set_is_at_no_distance_from_itself(protocol):
    features = decaying(300, 0.0)
    found = clip_distance(features, features, dataclasses.replace(protocol, replicates=2)).value
    assert 0 <= found < 2e-3 * float(features.var(0).sum())


@pytest.mark.parametrize("protocol", [google.FVD, stylegan_v.FVD, videogpt.FVD], ids=lambda protocol: protocol.id)
@QUIET
def test_order_does_not_matter(protocol):
    generated, real = decaying(256, 0.3), decaying(257, 0.0)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(1))
    one, other = FVD(protocol), FVD(protocol)
    for metric, features in ((one, generated), (other, generated[order])):
        for part in features.split(7):
            metric.update(part, real=False)
        metric.update(real, real=True)
    assert float(one.compute()) == pytest.approx(float(other.compute()), rel=1e-6)


@QUIET
def test_streaming_gives_the_number_of_the_whole():
    generated, real = sets()
    metric = FVD(NARROW, keep_features=False)
    for part in generated.split(7):
        metric.update(part, real=False)
    for part in real.split(64):
        metric.update(part, real=True)
    assert float(metric.compute()) == pytest.approx(clip_distance(generated, real, NARROW).value, rel=1e-10)
    with pytest.raises(ValueError, match="keep_features=True"):
        metric.estimates()


@QUIET
def test_fed_with_clips():
    network = TinyVideoNetwork()
    protocol = dataclasses.replace(NARROW, width=32)
    generated, real = moving_clips(9), moving_clips(8, seed=1)
    metric = FVD(protocol, judge=network)
    metric.update(generated.float() / 255, real=False)
    metric.update(real, real=True)
    assert network.seen == 17  # as many as were handed in: none was drawn again
    expected = clip_distance(network(generated).features, network(real).features, protocol)
    assert float(metric.compute()) == pytest.approx(expected.value, rel=1e-6)
    assert metric.estimates()[0].n == 9


@QUIET
def test_the_interval_stands_around_the_number_itself():
    generated, real = (side.double() + 1e-9 * side.double().square() for side in sets())  # no float32
    metric = FVD(NARROW)
    metric.update(generated, real=False)
    metric.update(real, real=True)
    assert metric.estimates()[0].value == float(metric.compute())


@pytest.mark.parametrize(
    ("metric", "name", "protocol"), [(FVD, "FVD", google.FVD), (FIDVid, "FID-vid", kinetics.FID_VID["r3d-18"])]
)
@QUIET
def test_estimate_says_what_it_is(metric, name, protocol):
    distance = metric()
    width = protocol.width
    distance.update(sets(30, 30, width)[0], real=False)
    distance.update(sets(30, 30, width)[1], real=True)
    estimate = distance.estimates()[0]
    assert (estimate.name, estimate.protocol, estimate.n) == (name, protocol.id, 30)
    assert not estimate.higher_is_better
    assert estimate.ci95[0] <= estimate.value <= estimate.ci95[1]


@pytest.mark.parametrize(
    ("n", "protocol", "messages"),
    [
        (
            200,
            google.FVD,
            ["200 generated clips; no FVD is published with fewer than 256; the covariance of 400 features"],
        ),
        (300, google.FVD, ["300 generated clips; the covariance of 400 features has no full rank"]),
        (500, stylegan_v.FVD, ["500 generated clips; it is published with 2,048; the distance is biased upwards"]),
        (255, videogpt.FVD, ["it is published with 256; no FVD is published with fewer than 256; the covariance"]),
        (500, google.FVD, []),
    ],
)
def test_small_sets_are_warned_about(n, protocol, messages):
    metric = FVD(protocol)
    metric.update(sets(n, 2, 400)[0], real=False)
    metric.update(sets(2100, 2, 400)[0] + 1, real=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        metric.compute()
    found = [str(each.message) for each in caught if each.category is SmallSampleWarning]
    assert len(found) == len(messages)
    assert all(message in text for message, text in zip(messages, found, strict=True))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(4, 7), r"features: expected \(b, 8\) for this protocol, got \(4, 7\)"),
        (torch.full((4, 8), torch.nan), "NaN or infinity"),
        (torch.zeros(4, 8, 2), r"expected \(b, t, 3, h, w\), got \(4, 8, 2\)"),
        (moving_clips(2), r"fvd@google-1: expected i3d-torchscript to judge with, got none; pass weights=FOLDER"),
    ],
)
def test_wrong_features_are_caught(samples, message):
    with pytest.raises(ValueError, match=message):
        FVD(NARROW).update(samples, real=True)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (moving_clips(2, t=8), "expected clips of at least 10 frames"),
        (moving_clips(2, t=12), r"expected clips of 16 frames, got 12; .* protocol.of_frames\(12\)"),
        (moving_clips(2).permute(0, 1, 3, 4, 2), "channels last"),
        (moving_clips(2).transpose(1, 2), "channels before frames"),
        (moving_clips(2).float(), "divide by 255"),
        (moving_clips(2)[0], "add the batch axis"),
        (torch.ones(1, 16, 3, 8, 8, dtype=torch.uint8), "got only 0 and 1"),
        (torch.full((1, 16, 3, 8, 8), torch.nan), "NaN or infinity"),
    ],
)
def test_wrong_clips_are_caught(clips, message):
    with pytest.raises(ValueError, match=message):
        FVD(NARROW, judge=TinyVideoNetwork()).update(clips, real=True)


def test_a_comparison_has_one_length():
    metric = FIDVid(dataclasses.replace(kinetics.FID_VID["r3d-18"], width=32), judge=TinyVideoNetwork())
    metric.update(moving_clips(2, t=5), real=True)
    with pytest.raises(ValueError, match="fid-vid@r3d-18-1: expected samples of 5 frames as before, got 6"):
        metric.update(moving_clips(2, t=6), real=False)
    metric.reset()
    metric.update(moving_clips(2, t=6), real=False)


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        (0, 9, "generated clips: expected at least 2, got an empty set"),
        (1, 9, "generated clips: expected at least 2, got one"),
        (9, 1, "real clips: expected at least 2, got one"),
    ],
)
@QUIET
def test_sets_that_are_too_small_have_no_distance(generated, real, message):
    metric = FVD(NARROW)
    for side, number in ((False, generated), (True, real)):
        if number:
            metric.update(sets(number, 1)[0], real=side)
    with pytest.raises(ValueError, match=message):
        metric.compute()
    with pytest.raises(ValueError, match=message):
        metric.estimates()


def test_protocols_go_by_name():
    assert FVD("stylegan-v").protocol is stylegan_v.FVD
    assert FIDVid("swin3d-t").protocol is kinetics.FID_VID["swin3d-t"]
    with pytest.raises(ValueError, match="fvd: unknown protocol 'stylegan'"):
        FVD("stylegan")


@pytest.mark.parametrize("protocol", [google.FVD, stylegan_v.FVD, videogpt.FVD], ids=lambda protocol: protocol.id)
@QUIET
def test_clips_that_are_all_alike(protocol):
    metric = FVD(dataclasses.replace(protocol, width=8))
    metric.update(torch.full((20, 8), 2.0), real=False)
    metric.update(torch.full((20, 8), -1.0), real=True)
    assert float(metric.compute()) == pytest.approx(8 * 9.0)
    assert metric.estimates()[0].ci95 == pytest.approx((72.0, 72.0))
