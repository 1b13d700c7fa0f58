"""The definition against a loop over coordinates, a picture operator of scipy and golden counts."""

from __future__ import annotations

import itertools

import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa import Grid
from nuwa.attention import (
    ATTENTION,
    AttentionSpec,
    Axial3D,
    Block3D,
    Full,
    Nearby3D,
    dependencies,
    mask,
    neighbours,
)

SPECS = [
    Full(),
    Axial3D(),
    Axial3D(axes=("h",)),
    Axial3D(axes=("w", "t")),
    Block3D(block=(2, 3, 2)),
    Block3D(block=(None, 1, 4)),
    Nearby3D(),
    Nearby3D(extent=(1, 5, 3)),
    Nearby3D(extent=(None, 3, 1)),
    Nearby3D(extent=(7, 7, 7)),
]
GRIDS = [Grid(1, 1, 1), Grid(5, 1, 1), Grid(1, 3, 4), Grid(2, 3, 5), Grid(3, 4, 2)]

sides = st.integers(1, 5)
grids = st.builds(Grid, sides, sides, sides)
odd = st.sampled_from([1, 3, 5, 7, None])
widths = st.sampled_from([1, 2, 3, 4, 9, None])
specs = st.one_of(
    st.just(Full()),
    st.builds(Axial3D, axes=st.lists(st.sampled_from("thw"), min_size=1, unique=True).map(tuple)),
    st.builds(Block3D, block=st.tuples(widths, widths, widths)),
    st.builds(Nearby3D, extent=st.tuples(odd, odd, odd)),
)


