"""What stands for a token begins by its code: near codes begin near, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from nuwa import Grid
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel
from nuwa.model.tables import begin_from_codes, fourier_features
from nuwa.training.transformer import TransformerTraining

SIZES = ModelSizes(d=512, num_heads=8, encoder_layers=1, decoder_layers=1, conditions=("text", "sketch", "partial"))
V, V_SKETCH, WIDTH = 40, 30, 8


def made() -> NuwaModel:
    torch.manual_seed(0)
    grid = Grid(2, 3, 3)
    return NuwaModel(SIZES.on(grid, num_codes=V, vocab_size=9, sketch_grid=grid, num_sketch_codes=V_SKETCH))


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_products_of_features_are_those_of_a_gaussian_of_the_distance(scale: float) -> None:
    torch.manual_seed(1)
    codes = torch.randn(200, WIDTH) * scale + scale
    found = fourier_features(codes, 20_000)
    distance = torch.cdist(codes, codes)
    rms = distance.square().sum().div(200 * 200).sqrt()
    torch.testing.assert_close(found @ found.T / 20_000, torch.exp(-2 * (distance / rms) ** 2), rtol=0, atol=0.05)


def test_features_of_one_code_and_of_equal_codes_are_finite() -> None:
    for codes in (torch.ones(1, 3), torch.ones(5, 3)):
        assert fourier_features(codes, 7).isfinite().all()


def test_near_codes_begin_near_and_scales_stay() -> None:
    model, random = made(), made()
    codes = F.normalize(torch.randn(V, WIDTH), dim=1)
    codes[1] = F.normalize(codes[0] + 0.1 * torch.randn(WIDTH) / WIDTH**0.5, dim=0)
    sketch = F.normalize(torch.randn(V_SKETCH, 4), dim=1)
    sketch[1] = sketch[0]
    begin_from_codes(model, codes, sketch)
    names = {name for name, value in model.state_dict().items() if not torch.equal(value, random.state_dict()[name])}
    assert names == {
        "decoder.stem.tokens.weight", "decoder.head.weight", "encoder.partial.tokens.weight",
        "encoder.sketch.tokens.weight",
    }  # fmt: skip
    for name in names:
        table, before = model.state_dict()[name], random.state_dict()[name]
        assert table.std() == pytest.approx(float(before.std()), rel=0.05), name
        near, far = (F.cosine_similarity(table[0], table[row], dim=0) for row in (1, 5))
        assert near > 0.7, name
        assert near < 0.95, name  # codes in one place can be told apart
        assert far < 0.6, name
    hidden = [each.state_dict()["encoder.partial.tokens.weight"][V] for each in (model, random)]
    assert torch.equal(*hidden)


def test_codes_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(ValueError, match=f"codes: expected the model's {V}, got {V + 1}; give it the tokenizer"):
        begin_from_codes(made(), torch.randn(V + 1, WIDTH))


def test_a_beginning_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="tables: expected 'codes' or 'random', got 'zeros'"):
        replace(TransformerTraining(), tables="zeros")  # type: ignore[arg-type]
