"""One folder of shards for the tests that only read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_shards import tokenizer, write

from nuwa.data.shards import Shards


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five shards of 37 samples in two views."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shards") / "noise"
    write(folder)
    return folder


@pytest.fixture
def shards(folder: Path) -> Shards:
    return Shards(folder, tokenizer())
