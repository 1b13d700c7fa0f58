"""What the networks of the judges are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3×3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv(width, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        return torch.relu(x + self.body(x))


def conv(inside: int, outside: int, kernel: int, *, stride: int = 1, padding: int = 0) -> tuple[nn.Module, ...]:
    """Convolution, batch norm and ReLU, to be unpacked into a ``Sequential``."""
    return (
        nn.Conv2d(inside, outside, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )
