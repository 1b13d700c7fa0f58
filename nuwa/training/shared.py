"""Settings that the trainings of all stages have, and what of the settings is written into a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nuwa.training.distributed import summed
from nuwa.training.ema import check_decay

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def check_shared(ema: float | None, accumulate: int) -> None:
    """ValueError for a decay that is no share, or parts that are none."""
    check_decay(ema)
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least one part, got {accumulate}")


SHAPELESS = ("accumulate", "checkpoint_activations")
"""Settings that change no result, so that a training goes on under others."""

OFF = {"ema": None, "compile": False, "next_frame": 0.0}
"""Values under which a setting does nothing; it stands in the config where it does something."""


def described(settings: DataclassInstance) -> dict[str, Any]:
    """The settings that shape the result, those that do nothing left out."""
    return {
        name: value
        for name, value in asdict(settings).items()
        if name not in SHAPELESS and not (name in OFF and value == OFF[name])
    }


class Sums:
    """Scalars of a step, from those of its parts."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, scalars: Mapping[str, Tensor], share: float) -> None:
        """Add a part that is so much of the step."""
        for name, value in scalars.items():
            part = value.detach() * share
            self._sums[name] = self._sums[name] + part if name in self._sums else part

    def read(self) -> dict[str, Tensor]:
        """Means over the step, of all processes."""
        return dict(zip(self._sums, summed(torch.stack([*self._sums.values()])), strict=True))
