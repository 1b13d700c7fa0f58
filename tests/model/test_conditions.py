"""Sketches and targets with hidden cells: which of their tokens reach which logits, on grids of any size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nuwa import Grid
from nuwa.attention import Axial3D, Block3D, Full, Nearby3D, Pattern, axial_in_turn, mask
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel

SIZES: dict[str, Any] = {"d": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 2}
LARGEST = Grid(3, 4, 5)
GRIDS = [LARGEST, Grid(1, 4, 5), Grid(2, 3, 4), Grid(1, 1, 1)]
PATTERNS: list[tuple[Pattern, Pattern]] = [
    (Nearby3D(), Nearby3D()),
    (Full(), Nearby3D(extent=(1, 3, 3))),
    (Nearby3D(extent=(1, 1, 3)), Axial3D()),
    (Block3D(block=(2, 2, 3)), (Nearby3D(extent=(1, 1, 3)), Block3D(block=(1, 2, 2)))),
    (Nearby3D(extent=(1, 3, 1)), axial_in_turn()),
]


def make(encoder: Pattern, decoder: Pattern, sketch_grid: Grid = LARGEST) -> NuwaModel:
    torch.manual_seed(0)
    sizes = ModelSizes(
        **SIZES, encoder_attention=encoder, decoder_attention=decoder, conditions=("text", "sketch", "partial")
    )
    model = NuwaModel(
        sizes.on(LARGEST, num_codes=7, vocab_size=13, sketch_grid=sketch_grid, num_sketch_codes=6)
    ).double()
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def words(b: int) -> tuple[Tensor, Tensor]:
    return torch.arange(77).remainder(12).repeat(b, 1), (torch.arange(77) < 4).repeat(b, 1)


def changes(values: Tensor, num: int) -> Tensor:
    """(1 + m, …) of values (…): as they are, then with each of the m changed in turn."""
    flat = values.flatten().repeat(values.numel() + 1, 1)
    cells = torch.arange(values.numel())
    flat[cells + 1, cells] = (flat[cells + 1, cells] + 1) % num
    return flat.unflatten(1, values.shape)


def reached(model: NuwaModel, grid: Grid, **condition: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Bool (m, s): the logits of the column change with the row's token of a condition, of which all variants are given."""
    b = len(next(iter(condition.values())) if "sketch" in condition else condition["partial"][0])
    tokens = torch.randint(7, (1, grid.size), generator=torch.Generator().manual_seed(3)).expand(b, -1)
    with torch.no_grad():
        logits = model.decoder(tokens, model.conditions(*words(b), **condition), grid)  # type: ignore[arg-type]
    difference = (logits[1:] - logits[:1]).abs().amax(dim=-1)
    assert not ((difference > 1e-13) & (difference < 1e-10)).any()  # nothing in between: changed, or not
    return difference > 1e-10


def admitted(model: NuwaModel, grid: Grid, kv_grid: Grid) -> Tensor:
    """The same from the definitions: a layer sees the condition around its own cell, and states of cells that did so."""
    config = model.config
    memory = torch.eye(kv_grid.size, dtype=torch.float64)
    for spec in config.encoder_specs:
        memory = mask(spec, kv_grid).double() @ memory
    state = torch.zeros(grid.size, kv_grid.size, dtype=torch.float64)
    for spec in config.decoder_specs:
        state = mask(spec, grid, causal=True).double() @ state + mask(spec, grid, kv_grid).double() @ memory
    return (state > 0).T


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize(("encoder", "decoder"), PATTERNS, ids=str)
def test_a_sketch_reaches_what_the_masks_allow(encoder: Pattern, decoder: Pattern, grid: Grid) -> None:
    model, kv_grid = make(encoder, decoder), Grid(grid.t, 4, 3)
    sketch = changes(torch.randint(6, kv_grid.shape), 6)
    assert torch.equal(reached(model, grid, sketch=sketch), admitted(model, grid, kv_grid))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize(("encoder", "decoder"), PATTERNS[:3], ids=str)
