"""FlexAttention: its mask is the definition, and it says where it cannot run. On a GPU it is tested with the others."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, create_mask

from nuwa import Grid
from nuwa.attention import ATTENTION, BACKENDS, Nearby3D, Problem, attend, choose, flex, mask, native, whole

GRID = Grid(3, 4, 5)


@pytest.mark.parametrize(
    ("kv_grid", "causal"), [(GRID, False), (GRID, True), (Grid(2, 5, 3), False)], ids=["self", "causal", "cross"]
)
@pytest.mark.parametrize("name", ATTENTION)
def test_the_arithmetic_of_its_mask_is_the_definition(name: str, kv_grid: Grid, causal: bool) -> None:
    spec = ATTENTION[name]()
    admits = flex.mask_mod(spec, GRID, kv_grid, causal)
    found = create_mask(admits, 1, 1, GRID.size, kv_grid.size, device="cpu")[0, 0]
    assert torch.equal(found, mask(spec, GRID, kv_grid, causal))


@pytest.mark.parametrize(
    ("grid", "kv_grid", "causal"),
    [
        (Grid(4, 9, 9), Grid(4, 9, 9), True),
        (Grid(2, 8, 16), Grid(2, 8, 16), False),
        (Grid(3, 7, 9), Grid(2, 16, 9), False),
    ],
    ids=["causal, ragged", "self, whole tiles", "cross"],
)
@pytest.mark.parametrize("name", ATTENTION)
def test_block_masks_are_those_of_pytorch(name: str, grid: Grid, kv_grid: Grid, causal: bool) -> None:
    spec = ATTENTION[name]()
    ours = flex.block_mask(spec, grid, kv_grid, causal, "cpu")
    rule = flex.mask_mod(spec, grid, kv_grid, causal)
    theirs = create_block_mask(rule, None, None, grid.size, kv_grid.size, device="cpu")
    assert ours.seq_lengths == theirs.seq_lengths == (grid.size, kv_grid.size)
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    for tiles in ("kv", "full_kv", "q", "full_q"):
        count = getattr(theirs, f"{tiles}_num_blocks")
        assert torch.equal(getattr(ours, f"{tiles}_num_blocks"), count)
        listed = torch.arange(getattr(theirs, f"{tiles}_indices").shape[-1]) < count[..., None]
        assert torch.equal(getattr(ours, f"{tiles}_indices")[listed], getattr(theirs, f"{tiles}_indices")[listed])


def test_block_masks_are_cached() -> None:
    blocks = flex.block_mask(Nearby3D(), GRID, Grid(2, 5, 3), False, "cpu")
    assert blocks is flex.block_mask(Nearby3D(), GRID, Grid(2, 5, 3), False, "cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cpu"}, "backward pass on CUDA only, and this is cpu"),
        ({"dtype": torch.float64}, "and this is torch.float64"),
        ({"head_width": 8}, "at least 16, and these are 8 wide"),
        ({"key_mask": True}, "no key_mask"),
    ],
)
def test_why_not(change: dict[str, object], reason: str) -> None:
    able = {"spec": Nearby3D(), "grid": GRID, "kv_grid": GRID, "device": "cuda"}
    assert BACKENDS["flex"].why_not(Problem(**able)) is None
    if native.compiler() is not None:
        assert BACKENDS["flex"].why_not(Problem(**{**able, "device": "cpu", "grad": False})) is None
    with pytest.raises(ValueError, match=f"'flex' cannot run this: .*{reason}; expected one of reference"):
        choose(Problem(**{**able, **change}), "flex")


@pytest.mark.slow  # compiles
@pytest.mark.skipif(native.compiler() is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("causal", [False, True], ids=["self", "causal"])
def test_agrees_on_a_cpu_without_gradients(causal: bool) -> None:
    grid = Grid(3, 7, 9)
    q, k, v = torch.randn(3, 1, 2, grid.size, 32).unbind()
    out, expected = (
        attend(q, k, v, spec=Nearby3D(), grid=grid, causal=causal, backend=name) for name in ("flex", "reference")
    )
    torch.testing.assert_close(out, expected, rtol=0, atol=2e-5)


@pytest.mark.slow  # compiles
@pytest.mark.skipif(native.compiler() is None, reason="needs a C++ compiler")
def test_more_grids_than_may_be_compiled_fail_instead_of_running_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "VARIANTS", 1)
    torch.compiler.reset()
    few, more = (torch.randn(1, 1, frames * 16, 16) for frames in (1, 2))
    attend(few, few, few, spec=Nearby3D(), grid=Grid(1, 4, 4), backend="flex")
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        attend(more, more, more, spec=Nearby3D(), grid=Grid(2, 4, 4), backend="flex")
