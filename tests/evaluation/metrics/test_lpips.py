import dataclasses

import pytest
import torch

from evaluation.features.lpips import AlexNet
from evaluation.metrics import LPIPS
from evaluation.protocols import pairs
from evaluation.weights import MissingWeightsError
from nuwa.tokenizers.perceptual import VGGNet

GREY = torch.full((4, 3, 40, 40), 99, dtype=torch.uint8)


def difference(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    assert generated.dtype == real.dtype == torch.uint8
    return (generated.float() - real.float()).abs().flatten(1).mean(1)


def test_the_network_is_asked_frame_by_frame():
    metric = LPIPS("alex", judge=difference)
    clips = GREY.view(2, 2, 3, 40, 40)
    moved = clips + torch.tensor([1, 3], dtype=torch.uint8).view(1, 2, 1, 1, 1)
    metric.update(moved, clips)
    assert float(metric.compute()) == pytest.approx(2.0)
    assert [point.value for point in metric.curve()] == pytest.approx([1.0, 3.0])
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.protocol, estimate.n) == ("LPIPS", "lpips@alex-1", 2)
    assert not estimate.higher_is_better


def test_without_a_network_pictures_have_no_distance():
    with pytest.raises(
        MissingWeightsError, match="lpips@vgg-1: expected vgg16-imagenet to judge with, got none; pass weights"
    ):
        LPIPS().update(GREY, GREY)


def test_fed_with_distances():
    metric = LPIPS()
    metric.update(torch.tensor([[1.0, 3], [2, 4], [0, 2]]))
    assert float(metric.compute()) == pytest.approx(2.0)
    assert [point.value for point in metric.curve()] == pytest.approx([1.0, 3.0])
    with pytest.raises(ValueError, match="distances: expected finite numbers"):
        metric.update(torch.tensor([[1.0, torch.nan]]))
    with pytest.raises(ValueError, match="expected samples of 2 frames as before, got 1"):
        metric.update(torch.ones(3, 1))


@pytest.mark.parametrize(("name", "least"), [("vgg", 16), ("alex", 31)])
def test_pictures_can_be_pooled(name, least):
    metric = LPIPS(name, judge=difference)
    metric.update(GREY[..., :least], GREY[..., :least])
    with pytest.raises(ValueError, match=f"expected at least {least} pixels a side, got 40×{least - 1}"):
        metric.update(GREY[..., : least - 1], GREY[..., : least - 1])


@pytest.mark.parametrize("protocol", [pairs.LPIPS_VGG, pairs.LPIPS_ALEX], ids=lambda protocol: protocol.id)
def test_the_least_size_is_the_backbones(protocol):
    network = VGGNet() if protocol is pairs.LPIPS_VGG else AlexNet()
    assert network(torch.zeros(1, 3, protocol.min_px, protocol.min_px))[-1].numel()
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, protocol.min_px - 1, protocol.min_px - 1))


def test_the_protocol_is_that_of_the_network():
    class Judge:
        protocol = dataclasses.replace(pairs.LPIPS_ALEX, weights_sha256=None)

        def __call__(self, generated, real):
            return difference(generated, real)

    assert LPIPS(judge=Judge()).protocol is Judge.protocol
