"""The whole model: conditions, captions of any length, and its initial state."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa import Grid
from nuwa.attention import AttentionSpec, Axial3D, Full, Nearby3D
from nuwa.model.layers import Condition
from nuwa.model.nuwa import NuwaModel

from .conftest import ModelMaker

GRID = Grid(1, 3, 4)


def text(*lengths: int, vocab_size: int = 13) -> tuple[Tensor, Tensor]:
    valid = torch.arange(77) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, vocab_size, (len(lengths), 77), generator=torch.Generator().manual_seed(4))
    return ids * valid, valid


@pytest.fixture
def model(make_model: ModelMaker) -> NuwaModel:
    return make_model(GRID)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(11, (3, GRID.size))


def test_shapes(model: NuwaModel, tokens: Tensor) -> None:
    logits = model(tokens, *text(5, 9, 2))
    assert logits.shape == (3, 12, 11)
    assert model.num_parameters == sum(p.numel() for p in model.parameters())


def test_padding_never_matters(model: NuwaModel, tokens: Tensor) -> None:
    ids, valid = text(5, 9, 2)
    expected = model(tokens, ids, valid)
    other = torch.where(valid, ids, torch.randint(13, ids.shape))
    assert not torch.equal(other, ids)
    assert torch.equal(model(tokens, other, valid), expected)


def test_words_do_matter(model: NuwaModel, tokens: Tensor) -> None:
    """Each word of the first caption changes the logits of every cell of the first sample, and of no other."""
    ids, valid = text(5, 9, 2)
    expected = model(tokens, ids, valid)
    for column in range(5):
        changed = ids.clone()
        changed[0, column] = (changed[0, column] + 1) % 13
        difference = (model(tokens, changed, valid) - expected).abs().amax(dim=-1)
        assert difference[0].min() > 1e-9
        assert difference[1:].max() == 0


def test_a_caption_does_not_depend_on_the_longest_of_its_batch(model: NuwaModel, tokens: Tensor) -> None:
    """Alone it is cut to its own length, beside a caption of 77 words it is not cut at all."""
    ids, valid = text(5, 77, 2)
    together = model(tokens, ids, valid)
    for row in range(3):
        alone = model(tokens[row : row + 1], ids[row : row + 1], valid[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-10, atol=1e-10)


def test_memory_is_as_long_as_the_longest_caption(model: NuwaModel) -> None:
    condition = model.encoder.encode_text(*text(5, 9, 2))
    assert condition.memory.shape == (3, 9, 16)
    assert condition.grid == Grid(9, 1, 1)
    assert condition.spec == Full()


def test_the_order_of_words_matters(model: NuwaModel, tokens: Tensor) -> None:
    ids, valid = text(5, 5, 5)
    turned = ids.clone()
    turned[:, :5] = ids[:, :5].flip(1)
    assert not torch.allclose(model(tokens, turned, valid), model(tokens, ids, valid))


@pytest.mark.parametrize("spec", [Full(), Nearby3D(extent=(3, 3, 3)), Axial3D()], ids=str)
def test_conditions_on_grids_of_their_own(make_model: ModelMaker, spec: AttentionSpec) -> None:
    """Cross-attention to another grid is centred on the rescaled cell, and conditions are added up."""
    model = make_model(GRID, decoder_attention=spec)
    memory = torch.randn(3, 30, 16, dtype=torch.float64)
    sketch = Condition(grid=Grid(1, 6, 5), spec=spec, memory=memory)
    words = model.encoder.encode_text(*text(4, 4, 4))
    tokens = torch.randint(11, (3, GRID.size))
    both, reverse = model.decoder(tokens, [words, sketch]), model.decoder(tokens, [sketch, words])
    torch.testing.assert_close(both, reverse)
    assert not torch.allclose(both, model.decoder(tokens, [words]))


def test_tokens_of_another_grid_are_refused(model: NuwaModel) -> None:
    with pytest.raises(ValueError, match="grid 1x3x4 has 12 cells, got 11"):
        model(torch.zeros(1, 11, dtype=torch.int64), *text(2))


def test_an_untrained_model_is_undecided() -> None:
    """Its first loss is about that of a guess: the initial logits are small."""
    from nuwa.model.config import ModelSizes

    model = NuwaModel(ModelSizes().on(Grid(1, 8, 8), num_codes=512, vocab_size=50))
    tokens = torch.randint(512, (2, 64))
    loss = F.cross_entropy(model(tokens, *text(5, 9, vocab_size=50)).flatten(0, 1), tokens.flatten())
    assert math.log(512) - 0.1 < loss.item() < math.log(512) + 0.4
