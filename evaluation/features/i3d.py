"""I3D (Carreira and Zisserman 2017): an Inception whose kernels reach over time, with the names of its published weights.

The layout is that of piergiaj/pytorch-i3d, in which VideoGPT, TATS and content-debiased-fvd publish TF-Hub's Kinetics-400
weights as ``i3d_pretrained_400.pt``. No maintained library has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Extent = tuple[int, int, int]  # (t, h, w)

_MIXED = {  # widths of b0, b1a, b1b, b2a, b2b, b3b
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """Clips (b, 3, t, h, w) in [-1, 1] to 1,024 features and 400 class logits, both averaged over time.

    Needs nine frames: time is halved three times, and the last pooling takes two of what is left. Trained at 224×224;
    the average over space takes any other size too.
    """

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.MaxPool3d_2a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        self.MaxPool3d_3a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        width = 192
        for name, widths in _MIXED.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = SamePool((3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = SamePool((2, 2, 2), (2, 2, 2))
            self.add_module(name, Mixed(width, widths))
            width = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(width, num_classes, 1)})

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Features (b, 1024) and logits (b, num_classes). ValueError for fewer than nine frames."""
        if clips.shape[2] < 9:
            raise ValueError(
                f"I3D: expected at least 9 frames, got {clips.shape[2]}; its last pooling takes two of t / 8"
            )
        x = clips
        for name, layer in self.named_children():
            if name != "logits":
                x = layer(x)
        pooled = F.avg_pool1d(x.mean((3, 4)), 2, 1).mean(2)
        # the last layer is linear, so its average over time is that of its inputs
        return pooled, self.logits["conv3d"](pooled[:, :, None, None, None]).flatten(1)


class Unit(nn.Module):
    """Convolution that keeps sizes as TensorFlow does, batch normalisation, rectifier."""

    def __init__(self, inside: int, outside: int, extent: Extent = (1, 1, 1), stride: Extent = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inside, outside, extent, stride, bias=False)
        self.bn = nn.BatchNorm3d(outside, eps=1e-5)
        self.extent, self.stride = extent, stride

    def forward(self, x: Tensor) -> Tensor:
        """(b, inside, t, h, w) to (b, outside, ⌈t / stride⌉, …)."""
        return torch.relu(self.bn(self.conv3d(same_padding(x, self.extent, self.stride))))


class SamePool(nn.Module):
    """Max pooling that keeps sizes as TensorFlow does; zeros at the border, which no rectified value lies below."""

    def __init__(self, extent: Extent, stride: Extent) -> None:
        super().__init__()
        self.extent, self.stride = extent, stride

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t, h, w) to (b, c, ⌈t / stride⌉, …)."""
        return F.max_pool3d(same_padding(x, self.extent, self.stride), self.extent, self.stride)


class Mixed(nn.Module):
    """Four branches side by side: 1×1×1; two of 1×1×1 then 3×3×3; pooling then 1×1×1."""

    def __init__(self, inside: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = Unit(inside, b0)
        self.b1a, self.b1b = Unit(inside, b1a), Unit(b1a, b1b, (3, 3, 3))
        self.b2a, self.b2b = Unit(inside, b2a), Unit(b2a, b2b, (3, 3, 3))
        self.b3a, self.b3b = SamePool((3, 3, 3), (1, 1, 1)), Unit(inside, b3b)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inside, t, h, w) to (b, b0 + b1b + b2b + b3b, t, h, w)."""
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, 1)


def same_padding(x: Tensor, extent: Extent, stride: Extent) -> Tensor:
    """``x`` (b, c, t, h, w) with the zeros of TensorFlow's SAME: the output is ⌈size / stride⌉, the odd zero comes last."""
    pads: list[int] = []
    for size, window, step in zip(reversed(x.shape[2:]), reversed(extent), reversed(stride), strict=True):
        missing = max(window - (size % step or step), 0)
        pads += [missing // 2, missing - missing // 2]
    return F.pad(x, pads) if any(pads) else x


def load_i3d(path: str | Path) -> I3D:
    """I3D with the tensors of ``i3d_pretrained_400.pt``."""
    network = I3D()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