def test_known_cells_reach_what_the_masks_allow_and_hidden_ones_nothing(
    encoder: Pattern, decoder: Pattern, grid: Grid
) -> None:
    model = make(encoder, decoder)
    known = torch.rand(grid.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    tokens = changes(torch.randint(7, grid.shape), 7)
    found = reached(model, grid, partial=(tokens, known.expand(len(tokens), *grid.shape)))
    assert torch.equal(found, admitted(model, grid, grid) & known.flatten()[:, None])


def test_a_nearby_encoder_lets_a_cell_see_below_and_to_the_right_of_it() -> None:
    """The reason for the masked-condition route: the decoder alone knows nothing of what follows in raster order."""
    model, grid = make(Nearby3D(), Nearby3D()), Grid(1, 4, 5)
    known = torch.ones(grid.shape, dtype=torch.bool)
    tokens = changes(torch.randint(7, grid.shape), 7)
    found = reached(model, grid, partial=(tokens, known.expand(len(tokens), *grid.shape)))
    assert found[7:, 6].any()


@pytest.mark.parametrize("absent", [[0], [1, 2], [0, 1, 2]], ids=str)
def test_samples_that_do_without_a_sketch(absent: list[int]) -> None:
    """They are as in a batch that has none, and do not depend on what stands in its place."""
    model, grid = make(Nearby3D(), Nearby3D()), Grid(1, 4, 5)
    tokens, sketch = torch.randint(7, (3, grid.size)), torch.randint(6, (3, 1, 4, 3))
    present = torch.ones(3, dtype=torch.bool)
    present[absent] = False
    with torch.no_grad():
        found = model.decoder(tokens, model.conditions(*words(3), sketch=sketch, present=present), grid)
        without = model.decoder(tokens, model.conditions(*words(3)), grid)
        with_it = model.decoder(tokens, model.conditions(*words(3), sketch=sketch), grid)
    torch.testing.assert_close(found[~present], without[~present])
    torch.testing.assert_close(found[present], with_it[present])
    assert not torch.allclose(without, with_it)


@pytest.mark.parametrize("name", ["sketch", "partial"])
def test_a_model_without_the_condition_says_so(name: str) -> None:
    model = NuwaModel(ModelSizes(**SIZES).on(LARGEST, num_codes=7, vocab_size=13))
    tokens = torch.zeros(1, 1, 4, 5, dtype=torch.int64)
    more = {"sketch": tokens} if name == "sketch" else {"partial": (tokens, tokens > 0)}
    with pytest.raises(ValueError, match=f"expected a model with the condition '{name}', got one with text"):
        model.conditions(*words(1), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("grid", [Grid(4, 1, 1), Grid(1, 5, 5), Grid(3, 4, 6)], ids=str)
def test_a_larger_grid_is_refused(grid: Grid) -> None:
    model = make(Nearby3D(), Nearby3D())
    message = rf"expected at most 3x4x5 \(frames x rows x columns\), got {grid}"
    with pytest.raises(ValueError, match=message):
        model.decoder(torch.zeros(1, grid.size, dtype=torch.int64), model.conditions(*words(1)), grid)
    with pytest.raises(ValueError, match=message):
        model.encoder.encode_sketch(torch.zeros(1, *grid.shape, dtype=torch.int64))


@pytest.mark.parametrize("grid", [Grid(1, 4, 5), Grid(2, 3, 4)], ids=str)
def test_a_smaller_grid_is_its_own_model(grid: Grid) -> None:
    """The decoder of a larger grid computes on a smaller one what a decoder made for it does, with the same weights."""
    large = NuwaModel(ModelSizes(**SIZES).on(LARGEST, num_codes=7, vocab_size=13)).eval()
    small = NuwaModel(ModelSizes(**SIZES).on(grid, num_codes=7, vocab_size=13)).eval()
    state = large.state_dict()
    for axis, length in enumerate(grid.shape):
        state[f"decoder.positions.tables.{axis}"] = state[f"decoder.positions.tables.{axis}"][:length]
    small.load_state_dict(state)
    tokens = torch.randint(7, (2, grid.size))
    assert torch.equal(large.decoder(tokens, large.conditions(*words(2)), grid), small(tokens, *words(2)))
