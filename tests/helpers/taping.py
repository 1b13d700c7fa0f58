"""What CUDA graphs do, on a CPU: operations are noted with the tensors they read and write, and done again on these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
WAITING = {  # a GPU would have to answer the host first
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
    aten._unique2.default,
    aten.unique_dim.default,
}


class Tape(TorchDispatchMode):
    """Notes the operations within. AssertionError for one that waits for the device or copies from the host."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with self:  # what is made of other operations is noted as these
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        out = func(*args, **kwargs)
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, Tensor)]
        by_mask = func is aten.index.Tensor and any(x is not None and x.dtype == torch.bool for x in args[1])
        assert func not in WAITING, f"{func} waits for the device"
        assert not by_mask, "a mask as an index waits for the device"
        assert len({each.device for each in tensors}) <= 1, f"{func} copies between host and device"
        self.done.append((func, args, kwargs, out))
        return out

    def replay(self) -> None:
        """Do it all again, into the same tensors."""
        for func, args, kwargs, out in self.done:
            again = func(*args, **kwargs)
            read = {
                each.untyped_storage().data_ptr() for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)
            }
            for mine, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if (
                    isinstance(mine, Tensor) and mine.untyped_storage().data_ptr() not in read
                ):  # not a view of what it read
                    mine.copy_(new)


class TapeRecorder:
    """In place of :class:`nuwa.sampling.graphs.Recorder`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warm_up(self, works: Iterable[Callable[[], None]]) -> None:
        for work in works:
            work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        with Tape() as tape:
            work()
        return tape.replay
