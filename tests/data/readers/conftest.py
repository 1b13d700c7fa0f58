from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a dataset."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
