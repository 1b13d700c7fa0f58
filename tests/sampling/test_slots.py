"""Places in the cache: never two cells that are still looked at in one place, and no more places than that takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nuwa import Grid
from nuwa.attention import AttentionSpec, Axial3D, Block3D, Full, Nearby3D, mask
from nuwa.sampling.slots import slots

VIDEO = Grid(10, 21, 21)


@given(st.data(), st.integers(1, 9))
def test_a_place_is_free_after_the_last_reader_and_not_before(data: st.DataObject, size: int) -> None:
    seen = np.tril(data.draw(arrays(bool, (size, size))), -1) | np.eye(size, dtype=bool)
    cuts = data.draw(st.lists(st.booleans(), min_size=size - 1, max_size=size - 1))
    order = np.split(np.arange(size), np.flatnonzero(cuts) + 1)
    found = slots([torch.from_numpy(cells) for cells in order], torch.from_numpy(seen))
    when = {int(cell): step for step, cells in enumerate(order) for cell in cells}
    most = 0
    for step in range(len(order)):
        held = [c for c in range(size) if when[c] <= step <= max(when[int(r)] for r in np.flatnonzero(seen[:, c]))]
        assert len({int(found.of[cell]) for cell in held}) == len(held)
        most = max(most, len(held))
    assert found.num == most


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        (Nearby3D(), 464),  # a frame, a row and two cells; a ring of two frames would hold 882
        (Nearby3D(extent=(3, 1, 1)), 442),
        (Nearby3D(extent=(1, 3, 3)), 23),
        (Axial3D(), 3970),  # all frames but the last one
        (Axial3D(axes=("w",)), 21),
        (Block3D(block=(5, 7, 7)), 1897),
        (Full(), 4410),
    ],
    ids=str,
)
def test_keys_kept_of_the_papers_video_one_by_one(spec: AttentionSpec, places: int) -> None:
    assert slots(list(torch.arange(VIDEO.size)[:, None]), mask(spec, VIDEO, causal=True)).num == places
