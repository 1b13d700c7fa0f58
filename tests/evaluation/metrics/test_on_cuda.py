"""Every metric on a GPU gives the number it gives on a CPU, from features and from pictures."""

import copy

import pytest
import torch

from evaluation import CLIPFID, CMMD, FID, KID, PRDC, FDDINOv2, FDInfinity, InceptionScore, load_judge
from evaluation.protocols import PROTOCOLS

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")]


def features(n: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)) + seed / 4


@pytest.mark.parametrize("kind", [FID, CLIPFID, FDDINOv2, KID, PRDC, FDInfinity, CMMD, InceptionScore])
def test_numbers_and_intervals(kind):
    found = []
    for device in ("cpu", "cuda"):
        metric = kind().to(device)
        sides = [features(150, metric.protocol.classes, 0)] if kind is InceptionScore else []
        sides = sides or [features(n, metric.protocol.width, seed) for seed, n in enumerate((150, 130))]
        for side, real in zip(sides, (False, True), strict=False):
            for part in side.split(64):
                metric.update(part.to(device), **({} if kind is InceptionScore else {"real": real}))
        estimate = metric.estimates()[0]
        assert float(metric.compute()) == pytest.approx(estimate.value, rel=1e-9)
        found.append(estimate)
    assert found[1].value == pytest.approx(found[0].value, rel=1e-6)
    assert found[1].ci95 == pytest.approx(found[0].ci95, rel=1e-4)


@pytest.mark.parametrize("name", ["fid@ttur-1", "fid@clean-1", "fid@torchmetrics-aa-1", "is@adm-1"])
def test_features_of_inception(fid_inception, registry, make_pictures, name):
    registry(fid_inception)
    judge = load_judge(PROTOCOLS[name], fid_inception.parent)
    pictures = make_pictures(4, 96, 80)
    expected = judge(pictures).features
    found = copy.deepcopy(judge).cuda()(pictures.cuda()).features.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["clipsim@openai-b32-1", "cmmd@google-research-1", "fd-dinov2@dgm-1", "fd-dinov2@edm2-1"]
)
def test_features_of_transformers(clips, dinov2, registry, make_pictures, name):
    registry(*clips.values(), dinov2)
    judge = load_judge(PROTOCOLS[name], dinov2.parent)
    pictures = make_pictures(4, 96, 80)
    torch.testing.assert_close(
        copy.deepcopy(judge).cuda()(pictures.cuda()).features.cpu(), judge(pictures).features, rtol=1e-3, atol=1e-3
    )
