"""The Triton kernels: in Triton's interpreter against the reference, compiled for a GPU that is not there, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from nuwa import Grid
from nuwa.attention import BACKENDS, Full, Nearby3D, Problem, choose, mask, nearby_triton, tiles

ROOT = Path(__file__).parents[2]
BOUNDS = {"float32": 2e-5, "float16": 2e-2, "bfloat16": 2e-2}
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")


def case(grid: str, extent: tuple[int | None, ...], causal: bool, dtype: str = "float32", **more: object) -> dict[str, object]:
    return {"grid": list(map(int, grid.split("x"))), "extent": extent, "causal": causal, "dtype": dtype, **more}


SMALL = {"rows": 16, "columns": 16, "warps": 1}
CASES = [
    case("1x1x1", (3, 3, 3), True),
    case("1x1x1", (3, 3, 3), False, "bfloat16"),
    case("3x5x7", (3, 3, 3), True),
    case("3x5x7", (3, 3, 3), False),
    case("3x5x7", (3, 3, 3), True, "bfloat16"),
    case("3x5x7", (3, 3, 3), False, "float16"),
    case("3x5x7", (1, 1, 1), True, blocks=SMALL),
    case("2x3x37", (5, 3, 7), True, "bfloat16", width=32),
    case("2x3x19", (5, 3, 7), False, blocks={"rows": 32, "columns": 16, "warps": 1}),
    case("1x2x33", (3, 1, 5), True, "bfloat16", width=64),
    case("5x2x7", (None, 3, None), True),
    case("4x3x5", (None, None, None), True, "bfloat16"),
    case("4x3x5", (None, None, None), False),
    case("4x5x2", (9, 11, 5), True),  # beyond the grid on every axis
    case("13x1x1", (5, 3, 3), True),
    case("2x7x1", (3, 3, 3), False, batch=2, heads=1),
    case("2x3x4", (3, 3, 3), True, turned=True),
    case("6x9x9", (3, 3, 3), True, "float16", heads=1),  # tiles of 64 with nothing of the border around them
]


@pytest.fixture(scope="module")
def interpreted() -> list[list[float]]:
    """The errors of all cases, from one process."""
    command = [sys.executable, "tests/helpers/interpreted.py"]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(CASES), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_triton
@pytest.mark.parametrize("place", range(len(CASES)), ids=lambda place: "-".join(map(str, CASES[place].values())))
def test_the_interpreted_kernels_agree_with_the_reference(interpreted: list[list[float]], place: int) -> None:
    output_and_gradients = interpreted[place]
    assert len(output_and_gradients) == 4
    assert max(output_and_gradients) <= BOUNDS[CASES[place]["dtype"]]
