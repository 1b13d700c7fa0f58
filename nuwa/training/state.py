"""All that a training is between two steps, as named tensors: modules, what their optimizers remember, the average.

Learning rates and other settings of the optimizers are no state: a stage sets them by the step's index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from nuwa.training.ema import Average


class Trained(Protocol):
    """What has a state."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Networks by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimizers by name."""


def tensors(trained: Trained, average: Average | None) -> dict[str, Tensor]:
    """The state, in the tensors that hold it: ``modules.model.decoder.head.bias``, ``optimizers.others.model.….exp_avg``."""
    found = _fixed(trained, average)
    for prefix, optimizer, parameter in _followed(trained):
        found |= {f"{prefix}.{key}": value for key, value in optimizer.state[parameter].items()}
    return found


def targets(trained: Trained, average: Average | None, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """As :func:`tensors`, with room for everything in ``shapes``: optimizers begin to remember what they had remembered.

    ValueError where the names differ in more than that.
    """
    found = _fixed(trained, average)
    for prefix, optimizer, parameter in _followed(trained):
        keys = [name.removeprefix(f"{prefix}.") for name in shapes if name.startswith(f"{prefix}.")]
        state = {key: _room(optimizer, parameter, shapes[f"{prefix}.{key}"]) for key in keys}
        optimizer.state[parameter] = state
        found |= {f"{prefix}.{key}": value for key, value in state.items()}
    if different := sorted(found.keys() ^ shapes.keys()):
        raise ValueError(
            f"expected the state of this training, got one in which {len(different)} tensors are missing or unknown "
            f"({different[0]}, …)"
        )
    return found


def _fixed(trained: Trained, average: Average | None) -> dict[str, Tensor]:
    found = {
        f"modules.{name}.{key}": value
        for name, module in trained.modules.items()
        for key, value in module.state_dict().items()
    }
    return found if average is None else found | {f"average.{key}": value for key, value in average.state.items()}


def _followed(trained: Trained) -> Iterator[tuple[str, torch.optim.Optimizer, nn.Parameter]]:
    names = {
        id(parameter): f"{name}.{key}"
        for name, module in trained.modules.items()
        for key, parameter in module.named_parameters()
    }
    for name, optimizer in trained.optimizers.items():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                yield f"optimizers.{name}.{names[id(parameter)]}", optimizer, parameter


def _room(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, shape: torch.Size) -> Tensor:
    if shape == parameter.shape:
        return torch.zeros_like(parameter, memory_format=torch.preserve_format)
    assert not shape, "optimizers remember tensors like their parameters, and counts of steps"
    fused = any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
    return torch.zeros((), device=parameter.device if fused else "cpu")
