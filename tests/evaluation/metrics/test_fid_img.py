import dataclasses

import numpy as np
import pytest
import torch
from stand_ins import moving_clips

from evaluation.judges import load_image_judge
from evaluation.metrics import FIDImg
from evaluation.metrics.fid import fid
from evaluation.metrics.fid_img import fid_img
from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.uncertainty import resampling_counts
from evaluation.protocols import frames, sprites

POSITIONS = dataclasses.replace(frames.POSITIONS, width=6, replicates=4, weights_sha256=None)
POOLED = dataclasses.replace(frames.POOLED, width=6, replicates=4)

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def sides(n: int = 40, m: int = 30, t: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, t, 6, generator=g) + torch.arange(t)[:, None], torch.randn(m, t, 6, generator=g)


def test_positions_are_averaged():
    generated, real = sides()
    picture = dataclasses.replace(sprites.FID, width=6, replicates=2)
    each = [fid(generated[:, i], real[:, i], picture).value for i in range(3)]
    assert fid_img(generated, real, POSITIONS).value == pytest.approx(np.mean(each))


def test_pooled_frames_are_one_set():
    generated, real = sides()
    picture = dataclasses.replace(sprites.FID, width=6, replicates=2)
    whole = fid(generated.flatten(0, 1), real.flatten(0, 1), picture)
    found = fid_img(generated, real, POOLED)
    assert found.value == pytest.approx(whole.value)
    assert found.value != pytest.approx(fid_img(generated, real, POSITIONS).value, rel=0.1)
    assert (found.name, found.protocol, found.n) == ("FID-img", "fid-img@inception-pooled-1", 40)


@pytest.mark.parametrize("protocol", [POSITIONS, POOLED], ids=lambda protocol: protocol.over)
@pytest.mark.parametrize("n", [40, 4], ids=["more frames than features", "fewer"])
def test_the_bootstrap_draws_whole_clips(protocol, n):
    generated, real = sides(n, n - 1)
    found = fid_img(generated, real, protocol).replicates
    for replicate in range(4):
        drawn = [
            side[np.repeat(np.arange(len(side)), resampling_counts(len(side), 4, 2020, stream)[replicate].astype(int))]
            for side, stream in ((generated, "generated"), (real, "reference"))
        ]
        if protocol.over == "pooled":
            expected = float(distance_of_features(drawn[0].flatten(0, 1), drawn[1].flatten(0, 1)))
        else:
            expected = np.mean([float(distance_of_features(drawn[0][:, i], drawn[1][:, i])) for i in range(3)])
        assert found[replicate] == pytest.approx(expected, rel=1e-6)


class Pixels:
    def __call__(self, images: torch.Tensor) -> object:
        assert images.dtype == torch.uint8
        features = images[:, :, :2, :1].double().flatten(1)
        return type("Judgement", (), {"features": features})


def test_fed_with_clips():
    generated, real = moving_clips(6, t=3), moving_clips(5, t=3, seed=1)
    metric = FIDImg(POSITIONS, judge=Pixels())
    for part in generated.split(4):
        metric.update(part, real=False)
    metric.update(real.double() / 255, real=True)
    features = [side[:, :, :, :2, :1].double().flatten(2) for side in (generated, real)]
    assert float(metric.compute()) == pytest.approx(fid_img(*features, POSITIONS).value)


def test_small_sets_are_warned_about():
    with pytest.warns(match="fid-img@inception-positions-1: 5 frames in a set for 6 features"):
        fid_img(*sides(8, 5), POSITIONS)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(4, 6), r"expected \(b, t, 3, h, w\), got \(4, 6\)"),
        (moving_clips(2, t=3), "expected inception-fid to judge with, got none; pass weights=FOLDER"),
        (torch.zeros(4, 2, 5), r"features of frames: expected \(b, 6\)"),
        (torch.zeros(4, 2, 6), "expected samples of 3 frames as before, got 2"),
        (torch.full((4, 3, 6), torch.inf), "NaN or infinity"),
    ],
)
def test_wrong_features_are_caught(samples, message):
    metric = FIDImg(POSITIONS)
    metric.update(torch.zeros(4, 3, 6), real=True)
    with pytest.raises(ValueError, match=message):
        metric.update(samples, real=True)


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        (sides(1)[0], sides()[1], "generated clips: expected at least 2, got one"),
        (sides()[0], sides(9, 0)[1], "real clips: expected at least 2, got an empty set"),
        (sides()[0], sides(t=2)[1], "expected clips of equal length, got 3 generated and 2 real ones"),
    ],
)
def test_wrong_sets_are_caught(generated, real, message):
    with pytest.raises(ValueError, match=message):
        fid_img(generated, real, POSITIONS)


def test_the_judge_of_sprites_is_shipped():
    generated, real = moving_clips(4, t=2), moving_clips(4, t=2, seed=1)
    metric = FIDImg()
    metric.update(generated, real=False)
    metric.update(real, real=True)
    judge = load_image_judge()
    features = [judge(side.flatten(0, 1)).features.unflatten(0, (4, 2)) for side in (generated, real)]
    assert float(metric.compute()) == pytest.approx(fid_img(*features, frames.SPRITES).value, rel=1e-6)


def test_metric_is_the_function():
    generated, real = sides()
    metric = FIDImg(POSITIONS)
    for part in generated.split(7):
        metric.update(part, real=False)
    metric.update(real, real=True)
    assert float(metric.compute()) == pytest.approx(fid_img(generated, real, POSITIONS).value)
    assert metric.estimates()[0].n == 40
