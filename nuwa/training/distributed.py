"""The processes of one training: what they share, divide and agree on. Alone, every function here is the obvious one.

torchrun starts them and says who is who; all of them run the same steps on parts of the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world() -> int:
    """Number of processes, 1 where there is no group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, 0 where there is no group."""
    return dist.get_rank() if world() > 1 else 0


def parts(size: int, accumulate: int = 1) -> list[range]:
    """Rows of a batch of ``size`` that this process computes, in ``accumulate`` parts one after the other.

    The parts of all processes in their order are the whole batch, each row once; they differ by at most one row.
    ValueError where there are more parts than rows.
    """
    number, own = world() * accumulate, rank() * accumulate
    if size < number:
        raise ValueError(
            f"batch: expected at least one sample for each of {world()} processes times {accumulate} parts, got a batch of "
            f"{size}; use fewer processes, a smaller accumulate or a larger batch"
        )
    edges = [size * part // number for part in range(number + 1)]
    return [range(edges[part], edges[part + 1]) for part in range(own, own + accumulate)]


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same on each of them; not differentiable."""
    if world() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def joined(value: Tensor) -> Tensor:
    """The rows (…, c) of all processes in their order; they may have different numbers of rows."""
    if world() == 1:
        return value
    counts = gathered(len(value))
    padded = value.new_zeros(max(counts), *value.shape[1:])
    padded[: len(value)] = value
    found = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(found, padded)
    return torch.cat([rows[:count] for rows, count in zip(found, counts, strict=True)])


def gathered(value: T) -> list[T]:
    """A small value of every process, in their order."""
    if world() == 1:
        return [value]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, value)
    return found


def agreed(*asks: bool) -> list[bool]:
    """Whether any process asks for it, for each of several questions at once."""
    if world() == 1:
        return list(asks)
    counts = torch.tensor([int(ask) for ask in asks])
    dist.all_reduce(counts)  # through the group's CPU backend, so that no device waits
    return [bool(count) for count in counts.tolist()]


def on_first(function: Callable[[], T]) -> T:
    """What ``function`` gives on process 0, the only one that runs it, for all of them; its exception is raised by all."""
    if world() == 1:
        return function()
    answer: list[Any] = [None, None]
    if rank() == 0:
        try:
            answer[0] = function()
        except Exception as error:  # the others wait for an answer
            answer[1] = error
    dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise answer[1]
    result: T = answer[0]
    return result


def share(items: Sequence[T]) -> list[T]:
    """Every world-th of the items: those of this process."""
    return list(items[rank() :: world()])
