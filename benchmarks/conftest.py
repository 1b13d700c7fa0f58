"""What every benchmark needs: a device, a clock that waits for it, and the machine's conditions in the record."""

from __future__ import annotations

import platform
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


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Numbers carry their conditions: versions, threads, processor and GPU."""
    machine_info["torch"] = {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "processor": platform.processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
