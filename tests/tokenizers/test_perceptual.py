"""Perceptual distances: the shipped network, and VGG-16 as torchvision lays it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import vgg
from torchvision.transforms.v2.functional import normalize

from nuwa import files
from nuwa.data import sprites
from nuwa.tokenizers import perceptual
from nuwa.tokenizers.perceptual import PerceptualDistance, SpritesNet, load_sprites, load_vgg16, vgg16_from
from nuwa.tokenizers.perceptual_recipe import targets

BEFORE_POOLING = [3, 8, 15, 22, 29]  # positions of the last activation of each block in torchvision's VGG-16


def pictures(b: int = 2, size_px: int = 32) -> Tensor:
    return 2 * torch.rand(b, 3, size_px, size_px, generator=torch.Generator().manual_seed(2)) - 1


def test_the_shipped_weights_are_the_ones_of_this_version() -> None:
    assert files.sha256(perceptual.SPRITES_WEIGHTS) == perceptual.SPRITES_SHA256
    assert perceptual.SPRITES_WEIGHTS.stat().st_size < 1 << 20
    load_sprites()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "weights.safetensors"
    other.write_bytes(perceptual.SPRITES_WEIGHTS.read_bytes()[:-1] + b"\x01")
    monkeypatch.setattr(perceptual, "SPRITES_WEIGHTS", other)
    with pytest.raises(ValueError, match=r"weights.safetensors: expected sha256 53182a5c.*, got .*; restore the file"):
        load_sprites()


def test_the_shipped_network_sees_shapes_and_colours() -> None:
    """An object of another colour or shape is further away than the same picture with noise of equal pixel error."""
    distance = load_sprites()
    scenes = sprites.draw("val", np.arange(200))
    scenes = scenes[scenes.num_objects == 1][:40]
    real = torch.from_numpy(sprites.render(scenes, 32)).float() / 127.5 - 1
    scenes.shape[:, 0] = (scenes.shape[:, 0] + 1) % len(sprites.world.SHAPES)
    other = torch.from_numpy(sprites.render(scenes, 32)).float() / 127.5 - 1
    noisy = real + (other - real).square().mean(dim=(1, 2, 3), keepdim=True).sqrt() * torch.randn_like(real)
    assert distance(other, real) > distance(noisy, real)


@pytest.mark.parametrize("net", [SpritesNet, perceptual.VGGNet])
def test_a_distance(net: type[nn.Module]) -> None:
    distance, x = PerceptualDistance(net()), pictures()
    y = x.flip(0)
    assert distance(x, x) == 0
    assert distance(x, y) > 0
    assert distance(x, y).shape == ()


def test_the_gradient_goes_to_the_first_picture_alone() -> None:
    distance, x, y = PerceptualDistance(SpritesNet()), pictures().requires_grad_(), pictures().flip(0).requires_grad_()
    distance(x, y).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert y.grad is None
    assert all(not parameter.requires_grad for parameter in distance.parameters())


def test_the_distance_has_no_unit() -> None:
    """Features are taken relative to their size: a net whose features are all ten times larger measures the same."""

    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor) -> list[Tensor]:
            return [self.factor * x, self.factor * x.mean(dim=1)]

    x, y = pictures(), pictures().flip(0)
    assert PerceptualDistance(Scaled(10))(x, y).item() == pytest.approx(PerceptualDistance(Scaled(1))(x, y).item())
    expected = sum(((a - b) ** 2).mean() / (b**2).mean() for a, b in ((x, y), (x.mean(1), y.mean(1))))
    assert PerceptualDistance(Scaled(1))(x, y).item() == pytest.approx(float(expected))


@pytest.fixture(scope="module")
def torchvision_vgg() -> nn.Sequential:
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["D"]).eval()  # its convolutions; the classifier behind them is 120M parameters


def test_vgg16_agrees_with_torchvision(torchvision_vgg: nn.Sequential) -> None:
    state = {f"features.{name}": value for name, value in torchvision_vgg.state_dict().items()}
    net = vgg16_from(state | {"classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)})
    y = normalize((pictures() + 1) / 2, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    expected = []
    with torch.no_grad():
        features = net(pictures())
        for position, layer in enumerate(torchvision_vgg):
            y = layer(y)
            if position in BEFORE_POOLING:
                expected.append(y.clone())
    assert [feature.shape[1] for feature in features] == [64, 128, 256, 512, 512]
    for ours, theirs in zip(features, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_vgg16_is_loaded_from_its_file_alone(
    tmp_path: Path, torchvision_vgg: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / perceptual.VGG16_FILE
    torch.save({f"features.{name}": value for name, value in torchvision_vgg.state_dict().items()}, path)
    with pytest.raises(ValueError, match=r"expected torchvision's vgg16-397923af.pth \(sha256 397923af…\), got"):
        load_vgg16(path)
    monkeypatch.setattr(perceptual, "VGG16_FILE", f"vgg16-{files.sha256(path)[:8]}.pth")
    loaded = load_vgg16(path).net.state_dict()
    assert torch.equal(loaded["features.28.weight"], torchvision_vgg.state_dict()["28.weight"])


def test_what_the_network_was_taught() -> None:
    """Each place of the board holds what the scene has there, and nothing elsewhere."""
    scenes = sprites.draw("train", np.arange(50))
    shape, colour, size = targets(scenes)
    assert (shape > 0).sum(dim=1).tolist() == scenes.num_objects.tolist()
    assert torch.equal(shape == 0, colour == -1)
    assert torch.equal(shape == 0, size == -1)
    for row in range(50):
        place = scenes.place[row, 0]
        assert (int(shape[row, place]), int(colour[row, place])) == (scenes.shape[row, 0] + 1, scenes.colour[row, 0])
