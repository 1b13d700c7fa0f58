"""What the suites get from pytest: the ledger, and one test for each grid, variant, backend and direction."""

from __future__ import annotations

import pytest
import torch

from benchmarks.ledger import Ledger
from benchmarks.problems import Options


class Plugin:
    """Hooks and fixtures of one run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.ledger = Ledger(options)

    def pytest_sessionstart(self) -> None:
        """As many threads as the record says: the tests beside these suites are given one each."""
        torch.set_num_threads(self.ledger.made.environment.threads)

    @pytest.fixture(name="ledger")
    def _ledger(self) -> Ledger:
        return self.ledger

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """The grids of the options for the suites that ask for a ``grid``."""
        if "grid" in metafunc.fixturenames:
            decoding = metafunc.module.__name__.endswith("test_decoding")
            grids = self.options.decoding_grids if decoding else self.options.attention_grids
            metafunc.parametrize("grid", grids, ids=str)
