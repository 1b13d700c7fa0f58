"""Distances between pictures as a network sees them.

For sprites the network is our own: a small plain convolutional net that was taught to name what stands at each place. It is
not one of the judges that score: other layers, other seed, other head. For photographs it is VGG-16, whose weights the user
brings (the perceptual loss of the paper, ‖CNN(I) − CNN(Î)‖²).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from nuwa import files

SPRITES_WEIGHTS = Path(__file__).parent / "weights" / "perceptual-sprites-1.safetensors"
SPRITES_SHA256 = "53182a5c2ac1c63004f7f8d2e6dc0662760fa6c38377492b3e9ce9096e913ed4"
VGG16_FILE = "vgg16-397923af.pth"  # torchvision's ImageNet weights; the name carries the head of the sha256
VGG16_BLOCKS = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512, 512, 512))


class SpritesNet(nn.Module):
    """Three plain stages at full, half and quarter resolution."""

    def __init__(self, widths: Sequence[int] = (24, 48, 64)) -> None:
        super().__init__()
        channels = (3, *widths)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c_in, c_out, 3, padding=1, stride=1 if index == 0 else 2),
                nn.LeakyReLU(0.1),
                nn.Conv2d(c_out, c_out, 3, padding=1),
                nn.LeakyReLU(0.1),
            )
            for index, (c_in, c_out) in enumerate(pairwise(channels))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every stage for pictures (b, 3, h, w) in [-1, 1]."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class VGGNet(nn.Module):
    """The five convolutional blocks of VGG-16 in torchvision's parameter names; features before each pooling."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taps: list[int] = []
        for block in VGG16_BLOCKS:
            for c_in, c_out in pairwise(block):
                layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
            self.taps.append(len(layers) - 1)
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every block for pictures (b, 3, h, w) in [-1, 1]."""
        x = ((x + 1) / 2 - self.mean) / self.std
        features = []
        for index, layer in enumerate(self.features[:-1]):
            x = layer(x)
            if index in self.taps:
                features.append(x)
        return features


class PerceptualDistance(nn.Module):
    """Squared distance of features relative to their size, summed over stages (the paper's ‖CNN(I) − CNN(Î)‖²)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Distance () between pictures (b, 3, h, w) in [-1, 1]; the gradient goes to ``x``.

        ``sizes`` (stages,) are those of the whole batch, where these pictures are a part of one.
        """
        with torch.no_grad():
            targets = self.net(y)
            found = _sizes(targets) if sizes is None else sizes.unbind()
        triples = zip(self.net(x), targets, found, strict=True)
        return torch.stack([F.mse_loss(a, b).float() / size for a, b, size in triples]).sum()

    @torch.no_grad()
    def sizes(self, y: Tensor) -> Tensor:
        """Mean squares (stages,) of the features of ``y``, by which distances to it are divided."""
        return torch.stack([*_sizes(self.net(y))])


def _sizes(features: Sequence[Tensor]) -> Sequence[Tensor]:
    return [each.float().square().mean() for each in features]


def load_sprites() -> PerceptualDistance:
    """The distance for sprites. ValueError where the shipped weights are not the ones of this version."""
    found = files.sha256(SPRITES_WEIGHTS)
    if found != SPRITES_SHA256:
        raise ValueError(f"{SPRITES_WEIGHTS.name}: expected sha256 {SPRITES_SHA256}, got {found}; restore the file")
    net = SpritesNet()
    net.load_state_dict({name: value.float() for name, value in load_file(SPRITES_WEIGHTS).items()})
    return PerceptualDistance(net)


def load_vgg16(path: str | Path) -> PerceptualDistance:
    """The distance for photographs from torchvision's ``vgg16-397923af.pth``. ValueError where the file is another one."""
    prefix = VGG16_FILE.removesuffix(".pth").rpartition("-")[2]
    found = files.sha256(path)
    if not found.startswith(prefix):
        raise ValueError(f"{path}: expected torchvision's {VGG16_FILE} (sha256 {prefix}…), got {found[:8]}…")
    return PerceptualDistance(vgg16_from(torch.load(path, map_location="cpu", weights_only=True)))


def vgg16_from(state: dict[str, Tensor]) -> VGGNet:
    """VGG-16's convolutions from a state dict in torchvision's format."""
    net = VGGNet()
    net.load_state_dict({name: value for name, value in state.items() if name.startswith("features.")})
    return net


class PlaceHead(nn.Module):
    """What :class:`SpritesNet` is taught with: shape or nothing, colour and size at each of the nine places."""

    def __init__(self, channels: int, sizes: Sequence[int] = (7, 8, 3)) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.linear = nn.Linear(channels * 64, 9 * sum(sizes))

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Logits (b, 9, 7), (b, 9, 8) and (b, 9, 3) from features (b, c, 8, 8)."""
        return self.linear(F.leaky_relu(features, 0.1).flatten(1)).unflatten(1, (9, -1)).split(self.sizes, dim=-1)
