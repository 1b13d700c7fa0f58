import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from evaluation.metrics import FID, SmallSampleWarning
from evaluation.metrics.fid import fid
from evaluation.protocols import sprites

NARROW = dataclasses.replace(sprites.FID, width=8, replicates=20)


def sets(n: int = 60, m: int = 50, d: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g) * 2 + 1, torch.randn(m, d, generator=g)


def test_second_opinion_torch_fidelity():
    generated, real = sets()
    statistics = [fid_features_to_statistics(side.double()) for side in (generated, real)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert fid(generated, real, NARROW).value == pytest.approx(expected, rel=1e-6)


def test_second_opinion_torchmetrics():
    class Pixels(torch.nn.Module):
        num_features = 8

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float().flatten(1)[:, :8]

    g = torch.Generator().manual_seed(0)
    generated, real = torch.randint(0, 256, (2, 60, 3, 4, 4), dtype=torch.uint8, generator=g)
    theirs = FrechetInceptionDistance(feature=Pixels(), antialias=False)
    theirs.update(generated, real=False)
    theirs.update(real, real=True)
    ours = fid(Pixels()(generated), Pixels()(real), NARROW).value
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-4)  # theirs ends in float32


@pytest.mark.parametrize("ddof", [0, 1])
def test_ddof_is_the_protocols(ddof):
    generated, real = sets()
    protocol = dataclasses.replace(NARROW, ddof=ddof)
    statistics = [(side.double().mean(0), np.cov(side.numpy().T, ddof=ddof)) for side in (generated, real)]
    expected = fid_statistics_to_metric(
        *({"mu": mu.numpy(), "sigma": sigma} for mu, sigma in statistics), verbose=False
    )["frechet_inception_distance"]
    assert fid(generated, real, protocol).value == pytest.approx(expected, rel=1e-6)


def test_estimate_says_what_it_is():
    generated, real = sets()
    estimate = fid(generated, real, NARROW, radius=4)
    assert (estimate.name, estimate.protocol, estimate.n) == ("FID-4", "fid@sprites-1", 60)
    assert estimate.ci95[0] <= estimate.value <= estimate.ci95[1]
    assert not estimate.higher_is_better
    assert len(estimate.replicates) == 20


@pytest.mark.parametrize("keep_features", [True, False])
def test_streaming_gives_the_number_of_the_whole(keep_features):
    generated, real = sets()
    metric = FID(NARROW, keep_features=keep_features)
    for part in generated.split(7):
        metric.update(part, real=False)
    for part in real.split(11):
        metric.update(part, real=True)
    assert float(metric.compute()) == pytest.approx(fid(generated, real, NARROW).value, rel=1e-10)


def test_interval_needs_features():
    generated, real = sets()
    metric = FID(NARROW, keep_features=False)
    metric.update(generated, real=False)
    metric.update(real, real=True)
    with pytest.raises(ValueError, match="keep_features=True"):
        metric.estimates()


def test_incomplete_last_batch_is_left_out_where_the_protocol_says_so():
    generated, real = sets()
    protocol = dataclasses.replace(NARROW, drop_last_of=16)
    estimate = fid(generated, real, protocol)
    assert estimate.n == 48
    assert estimate.value == pytest.approx(fid(generated[:48], real[:48], NARROW).value)
    metric = FID(protocol)
    metric.update(generated, real=False)
    metric.update(real, real=True)
    assert float(metric.compute()) == pytest.approx(estimate.value)
    with pytest.raises(ValueError, match="needs keep_features=True"):
        FID(protocol, keep_features=False)


def test_fewer_pictures_than_features_are_warned_about():
    generated, real = sets(n=7)
    with pytest.warns(SmallSampleWarning, match="7 generated pictures for 8 features"):
        fid(generated, real, NARROW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fid(sets()[0], real, NARROW)


@pytest.mark.parametrize(
    ("generated", "real", "radius", "message"),
    [
        (torch.zeros(0, 8), torch.zeros(9, 8), 0, "generated pictures: expected at least 2, got an empty set"),
        (torch.zeros(9, 8), torch.zeros(1, 8), 0, "real pictures: expected at least 2, got one"),
        (torch.zeros(9, 7), torch.zeros(9, 8), 0, r"expected \(b, 8\) for this protocol, got \(9, 7\)"),
        (torch.full((9, 8), torch.nan), torch.zeros(9, 8), 0, "NaN or infinity"),
        (torch.zeros(9, 8), torch.zeros(9, 8), 3, "expected a radius of"),
    ],
)
def test_wrong_use_is_caught(generated, real, radius, message):
    with pytest.raises(ValueError, match=message):
        fid(generated, real, NARROW, radius)
