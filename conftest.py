"""Marks that skip with their reason, and determinism of every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# The first example pays for imports and thread pools, so a time limit for each would fail on a busy machine.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this project."""
    parser.addoption("--slow", action="store_true", help="run tests that train or sample for more than a few seconds")
    parser.addoption("--data", default=None, help="folder with coco-mini, kinetics-mini and bad-input")
    parser.addoption("--weights", default=None, help="folder with published network weights")


def pytest_configure() -> None:
    """One thread: tests are small, and several processes share the cores."""
    torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine or call does not provide, and say why."""
    absent = {}
    if not torch.cuda.is_available():
        absent["gpu"] = "needs a CUDA device"
    if not config.getoption("--slow"):
        absent["slow"] = "slow; run with --slow"
    if config.getoption("--data") is None:
        absent["real_files"] = "needs real files; name the folder of coco-mini, kinetics-mini and bad-input with --data"
    if config.getoption("--weights") is None:
        absent["weights"] = "needs published weights; name their folder with --weights"
    for item in items:
        for marker, reason in absent.items():
            if item.get_closest_marker(marker) is not None:  # keywords would match the names of folders too
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
