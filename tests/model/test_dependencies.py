"""Which token reaches which logits: every earlier one that stem and layers admit, and no other.

Every cell's token is changed in turn and the logits of all cells are compared. Expected is the boolean product of the
definitions: the stem's reads, then once per layer the attention's causal mask.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.attention import ATTENTION, Block3D, Nearby3D, Pattern, axial_in_turn, choose, mask
from nuwa.attention.backend import Problem
from nuwa.model.nuwa import NuwaModel
from nuwa.model.stem import STEMS

from .conftest import ModelMaker

SPECS = [
    *(ATTENTION[name]() for name in ATTENTION),
    Block3D(block=(2, 2, 3)),
    Nearby3D(extent=(1, 3, 3)),
    Nearby3D(extent=(3, 1, 5)),
    Nearby3D(extent=(None, 1, 1)),
    (Nearby3D(extent=(1, 3, 3)), Block3D(block=(2, 2, 3))),
    axial_in_turn(),
]
GRIDS = [Grid(1, 3, 5), Grid(3, 4, 3), Grid(2, 1, 7), Grid(5, 1, 1), Grid(1, 1, 1)]


def reached(model: NuwaModel, cells: Tensor) -> Tensor:
    """Bool (m, s): the logits of the column change with the token of each of the cells (m,)."""
    config = model.config
    tokens = torch.randint(config.num_codes, (1, config.grid.size))
    changed = tokens.repeat(len(cells), 1)
    rows = torch.arange(len(cells))
    changed[rows, cells] = (changed[rows, cells] + 1) % config.num_codes
    text = torch.randint(config.vocab_size, (1, 77)), torch.arange(77)[None] < 4
    with torch.no_grad():
        memory = [model.encoder.encode_text(*text)]
        many = [model.encoder.encode_text(*(each.repeat(len(cells), 1) for each in text))]
        difference = (model.decoder(changed, many) - model.decoder(tokens, memory)).abs().amax(dim=-1)
    assert not ((difference > 1e-13) & (difference < 1e-9)).any()  # nothing in between: changed, or not
    return difference > 1e-11


def admitted(model: NuwaModel) -> Tensor:
    """Bool (s, s): the logits of the row may change with the token of the column."""
    reach = model.decoder.stem.reads(model.config.grid).double()
    for spec in model.config.decoder_specs:
        reach = mask(spec, model.config.grid, causal=True).double() @ reach
    return reach > 0


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_token_reaches_exactly_what_the_masks_allow(
    make_model: ModelMaker, spec: Pattern, stem: str, grid: Grid
) -> None:
    model = make_model(grid, decoder_attention=spec, stem=stem)
    found = reached(model, torch.arange(grid.size))
    assert torch.equal(found, admitted(model).T)
    assert not found.tril().any()  # neither its own cell nor one before it


def test_on_a_grid_that_takes_another_backend(make_model: ModelMaker) -> None:
    grid = Grid(2, 11, 13)
    model = make_model(grid, decoder_attention=Nearby3D())
    problem = Problem(spec=Nearby3D(), grid=grid, kv_grid=grid, causal=True, dtype=torch.float64)
    assert choose(problem) not in ("sdpa", "dense")
    cells = torch.tensor([0, 12, 13, 77, 142, 143, 150, 284, 285])
    assert torch.equal(reached(model, cells), admitted(model).T[cells])


@pytest.mark.parametrize("grid", [Grid(1, 3, 5), Grid(3, 4, 3)], ids=str)
@pytest.mark.parametrize("name", ATTENTION)
def test_next_door_is_always_seen_by_the_nearby_stem(make_model: ModelMaker, name: str, grid: Grid) -> None:
    """The token above, the one to the left and the one at the same place one frame before, whatever the attention."""
    model = make_model(grid, decoder_attention=ATTENTION[name](), stem="nearby", decoder_layers=1)
    found = reached(model, torch.arange(grid.size)).view(*grid.shape, *grid.shape)
    for t, h, w in grid.coordinates().tolist():
        if h:
            assert found[t, h - 1, w, t, h, w]
        if w:
            assert found[t, h, w - 1, t, h, w]
        if t:
            assert found[t - 1, h, w, t, h, w]


@pytest.mark.parametrize("stem", STEMS)
def test_full_attention_reaches_all_that_a_stem_has_read(make_model: ModelMaker, stem: str) -> None:
    """A token is known from the first cell on that reads it.

    With the raster stem that is the next cell. With the nearby stem the last token of a row is first read two columns
    before the end of the row below.
    """
    grid = Grid(2, 3, 4)
    model = make_model(grid, decoder_attention=ATTENTION["full"](), stem=stem)
    found = reached(model, torch.arange(grid.size))
    first = [row.nonzero().min().item() if row.any() else grid.size for row in found]
    assert torch.equal(found, torch.arange(grid.size) >= torch.tensor(first)[:, None])
    last_column, next_cell = torch.arange(3, 24, 4), torch.arange(1, 25)
    if stem == "nearby":
        next_cell[last_column] = torch.tensor([6, 10, 18, 18, 22, 24])
    assert first == next_cell.tolist()
