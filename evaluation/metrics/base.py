"""What all metrics share: an estimate with its interval, a registry, a torchmetrics base class bound to a protocol."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from evaluation.metrics.uncertainty import Difference, Interval, paired_difference
from evaluation.protocols import Protocol
from evaluation.records import MetricValue
from nuwa.registry import Registry

P = TypeVar("P", bound=Protocol)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95% interval and the bootstrap replicates (r,) that pair it with the same number elsewhere."""

    name: str
    protocol: str
    value: float
    ci95: Interval
    n: int
    higher_is_better: bool
    replicates: NDArray[np.float64]

    @property
    def record(self) -> MetricValue:
        """The number as it stands in a record."""
        fields = ("name", "protocol", "value", "ci95", "n", "higher_is_better")
        return MetricValue(**{field: getattr(self, field) for field in fields})

    def minus(self, other: Estimate) -> Difference:
        """This number less ``other``, paired draw by draw. ValueError unless both are the same metric of n samples."""
        mine, theirs = (self.name, self.protocol, self.n), (other.name, other.protocol, other.n)
        if mine != theirs:
            raise ValueError(f"paired: expected one metric, protocol and n, got {mine} and {theirs}; score both alike")
        return paired_difference(self.value, other.value, self.replicates, other.replicates)


class ProtocolMetric(Metric, Generic[P]):
    """A streaming metric under one protocol: ``update`` batches, ``compute`` the number, ``estimates`` with intervals.

    States merge by concatenation or exactly, so batches, processes and ``merge_state`` give the same number. They are in the
    ``state_dict``: loaded into a metric of the same settings, it goes on where the other stopped.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, protocol: P, **settings: Any) -> None:
        super().__init__(**settings)
        self.protocol = protocol
        self._no_rows: dict[str, Tensor] = {}

    def add_state(
        self,
        name: str,
        default: Tensor | list[Any],
        dist_reduce_fx: str | Callable[..., Any] | None = None,
        persistent: bool = True,
    ) -> None:
        """torchmetrics' ``add_state`` of a state that is saved unless told otherwise."""
        super().add_state(name, default, dist_reduce_fx, persistent)

    def add_rows(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        """A state that keeps every sample, in batches (b, *shape) of ``dtype``; processes are joined in order of rank."""
        self.add_state(name, [], dist_reduce_fx="cat")
        self._no_rows[name] = torch.zeros(0, *shape, dtype=dtype)

    @abstractmethod
    def _estimates(self) -> list[Estimate]:
        """Estimates from the states of all processes."""

    def estimates(self) -> list[Estimate]:
        """Numbers with intervals over all processes, the one of ``compute`` first. ValueError for too few samples."""
        with self.sync_context():
            return self._estimates()

    def _sync_dist(
        self, dist_sync_fn: Callable[..., Any] = gather_all_tensors, process_group: Any | None = None
    ) -> None:
        for name, nothing in self._no_rows.items():
            if not len(getattr(self, name)):  # torchmetrics would send one number in place of rows
                setattr(self, name, [nothing.to(self.device)])
        super()._sync_dist(dist_sync_fn, process_group)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        loaded = any(prefix + name in state_dict for name in self._defaults)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if loaded:  # torchmetrics would warn that there was no update, and return what it computed before
            self._update_count = max(self._update_count, 1)
            self._computed = None


METRICS = Registry[type[ProtocolMetric[Any]]]("metric")


def gather(state: Tensor | Sequence[Tensor]) -> Tensor:
    """A state of concatenated batches, before or after torchmetrics has joined them."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(list(state)) if state else torch.zeros(0)


def check_rows(values: Tensor, width: int, what: str) -> None:
    """ValueError unless ``values`` are finite and of shape (b, ``width``)."""
    if values.dim() != 2 or values.shape[1] != width:
        raise ValueError(f"{what}: expected (b, {width}) for this protocol, got {tuple(values.shape)}")
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{what}: expected finite numbers, got NaN or infinity; look at the pictures handed in")
