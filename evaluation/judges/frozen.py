"""What all judges share: a network that no longer learns, with a name and the sha256 of its weights."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Judge(nn.Module):
    """A trained network, frozen: no gradients, and always in evaluation mode, even inside a model that trains."""

    network: Any  # nn.Module would hide the methods that only one network has

    def __init__(self, network: nn.Module, *, name: str, sha256: str) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.sha256 = sha256
        super().train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode."""
        return self
