"""What benchmarks outside the ledger need: a device, and a clock that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU where there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def timed(device: torch.device) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Wrap an operation so that the clock is read when the device is done, not when the work is queued."""

    def wrap(operation: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            result = operation()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return result

        return run

    return wrap