def by_hand(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool) -> list[list[bool]]:
    """The definition spelled out for one pair of cells at a time."""

    def sees(query: tuple[int, ...], key: tuple[int, ...]) -> bool:
        if causal and key > query:
            return False
        centre = [i * m // n for i, n, m in zip(query, grid.shape, kv_grid.shape, strict=True)]
        if isinstance(spec, Full):
            return True
        if isinstance(spec, Axial3D):
            away = [axis for axis, c, k in zip("thw", centre, key, strict=True) if c != k]
            return not away or (len(away) == 1 and away[0] in spec.axes)
        for axis in range(3):
            if isinstance(spec, Block3D):
                width = spec.block[axis]
                if width is not None and centre[axis] // width != key[axis] // width:
                    return False
            elif isinstance(spec, Nearby3D):
                extent = spec.extent[axis]
                if extent is not None and not -(extent // 2) <= key[axis] - centre[axis] <= extent // 2:
                    return False
        return True

    queries, keys = (list(itertools.product(*map(range, g.shape))) for g in (grid, kv_grid))
    return [[sees(query, key) for key in keys] for query in queries]


@pytest.mark.parametrize("causal", [False, True], ids=["self", "causal"])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_self_and_causal_agree_with_the_loop(spec: AttentionSpec, grid: Grid, causal: bool) -> None:
    assert mask(spec, grid, causal=causal).tolist() == by_hand(spec, grid, grid, causal)


@given(spec=specs, grid=grids, kv_grid=grids)
@settings(max_examples=40, deadline=None)
def test_cross_agrees_with_the_loop(spec: AttentionSpec, grid: Grid, kv_grid: Grid) -> None:
    assert mask(spec, grid, kv_grid).tolist() == by_hand(spec, grid, kv_grid, False)


@given(spec=specs, grid=grids, kv_grid=grids)
@settings(max_examples=40, deadline=None)
def test_every_query_sees_its_own_cell_or_its_centre(spec: AttentionSpec, grid: Grid, kv_grid: Grid) -> None:
    assert mask(spec, grid, kv_grid).any(1).all()
    assert mask(spec, grid, causal=True).diagonal().all()


@given(spec=specs, grid=grids)
@settings(max_examples=40, deadline=None)
def test_causal_and_its_transpose_make_up_the_whole(spec: AttentionSpec, grid: Grid) -> None:
    causal = mask(spec, grid, causal=True)
    assert torch.equal(causal | causal.T, mask(spec, grid))
    assert torch.equal(dependencies(spec, grid), causal & ~torch.eye(grid.size, dtype=torch.bool))


@given(spec=specs, grid=grids, kv_grid=grids, causal=st.booleans())
@settings(max_examples=40, deadline=None)
def test_neighbours_are_the_rows_of_the_mask(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool) -> None:
    kv_grid = grid if causal else kv_grid
    admitted = mask(spec, grid, kv_grid, causal)
    index, valid = neighbours(spec, grid, kv_grid, causal)
    assert index.shape == valid.shape == (grid.size, int(admitted.sum(1).max()))
    rows = [i[keep].tolist() for i, keep in zip(index, valid, strict=True)]
    assert rows == [row.nonzero().flatten().tolist() for row in admitted]
    assert not index[~valid].any()


@given(grid=grids, extent=st.tuples(*[st.sampled_from([1, 3, 5])] * 3))
@settings(max_examples=20, deadline=None)
def test_nearby_is_a_dilation(grid: Grid, extent: tuple[int, int, int]) -> None:
    """A box grown around one cell by scipy, which clips at the border, is the window of that cell."""
    cells = torch.eye(grid.size, dtype=torch.bool).reshape(grid.size, *grid.shape)
    grown = [
        scipy.ndimage.binary_dilation(cell.numpy(), structure=torch.ones(extent).numpy()).ravel() for cell in cells
    ]
    assert mask(Nearby3D(extent=extent), grid).tolist() == [row.tolist() for row in grown]


@pytest.mark.parametrize(
    ("spec", "causal", "pairs", "most"),
    [
        # arithmetic on 4,410 tokens: s^2; s(s+1)/2; s(t+h+w-2); its causal half; (3t-2)(3h-2)(3w-2); its causal half
        (Full(), False, 4410**2, 4410),
        (Full(), True, 4410 * 4411 // 2, 4410),
        (Axial3D(), False, 4410 * 50, 50),
        (Axial3D(), True, (4410 * 50 + 4410) // 2, 50),
        (Nearby3D(), False, 28 * 61 * 61, 27),
        (Nearby3D(), True, (28 * 61 * 61 + 4410) // 2, 14),
        (Block3D(), False, 4410 * 245, 245),
    ],
)
def test_counts_on_the_grid_of_the_paper(spec: AttentionSpec, causal: bool, pairs: int, most: int) -> None:
    count = mask(spec, Grid(10, 21, 21), causal=causal).sum(1)
    assert (int(count.sum()), int(count.max())) == (pairs, most)


@pytest.mark.parametrize(
    ("spec", "grid", "steps"),
    [
        # Longest path: w + 2(h-1) + 4(t-1) for nearby with extent 3, t+h+w-2 for axial, all cells for full.
        (Nearby3D(), Grid(1, 21, 21), 61),
        (Nearby3D(), Grid(5, 8, 8), 38),
        (Axial3D(), Grid(5, 8, 8), 19),
        (Full(), Grid(2, 4, 4), 32),
    ],
)
def test_depth_of_the_dependencies(spec: AttentionSpec, grid: Grid, steps: int) -> None:
    waits = dependencies(spec, grid)
    depth = torch.ones(grid.size, dtype=torch.int64)
    for cell in range(1, grid.size):
        if waits[cell].any():
            depth[cell] = depth[waits[cell]].max() + 1
    assert int(depth.max()) == steps


def test_what_is_cached_under_inference_mode_serves_training() -> None:
    grid = Grid(2, 1, 7)  # used nowhere else, so that the first call is the one below
    with torch.inference_mode():
        admitted, (index, valid) = mask(Axial3D(), grid), neighbours(Axial3D(), grid)
    assert not admitted.is_inference()
    assert not index.is_inference()
    assert not valid.is_inference()


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("pattern", [mask, neighbours])
def test_causal_between_two_grids_is_refused(name: str, pattern: object) -> None:
    with pytest.raises(
        ValueError, match=r"expected queries and keys on one grid, got 1x2x2 and 1x2x3; .* causal=False"
    ):
        pattern(ATTENTION[name](), Grid(1, 2, 2), Grid(1, 2, 3), causal=True)
