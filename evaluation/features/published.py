"""What judges with published weights share: a protocol, the digest of their file, frozen."""

from __future__ import annotations

from typing import Generic, Self, TypeVar

from torch import nn

from evaluation.protocols import Protocol

P = TypeVar("P", bound=Protocol)


class PublishedJudge(nn.Module, Generic[P]):
    """A network under one protocol: no gradients, and always in evaluation mode, even inside a model that trains."""

    def __init__(self, network: nn.Module, protocol: P, *, digest: str) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.protocol = protocol
        self.sha256 = digest
        self.train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode."""
        return super().train(False)
