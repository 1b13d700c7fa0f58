"""Steps whose loss or gradient is no finite number: one is left out and counted, several in a row end the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

PATIENCE = 5
"""Bad steps in a row that end a training; fewer come from single samples or from rounding."""

_WATCHED = ("loss", "gradient_norm")


@dataclass(kw_only=True)
class BadSteps:
    """How many there were."""

    name: str  # of the training
    total: int = 0
    in_a_row: int = 0

    def count(self, step: int, scalars: Mapping[str, Tensor]) -> bool:
        """Whether this was a bad step, by what it logs.

        FloatingPointError where it is the last of :data:`PATIENCE` in a row.
        """
        found = {name: float(scalars[name]) for name in _WATCHED if name in scalars}
        if all(map(math.isfinite, found.values())):
            self.in_a_row = 0
            return False
        self.total, self.in_a_row = self.total + 1, self.in_a_row + 1
        if self.in_a_row == PATIENCE:
            raise FloatingPointError(
                f"{self.name}: {PATIENCE} steps in a row up to step {step} gave a loss or a gradient that is no finite "
                f"number, the last one {found}; lower the learning rate"
            )
        return True

    def line(self) -> dict[str, float]:
        """For the log: nothing where there were none."""
        return {"bad_steps": self.total} if self.total else {}
