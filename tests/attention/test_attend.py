"""The entry point: what it refuses, and what it says it will run."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from nuwa import Grid
from nuwa.attention import ATTENTION, BACKENDS, Axial3D, Block3D, Full, Nearby3D, Problem, attend, choose, native

needs_compiler = pytest.mark.skipif(native.compiler() is None, reason="needs a C++ compiler")
GRID = Grid(2, 2, 3)


def x(s: int = 12, b: int = 1, n: int = 2, k: int = 4, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(b, n, s, k, dtype=dtype)


@pytest.mark.parametrize(
    ("q", "k", "v", "more", "message"),
    [
        (x(11), x(), x(), {}, r"queries: grid 2x2x3 has 12 cells, got 11; pass the grid"),
        (x(), x(11), x(), {}, r"keys: grid 2x2x3 has 12 cells, got 11"),
        (x(), x(), x(11), {}, r"values: grid 2x2x3 has 12 cells, got 11"),
        (x(), x(), x(), {"kv_grid": Grid(1, 2, 3)}, r"keys: grid 1x2x3 has 6 cells, got 12"),
        (x(), x(k=5), x(), {}, r"keys: expected .* head width of the queries \(1, 2, 12, 4\), got \(1, 2, 12, 5\)"),
        (x(), x(), x(n=1), {}, r"values: expected batch, heads and head width"),
        (x(), x(b=2), x(b=2), {}, r"keys: expected batch"),
        (x()[0], x(), x(), {}, r"queries: expected \(b, n, s, k\), got shape \(2, 12, 4\); split the heads"),
        (x(), x(dtype=torch.bfloat16), x(), {}, r"keys: expected .* torch.float32 on cpu, got torch.bfloat16"),
        (x(dtype=torch.int64), x(), x(), {}, r"queries: expected a floating dtype .* got torch.int64"),
        (x(), x(), x(), {"spec": "nearby3d"}, r"spec: expected an attention spec .* got 'nearby3d'; .*ATTENTION\["),
        (x(), x(), x(), {"causal": True, "kv_grid": Grid(3, 2, 2)}, r"expected queries and keys on one grid"),
        (x(), x(), x(), {"key_mask": torch.ones(1, 12)}, r"key_mask: expected bool .* \(1, 12\) .* got torch.float32"),
        (x(), x(), x(), {"key_mask": torch.ones(1, 11) > 0}, r"key_mask: .* got torch.bool \(1, 11\)"),
        (x(), x(), x(), {"backend": "lokal"}, r"unknown attention backend 'lokal'; did you mean 'local'\?"),
        (
            x(),
            x(),
            x(),
            {"backend": "local"},
            r"'local' cannot run this: .* Full\(\); expected one of reference, dense, sdpa",
        ),
    ],
)
def test_bad_input(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attend(q, k, v, **{"spec": Full(), "grid": GRID, **more})


def test_the_local_kernel_refuses_a_key_mask() -> None:
    with pytest.raises(ValueError, match=r"'local' cannot run this: it takes no key_mask"):
        attend(x(), x(), x(), spec=Nearby3D(), grid=GRID, key_mask=torch.ones(1, 12) > 0, backend="local")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ATTENTION)
def test_the_error_names_backends_that_do_run(name: str, backend: str) -> None:
    """Whatever a backend refuses, the reference takes, and ``auto`` chooses one that takes it."""
    problem = Problem(spec=ATTENTION[name](), grid=GRID, kv_grid=GRID, causal=True)
    if BACKENDS[backend].why_not(problem) is None:
        assert choose(problem, backend) == backend
    else:
        with pytest.raises(ValueError, match="expected one of reference, dense, sdpa"):
            choose(problem, backend)
    assert BACKENDS[choose(problem)].why_not(problem) is None


PAPER, IMAGE, CLIP = Grid(10, 21, 21), Grid(1, 8, 8), Grid(5, 8, 8)


def chosen(**change: object) -> str:
    grid = change.get("grid", PAPER)
    return choose(Problem(**{"spec": Nearby3D(), "grid": grid, "kv_grid": grid, "causal": True, **change}))


@needs_compiler
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "gather"),
        ({"dtype": torch.bfloat16, "grad": False}, "gather"),
        ({"spec": Axial3D()}, "gather"),
        ({"spec": Block3D()}, "gather"),
        ({"spec": Full()}, "sdpa"),
        ({"key_mask": True}, "gather"),
        ({"kv_grid": IMAGE, "causal": False}, "gather"),
        ({"dtype": torch.float16}, "local"),  # the kernel has no fp16
        ({"grid": IMAGE}, "gather"),  # 6.7% of the pairs
        ({"grid": IMAGE, "causal": False, "dtype": torch.bfloat16, "grad": False}, "sdpa"),  # 11.8%
        ({"spec": Block3D(), "grid": IMAGE}, "sdpa"),  # 31%
        ({"spec": Block3D(), "grid": IMAGE, "dtype": torch.bfloat16}, "dense"),
        ({"spec": Full(), "grid": CLIP, "dtype": torch.bfloat16}, "sdpa"),
    ],
)
def test_the_written_table(change: dict[str, object], name: str) -> None:
    assert chosen(**change) == name


@pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "triton"),
        ({"grad": False, "dtype": torch.float32}, "triton"),
        ({"causal": False}, "triton"),
        ({"grid": IMAGE}, "sdpa"),
        ({"key_mask": True}, "sdpa"),
        ({"dtype": torch.float64}, "sdpa"),
        ({"head_width": 48}, "flex"),
        ({"spec": Axial3D()}, "flex"),
        ({"spec": Axial3D(), "dtype": torch.float32}, "sdpa"),
        ({"spec": Block3D()}, "flex"),
        ({"spec": Block3D(block=(5, 21, 21))}, "sdpa"),  # a quarter of all pairs
        ({"spec": Full()}, "sdpa"),
        ({"kv_grid": IMAGE, "causal": False}, "sdpa"),
        ({"kv_grid": Grid(5, 21, 21), "causal": False}, "flex"),
    ],
)
def test_the_written_table_on_a_gpu(change: dict[str, object], name: str) -> None:
    assert chosen(**{"device": "cuda", "dtype": torch.bfloat16, **change}) == name


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "local"),
        ({"dtype": torch.bfloat16}, "local"),
        ({"grad": False}, "local"),
        ({"spec": Axial3D()}, "sdpa"),
        ({"key_mask": True}, "sdpa"),
        ({"kv_grid": IMAGE, "causal": False}, "sdpa"),  # fetching by index is slower than a mask
        ({"grid": CLIP}, "local"),  # 320 tokens, 14 offsets
        ({"grid": CLIP, "causal": False}, "sdpa"),  # 27 offsets
        ({"grid": CLIP, "grad": False, "dtype": torch.bfloat16}, "sdpa"),
        ({"grid": IMAGE}, "sdpa"),
        ({"grid": IMAGE, "dtype": torch.bfloat16}, "dense"),
        ({"grid": IMAGE, "dtype": torch.bfloat16, "grad": False}, "sdpa"),
    ],
)
def test_the_written_table_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object], name: str
) -> None:
    monkeypatch.setattr(native, "library", lambda _: native.NO_COMPILER)
    assert chosen(**change) == name
