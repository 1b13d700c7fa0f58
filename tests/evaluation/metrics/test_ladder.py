"""The sanity ladder: the worse the clips, the worse every number, on untrained networks and made-up clips."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import spearmanr
from stand_ins import TinyVideoNetwork, moving_clips
from torch import Tensor

from evaluation.features.lpips import AlexNet, LPIPSNetwork
from evaluation.metrics import (
    FVD,
    LPIPS,
    PSNR,
    SSIM,
    ActionAccuracy,
    DetectedPixelAccuracy,
    FIDImg,
    FIDVid,
    FrequencyWeightedIoU,
    MeanIoU,
    PixelAccuracy,
)
from evaluation.metrics.blur import gaussian_blur
from evaluation.protocols import frames, google, kinetics, pairs

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")

N, LEVELS = 12, (0, 1, 2, 3, 4)
WIDTH = {"width": 32, "weights_sha256": None}
NETWORK = TinyVideoNetwork()


@lru_cache
def real() -> Tensor:
    return moving_clips(N)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def blur(clips: Tensor, level: int) -> Tensor:
    return gaussian_blur(clips.flatten(0, 1), 0.7 * level).unflatten(0, clips.shape[:2])


def noise(clips: Tensor, level: int) -> Tensor:
    return (clips + 15 * level * torch.randn(clips.shape, generator=generator())).clamp(0, 255).byte()


def shuffle(clips: Tensor, level: int) -> Tensor:
    """Frames change places within a quarter of the clip, two quarters, …"""
    order, moved = torch.arange(16), 4 * level
    order[:moved] = order[torch.randperm(moved, generator=generator())]
    return clips[:, order]


def freeze(clips: Tensor, level: int) -> Tensor:
    """The last quarter stands still, the last two, …"""
    order = torch.arange(16).clamp_max(15 - 15 * level // 4)
    return clips[:, order]


DAMAGES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "blur": blur,
    "noise": noise,
    "shuffle": shuffle,
    "freeze": freeze,
}


class Pixels:
    """A picture network that says what TinyVideoNetwork would say of a still."""

    def __call__(self, images: Tensor) -> object:
        return NETWORK(images[:, None].expand(-1, 3, -1, -1, -1))


def distance(metric: type[FVD] | type[FIDVid]) -> Callable[[Tensor], float]:
    protocol = google.FVD if metric is FVD else kinetics.FID_VID["r3d-18"]

    def measure(clips: Tensor) -> float:
        found = metric(dataclasses.replace(protocol, **WIDTH), judge=NETWORK)
        found.update(clips, real=False)
        found.update(real(), real=True)
        return float(found.compute())

    return measure


def fid_img(clips: Tensor) -> float:
    metric = FIDImg(dataclasses.replace(frames.POOLED, **WIDTH), judge=Pixels())
    metric.update(clips, real=False)
    metric.update(real(), real=True)
    return float(metric.compute())


class Nearest:
    """A classifier whose classes are the real clips: which of them is it most like?"""

    def __call__(self, clips: Tensor) -> object:
        features, known = NETWORK(clips).features, NETWORK(real()).features
        scale = known.std(0)
        return SimpleNamespace(class_logits=-torch.cdist(features / scale, known / scale))


def accuracy(clips: Tensor) -> float:
    protocol = dataclasses.replace(kinetics.ACC["r3d-18"], num_classes=N, weights_sha256=None)
    metric = ActionAccuracy(protocol, judge=Nearest())
    metric.update(clips, torch.arange(N))
    return float(metric.compute())


def paired(make: Callable[[], SSIM | PSNR | LPIPS]) -> Callable[[Tensor], float]:
    def measure(clips: Tensor) -> float:
        metric = make()
        metric.update(clips[:6], real()[:6])
        return float(metric.compute())

    return measure


@lru_cache
def lpips_network() -> LPIPSNetwork:
    torch.manual_seed(0)
    heads = [torch.rand(c, 1, 1) for c in (64, 192, 384, 256, 256)]
    return LPIPSNetwork(AlexNet(), heads, epsilon=1e-10)


def perceptual(generated: Tensor, theirs: Tensor) -> Tensor:
    return lpips_network()(generated / 127.5 - 1, theirs / 127.5 - 1)


MEASURES: dict[str, Callable[[Tensor], float]] = {
    "fvd": distance(FVD),
    "fid-vid": distance(FIDVid),
    "fid-img": fid_img,
    "acc": accuracy,
    "ssim": paired(SSIM),
    "ssim, cropped": paired(lambda: SSIM(pairs.SSIM_CROPPED)),
    "psnr": paired(PSNR),
    "lpips": paired(lambda: LPIPS("alex", judge=perceptual)),
}
BETTER_IF_HIGHER = {"acc", "ssim", "ssim, cropped", "psnr"}
BLIND = {
    ("fid-img", "shuffle"),  # all frames pooled: the same frames, whatever their order
    ("acc", "shuffle"),  # the clip is still more like itself than like any other
    ("acc", "freeze"),
}
CASES = [(name, damage) for name in MEASURES for damage in DAMAGES if (name, damage) not in BLIND]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_more_damage_is_worse(name, damage):
    numbers = [MEASURES[name](DAMAGES[damage](real(), level)) for level in LEVELS]
    direction = -1 if name in BETTER_IF_HIGHER else 1
    assert direction * spearmanr(LEVELS, numbers).statistic >= 0.9
    assert direction * (numbers[-1] - numbers[0]) > 0


def test_pooled_frames_have_no_order():
    numbers = [fid_img(shuffle(real(), level)) for level in LEVELS]
    assert numbers == pytest.approx([0.0] * 5, abs=1e-6)


@pytest.mark.parametrize(
    "metric", [PixelAccuracy, FrequencyWeightedIoU, MeanIoU, DetectedPixelAccuracy], ids=lambda metric: metric.metric
)
def test_more_wrong_pixels_are_worse(metric):
    classes = metric.default.classes
    truth = torch.randint(0, classes, (20, 16, 16), generator=generator())
    wrong = torch.randint(0, classes, truth.shape, generator=generator().manual_seed(8))
    share = torch.rand(truth.shape, generator=generator().manual_seed(9))
    numbers = []
    for level in LEVELS:
        found = metric()
        found.update(torch.where(share < level / 5, wrong, truth), truth)
        numbers.append(float(found.compute()))
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 5
