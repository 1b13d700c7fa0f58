"""Layers and embeddings in the paper's formulas, written out."""

from __future__ import annotations

import pytest
import torch

from nuwa import Grid
from nuwa.attention import AttentionSpec, Full, Nearby3D, attend
from nuwa.model.embeddings import GridEmbedding, Positions
from nuwa.model.layers import (
    Condition,
    CrossAttention,
    DecoderLayer,
    EncoderLayer,
    SelfAttention,
    merge_heads,
    split_heads,
)

GRID = Grid(2, 3, 4)


def x(b: int = 2, s: int = 24, d: int = 8) -> torch.Tensor:
    return torch.randn(b, s, d)


def condition(grid: Grid = Grid(5, 1, 1), spec: AttentionSpec = Full(), **more: torch.Tensor) -> Condition:  # noqa: B008  frozen
    return Condition(grid=grid, spec=spec, memory=x(s=grid.size), **more)


def to_itself(
    module: SelfAttention, y: torch.Tensor, spec: AttentionSpec, *, causal: bool, valid: torch.Tensor | None = None
) -> torch.Tensor:
    q, k, v = module.split(module.qkv(y))
    out: torch.Tensor = module.out(merge_heads(attend(q, k, v, spec=spec, grid=GRID, causal=causal, key_mask=valid)))
    return out


def to_conditions(
    module: CrossAttention, y: torch.Tensor, spec: AttentionSpec, conditions: list[Condition]
) -> torch.Tensor:
    out: torch.Tensor = module.out(merge_heads(module.seen(module.q(y), spec, GRID, conditions)))
    return out


def test_heads_are_split_and_merged() -> None:
    heads = split_heads(x(), 4)
    assert heads.shape == (2, 4, 24, 2)
    whole = x()
    assert torch.equal(merge_heads(split_heads(whole, 4)), whole)
    assert torch.equal(split_heads(whole, 4)[:, 1], whole[..., 2:4])


def test_self_attention_agrees_with_pytorch() -> None:
    ours, theirs = SelfAttention(8, 2), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    y, valid = x(), torch.rand(2, 24) > 0.3
    expected, _ = theirs(y, y, y, key_padding_mask=~valid, need_weights=False)
    torch.testing.assert_close(to_itself(ours, y, Full(), causal=False, valid=valid), expected)
    later = torch.ones(24, 24, dtype=torch.bool).triu(1)
    expected, _ = theirs(y, y, y, attn_mask=later, need_weights=False)
    torch.testing.assert_close(to_itself(ours, y, Full(), causal=True), expected)


def test_cross_attention_agrees_with_pytorch() -> None:
    ours, theirs = CrossAttention(8, 2), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([ours.q.weight, ours.kv.weight]).detach()
    theirs.in_proj_bias.data = torch.cat([ours.q.bias, ours.kv.bias]).detach()
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    y, seen = x(), condition(valid=torch.arange(5) < torch.tensor([[5], [2]]))
    assert seen.valid is not None
    expected, _ = theirs(y, seen.memory, seen.memory, key_padding_mask=~seen.valid, need_weights=False)
    torch.testing.assert_close(to_conditions(ours, y, Full(), [seen]), expected)


def test_several_conditions_are_summed() -> None:
    cross, y = CrossAttention(8, 2), x()
    one, other = condition(), condition(Grid(1, 3, 3), Nearby3D(extent=(1, 3, 3)))
    alone = [to_conditions(cross, y, Full(), [each]) - cross.out.bias for each in (one, other)]
    torch.testing.assert_close(to_conditions(cross, y, Full(), [one, other]), sum(alone) + cross.out.bias)


def test_encoder_layer() -> None:
    layer, y = EncoderLayer(8, 2, 3, 0.0), x()
    middle = y + to_itself(layer.attention, layer.norm(y), Nearby3D(), causal=False)
    expected = middle + layer.ff(layer.ff_norm(middle))
    torch.testing.assert_close(layer(y, Nearby3D(), GRID, None), expected)
    assert layer.ff.up.out_features == 24


def test_decoder_layer_sums_self_and_cross() -> None:
    """x + self(norm x) + cross(norm x, C): both read the same normed input."""
    layer, y, seen = DecoderLayer(8, 2, 2, 0.0), x(), [condition()]
    normed = layer.norm(y)
    own = to_itself(layer.attention, normed, Nearby3D(), causal=True)
    middle = y + own + to_conditions(layer.cross, normed, Nearby3D(), seen)
    expected = middle + layer.ff(layer.ff_norm(middle))
    torch.testing.assert_close(layer(y, Nearby3D(), GRID, seen), expected)


@pytest.mark.parametrize("layer", [EncoderLayer, DecoderLayer])
def test_dropout_acts_in_training_alone(layer: type[torch.nn.Module]) -> None:
    made, y = layer(8, 2, 2, 0.5), x()
    last = None if layer is EncoderLayer else [condition()]

    def run() -> torch.Tensor:
        return made(y, Full(), GRID, last)

    assert not torch.equal(run(), run())
    made.eval()
    assert torch.equal(run(), run())


def test_positions_are_three_tables_summed() -> None:
    positions = Positions(GRID, 8)
    assert [tuple(table.shape) for table in positions.tables] == [(2, 8), (3, 8), (4, 8)]
    everywhere = positions(GRID).view(2, 3, 4, 8)
    t, h, w = positions.tables
    torch.testing.assert_close(everywhere[1, 2, 3], t[1] + h[2] + w[3])
    torch.testing.assert_close(everywhere[0, 2, 1], t[0] + h[2] + w[1])


def test_a_short_text_is_the_start_of_a_long_one() -> None:
    embedding = GridEmbedding(Grid(9, 1, 1), 5, 8)
    ids = torch.randint(5, (2, 9))
    assert torch.equal(embedding(ids[:, :4], Grid(4, 1, 1)), embedding(ids, Grid(9, 1, 1))[:, :4])
