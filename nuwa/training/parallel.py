"""One network in several processes: PyTorch's DDP, in which each holds all of it, or FSDP2, in which each holds a part.

What only several processes need is imported when there are some: sharded tensors take long to import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nuwa.training.distributed import world

Parallel = Literal["ddp", "fsdp"]
"""``ddp`` is faster while model, gradients and optimizer fit into one device; ``fsdp`` divides them by the processes."""


def check_parallel(parallel: str) -> None:
    """ValueError for another name."""
    if parallel not in get_args(Parallel):
        raise ValueError(f"parallel: expected {' or '.join(get_args(Parallel))}, got {parallel!r}")


def spread(
    module: nn.Module,
    device: torch.device,
    parallel: Parallel = "ddp",
    *,
    layers: Iterable[nn.Module] = (),
    unused: bool = False,
) -> nn.Module:
    """The module for all processes; alone, the module as it is.

    Gradients are means over the processes, so a loss that is a sum over them has to be multiplied by their number. With
    ``fsdp`` the parameters become sharded tensors, in units of one of the ``layers`` each and one for the rest, and
    optimizers have to be made after this. ``unused`` says that a step may leave parameters out.
    """
    if world() == 1:
        return module
    if parallel == "ddp":
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=unused)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (world(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    # Everything is sharded between steps, so that it can be read and written.
    fully_shard(module, mesh=mesh, reshard_after_forward=True)
    return module


def alone(module: nn.Module) -> AbstractContextManager[Any]:
    """Inside, DDP adds gradients up in each process without sharing them, for all parts of a step but the last.

    FSDP shares them at every part: it could not hold them otherwise.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) else contextlib.nullcontext()


def whole(value: Tensor) -> Tensor:
    """A tensor with all its parts; every process has to ask for it."""
    if world() == 1:
        return value
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


@torch.no_grad()
def fill(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor, the same in all processes, into one that may be sharded."""
    value = value.to(target.device)
    if world() > 1:
        from torch.distributed.tensor import DTensor, distribute_tensor

        if isinstance(target, DTensor):
            value = distribute_tensor(value, target.device_mesh, target.placements)
    target.copy_(value)
