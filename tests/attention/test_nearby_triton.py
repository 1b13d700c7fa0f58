"""The Triton kernels: in an interpreter against the reference, compiled for a GPU that is not there, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from nuwa import Grid
from nuwa.attention import BACKENDS, Full, Nearby3D, Problem, choose, nearby_triton, tiles

ROOT = Path(__file__).parents[2]
HUGE = Grid(64, 512, 512)
BOUNDS = {"float32": 2e-5, "float16": 2e-2, "bfloat16": 2e-2}
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")


def case(
    grid: str, extent: tuple[int | None, ...], causal: bool, dtype: str = "float32", **more: object
) -> dict[str, object]:
    return {"grid": list(map(int, grid.split("x"))), "extent": extent, "causal": causal, "dtype": dtype, **more}


SMALL = {"rows": 16, "columns": 16, "warps": 1}
CASES = [
    case("1x1x1", (3, 3, 3), True),
    case("1x1x1", (3, 3, 3), False, "bfloat16"),
    case("3x5x7", (3, 3, 3), True, heads=2),
    case("3x5x7", (3, 3, 3), False),
    case("3x5x7", (3, 3, 3), True, "bfloat16", heads=2),
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
    case("2x7x1", (3, 3, 3), False, batch=2),
    case("2x3x4", (3, 3, 3), True, heads=2, turned=True),
    case("3x9x9", (3, 3, 3), True, "float16"),  # tiles of 64 with nothing of the border around them
]


@pytest.fixture(scope="module")
def interpreted() -> list[list[float]]:
    """The errors of all cases, from one process."""
    command = [sys.executable, "tests/helpers/interpreted.py"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TRITON_INTERPRET": "1"},
        input=json.dumps(CASES),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stderr  # the operators' contract with PyTorch
    return json.loads(done.stdout)


@needs_triton
@pytest.mark.parametrize("place", range(len(CASES)), ids=lambda place: "-".join(map(str, CASES[place].values())))
def test_the_interpreted_kernels_agree_with_the_reference(interpreted: list[list[float]], place: int) -> None:
    output_and_gradients = interpreted[place]
    assert len(output_and_gradients) == 4
    assert all(error <= BOUNDS[CASES[place]["dtype"]] for error in output_and_gradients)


def argument(name: str, number: str) -> tuple[str, bool]:
    """Triton's type of a kernel's argument, and whether it is known to be a multiple of 16, as in a model."""
    if name in ("T", "H", "W", "size"):
        return "i32", False
    if name.endswith(("_b", "_n", "_s")):
        return "i32", True
    return {"box": "*i32", "lse": "*fp32", "delta": "*fp32"}.get(name, f"*{number}"), True


@needs_triton
@pytest.mark.parametrize(
    ("kernel", "dtype", "causal"),
    [
        ("forward", torch.bfloat16, True),
        ("forward", torch.float32, False),
        ("backward", torch.bfloat16, True),
        ("backward", torch.float16, False),
        ("products", torch.bfloat16, True),
    ],
    ids=str,
)
def test_a_compiler_for_hopper_takes_the_kernels(kernel: str, dtype: torch.dtype, causal: bool) -> None:
    """What the interpreter forgives and the compiler does not; 64 columns of half precision are for the tensor cores."""
    import triton
    from triton.backends.compiler import GPUTarget

    from nuwa.attention import nearby_kernels

    ptxas = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"
    if not ptxas.exists():
        pytest.skip("this triton comes without ptxas")
    sizes = nearby_triton.blocks(dtype, 64, backward=kernel == "backward")
    constants = nearby_triton.constants(
        tiles.tiling(Grid(10, 32, 32), (1, 1, 1), causal, sizes.rows, sizes.columns), causal, sizes, dtype, 64
    )
    function = getattr(nearby_kernels, kernel)
    names = function.arg_names
    number = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[dtype]
    arguments = {name: argument(name, number) for name in names if name not in constants}
    source = triton.compiler.ASTSource(
        function,
        {name: arguments[name][0] if name in arguments else "constexpr" for name in names},
        {name: constants[name] for name in names if name in constants},
        {(names.index(name),): [["tt.divisibility", 16]] for name, (_, even) in arguments.items() if even},
    )
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=nearby_triton.launch(sizes))
    assert len(made.asm["cubin"]) > 0
    assert ("wgmma" in made.asm["ptx"]) == (dtype != torch.float32 and kernel != "products")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cpu"}, "run on CUDA, and this is cpu"),
        ({"spec": Full()}, "nearby3d only, and the spec is Full()"),
        ({"dtype": torch.float64}, "and this is torch.float64"),
        ({"head_width": 48}, "16, 32, 64, 128 wide, and these are 48 wide"),
        ({"key_mask": True}, "no key_mask"),
        ({"kv_grid": Grid(2, 5, 3)}, "on one grid, and these are 3x4x5 and 2x5x3"),
        (
            {"spec": Nearby3D(extent=(None, None, None)), "grid": HUGE, "kv_grid": HUGE},
            "into 31 bits, and these need 33",
        ),
    ],
)
@needs_triton
def test_why_not(change: dict[str, object], reason: str) -> None:
    able = {"spec": Nearby3D(), "grid": Grid(3, 4, 5), "kv_grid": Grid(3, 4, 5), "device": "cuda"}
    why_not = BACKENDS["triton"].why_not
    assert why_not(Problem(**able)) is None
    assert reason in str(why_not(Problem(**{**able, **change})))


@pytest.mark.parametrize("name", ["triton", "flex"])
def test_without_triton_they_say_so(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(f"nuwa.attention.{'nearby_triton' if name == 'triton' else name}.TRITON", False)
    grid = Grid(3, 20, 20)
    problem = Problem(spec=Nearby3D(), grid=grid, kv_grid=grid, device="cuda", dtype=torch.bfloat16)
    assert "Triton, which is not installed" in str(BACKENDS[name].why_not(problem))
    assert choose(problem) != name


def test_the_compiler_can_ask_why_not() -> None:
    def told(x: torch.Tensor) -> torch.Tensor:
        problem = Problem(
            spec=Nearby3D(), grid=Grid(5, 7, 9), kv_grid=Grid(5, 7, 9), device="cuda", dtype=torch.bfloat16
        )
        return x if nearby_triton.why_not(problem) is None else x + 1

    expected = told(torch.zeros(1))
    assert torch.equal(torch.compile(told, fullgraph=True, backend="eager")(torch.zeros(1)), expected)
