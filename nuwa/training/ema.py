"""A moving average of a model's weights, which often scores better than the weights of the last step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

WARM_UP = 10
"""Steps after which the average may remember longer than a tenth of them."""


class Average:
    """The exponential moving average of a module's parameters; what else its state holds is taken as it is.

    Args:
        module: the one that is trained; its parameters are followed by name.
        decay: share of the average that a step leaves, in [0, 1). Early steps leave less, ``(1 + i) / (10 + i)`` at step i,
            so that a short training does not remember its random beginning.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        check_decay(decay)
        self.module, self.decay = module, decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, index: int) -> None:
        """Follow the module after its step ``index``."""
        left = min(self.decay, (1 + index) / (WARM_UP + index))
        trained = dict(self.module.named_parameters())
        for name, value in self.module.state_dict().items():
            if name in trained:
                self.state[name].lerp_(value.detach(), 1 - left)
            else:
                self.state[name].copy_(value)

    def replace(self) -> None:
        """Give the module the averaged weights."""
        _copy(self.state, self.module)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Inside, the module has the averaged weights; afterwards its own again."""
        own = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.replace()
        try:
            yield
        finally:
            _copy(own, self.module)


def check_decay(decay: float | None) -> None:
    """ValueError for a decay that is no share; None is no average."""
    if decay is not None and not 0 <= decay < 1:
        raise ValueError(f"ema: expected a share in [0, 1) such as 0.999, or none, got {decay}")


@torch.no_grad()
def _copy(state: dict[str, Tensor], module: nn.Module) -> None:
    for name, value in module.state_dict().items():
        value.copy_(state[name])
