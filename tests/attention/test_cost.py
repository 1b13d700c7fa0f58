"""Costs against Table 7, against the counts of the masks and against PyTorch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from nuwa import Grid
from nuwa.attention import ATTENTION, AttentionSpec, Axial3D, Block3D, Full, Nearby3D, cost, mask
from nuwa.attention.cost import count_pairs

VIDEO = Grid(10, 21, 21)


@pytest.mark.parametrize("causal", [False, True], ids=["self", "causal"])
@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("grid", [Grid(1, 1, 1), Grid(3, 4, 5), Grid(6, 1, 7)], ids=str)
def test_pairs_are_those_of_the_mask(grid: Grid, name: str, causal: bool) -> None:
    spec = ATTENTION[name]()
    assert count_pairs(spec, grid, grid, causal) == int(mask(spec, grid, causal=causal).sum())


@pytest.mark.parametrize("name", ATTENTION)
def test_pairs_between_two_grids(name: str) -> None:
    spec, grid, kv_grid = ATTENTION[name](), Grid(4, 3, 5), Grid(2, 5, 3)
    assert count_pairs(spec, grid, kv_grid) == int(mask(spec, grid, kv_grid).sum())


@pytest.mark.parametrize(
    ("spec", "orders"),
    [
        # Table 7 of arXiv 2111.12417 with s = 4410: s^2; s^2 / b for b = 18 blocks; s (t + h + w); s e_t e_h e_w
        (Full(), 4410**2),
        (Block3D(block=(5, 7, 7)), 4410**2 / 18),
        (Axial3D(), 4410 * 52),
        (Nearby3D(extent=(3, 3, 3)), 4410 * 27),
    ],
    ids=str,
)
def test_table_7_is_the_bound(spec: AttentionSpec, orders: float) -> None:
    """The paper's orders count a line's own cell three times and windows as if they had no border."""
    pairs = count_pairs(spec, VIDEO, VIDEO)
    assert 0.87 * orders < pairs <= orders


def test_flops_are_those_that_pytorch_counts() -> None:
    grid, kv_grid = Grid(2, 3, 4), Grid(1, 5, 5)
    q, kv = torch.zeros(2, 3, grid.size, 8), torch.zeros(2, 3, kv_grid.size, 8)
    # the plain implementation, as the counter does not know the fused one of CPUs
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        scaled_dot_product_attention(q, kv, kv)
    assert cost(Full(), grid, kv_grid, num_heads=3, head_width=8, batch=2).flops == counter.get_total_flops()


def test_bytes() -> None:
    spent = cost(Nearby3D(), VIDEO, num_heads=20, head_width=64)
    assert spent.bytes_moved == 4 * 4410 * 1280 * 4  # q, k, v and the result, once each, float32
    assert spent.bytes_scores == 4410 * 4410 * 20 * 4
    assert spent.intensity == spent.flops / spent.bytes_moved
    half = cost(Nearby3D(), VIDEO, num_heads=20, head_width=64, itemsize=2)
    assert (half.bytes_moved, half.flops) == (spent.bytes_moved // 2, spent.flops)


def test_causal_between_two_grids_is_refused() -> None:
    with pytest.raises(ValueError, match="expected queries and keys on one grid"):
        cost(Full(), VIDEO, Grid(1, 21, 21), causal=True, num_heads=1, head_width=1)
