"""LPIPS 0.1 (Zhang et al. 2018): an ImageNet backbone, and a published weight for each channel of five of its layers.

The backbone is torchvision's; the weights are the files of the ``lpips`` package. Both come from the user's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluation import weights
from evaluation.features.exact import exact
from evaluation.features.published import PublishedJudge
from evaluation.protocols import LPIPSProtocol
from nuwa.files import sha256
from nuwa.tokenizers.perceptual import vgg16_from

_ALEX_BLOCKS = (  # channels in and out, extent, stride, padding
    (3, 64, 11, 4, 2),
    (64, 192, 5, 1, 2),
    (192, 384, 3, 1, 1),
    (384, 256, 3, 1, 1),
    (256, 256, 3, 1, 1),
)


class AlexNet(nn.Module):
    """AlexNet's convolutions in torchvision's parameter names; features after each rectifier."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block, (c_in, c_out, extent, stride, padding) in enumerate(_ALEX_BLOCKS):
            if block in (1, 2):
                layers.append(nn.MaxPool2d(3, 2))
            layers += [nn.Conv2d(c_in, c_out, extent, stride, padding), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every block for pictures (b, 3, h, w) in [-1, 1]."""
        x = ((x + 1) / 2 - self.mean) / self.std
        features = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                features.append(x)
        return features


class LPIPSNetwork(nn.Module):
    """A backbone that gives a list of features (b, c, h, w), and weights (c, 1, 1) for the channels of each."""

    linear: nn.ParameterList

    def __init__(self, backbone: nn.Module, linear: list[Tensor], *, epsilon: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.linear = nn.ParameterList(linear)
        self.epsilon = epsilon

    def forward(self, generated: Tensor, real: Tensor) -> Tensor:
        """Distances (b,) of pictures (b, 3, h, w) in [-1, 1]."""
        pairs = zip(self.backbone(generated), self.backbone(real), self.linear, strict=True)
        blocks = [
            ((self._direction(ours) - self._direction(theirs)).square() * weight).sum(1).mean((1, 2))
            for ours, theirs, weight in pairs
        ]
        return torch.stack(blocks).sum(0)

    def _direction(self, features: Tensor) -> Tensor:
        return features / (features.norm(dim=1, keepdim=True) + self.epsilon)


class LPIPSJudge(PublishedJudge[LPIPSProtocol]):
    """LPIPS under one protocol, frozen, in float32 without TF32 or autocast."""

    def forward(self, generated: Tensor, real: Tensor) -> Tensor:
        """Distances (b,) >= 0 of pictures (b, 3, h, w) uint8."""
        with exact(generated.device):
            distances: Tensor = self.network(*(2 * (side.float() / 255) - 1 for side in (generated, real)))
        return distances


def load_lpips(protocol: LPIPSProtocol, folder: str | Path, device: torch.device | str = "cpu") -> LPIPSJudge:
    """LPIPS from the two weight files of ``protocol`` in ``folder``.

    MissingWeightsError where a file is not there, ValueError where it is not the one published.
    """
    paths = weights.find_all([protocol.network, protocol.linear], folder)
    states = [torch.load(paths[name], map_location="cpu", weights_only=True) for name in paths]
    return LPIPSJudge(lpips_from(protocol, *states), protocol, digest=sha256(paths[protocol.network])).to(device)


def lpips_from(protocol: LPIPSProtocol, backbone: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> LPIPSNetwork:
    """The network of ``protocol`` from state dicts in the formats of torchvision and the lpips package."""
    convolutions = {name: tensor for name, tensor in backbone.items() if name.startswith("features.")}
    channels = [linear[f"lin{i}.model.1.weight"][0] for i in range(5)]
    if protocol.network == "vgg16-imagenet":
        return LPIPSNetwork(vgg16_from(convolutions), channels, epsilon=protocol.epsilon)
    if protocol.network != "alexnet-imagenet":
        raise ValueError(f"{protocol.id}: expected vgg16-imagenet or alexnet-imagenet, got {protocol.network!r}")
    alex = AlexNet()
    alex.load_state_dict(convolutions)
    return LPIPSNetwork(alex, channels, epsilon=protocol.epsilon)
