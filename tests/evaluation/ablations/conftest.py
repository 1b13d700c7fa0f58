"""Workers are processes of their own: they have to find the helpers of the tests too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[2] / "helpers"


@pytest.fixture(autouse=True)
def _helpers_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")])))
