"""The decoder over the cells of one step, layer by layer, with the keys and values that later cells see kept."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.model.layers import Condition, DecoderLayer, merge_heads
from nuwa.model.nuwa import Decoder
from nuwa.sampling.cache import KeyValues, Rows
from nuwa.sampling.plan import Plan, Seen


class Branch:
    """One pass through the decoder per step, for one batch of conditions."""

    def __init__(self, decoder: Decoder, conditions: list[Condition], b: int, plan: Plan) -> None:
        self.decoder, self.plan = decoder, plan
        self.starts = by_steps(decoder.stem.begin(plan.grid) + decoder.positions(plan.grid), plan.cells, dim=0)
        self.layers = []
        for layer, spec in zip(decoder.layers, decoder.config.decoder_specs, strict=True):
            assert isinstance(layer, DecoderLayer)
            across = [plan.across(each.spec or spec, each.grid) for each in conditions]
            self.layers.append(_Layer(layer, plan.own[spec], conditions, across, b))

    def step(self, tokens: Tensor, step: int) -> Tensor:
        """Logits (b, m, v) of the cells of a step, whose earlier cells stand in ``tokens`` (b, s)."""
        x = self.starts[step] + self.decoder.stem.some(tokens, self.plan.sources[step])
        for layer in self.layers:
            x = layer.step(x, step)
        return self.decoder.head(self.decoder.norm(x))


class _Layer:
    """A layer of the decoder over the cells of one step, with the keys and values that later cells see kept."""

    def __init__(
        self, layer: DecoderLayer, own: Seen, conditions: list[Condition], across: list[list[Rows]], b: int
    ) -> None:
        self.own, self.conditions, self.across = own, conditions, across
        self.num_heads, d = layer.cross.num_heads, layer.cross.q.in_features
        places = layer.cross.q.weight.new_zeros(2, own.num_places, b, self.num_heads, d // self.num_heads)
        self.cache = KeyValues(places)
        self.memories = [KeyValues.of(*layer.cross.project_memory(each.memory), each.valid) for each in conditions]
        # What reads one input is one product, and so is what adds to one output: steps are small, and wait for weights.
        self.into = _side_by_side(layer.attention.qkv, layer.cross.q)
        self.out_of = _added_up(layer.attention.out, layer.cross.out)
        # The rest without its modules: calling one takes as long as many a product of a step.
        self.norm, self.ff_norm = _norm(layer.norm), _norm(layer.ff_norm)
        self.up, self.down = _weights(layer.ff.up), _weights(layer.ff.down)

    def step(self, x: Tensor, step: int) -> Tensor:
        """x (b, m, d) to (b, m, d)."""
        projected = F.linear(F.layer_norm(x, *self.norm), *self.into).unflatten(-1, (4, self.num_heads, -1))
        projected = projected.permute(2, 0, 3, 1, 4)
        q, _, _, q_across = projected.unbind()  # (b, n, m, k)
        self.cache.write(self.own.places[step], projected[1:3])
        attended = self.own.rows[step].attend(q, self.cache)
        seen = [
            condition.where_present(rows[step].attend(q_across, memory))
            for condition, rows, memory in zip(self.conditions, self.across, self.memories, strict=True)
        ]
        both = torch.cat([merge_heads(attended), merge_heads(sum(seen[1:], start=seen[0]))], dim=-1)
        x = x + F.linear(both, *self.out_of)
        hidden = _gelu_of_few(F.linear(F.layer_norm(x, *self.ff_norm), *self.up))
        return x + F.linear(hidden, *self.down)


def _gelu_of_few(x: Tensor) -> Tensor:
    """GELU of x (b, m, d) without oneDNN, which takes contiguous tensors and prepares longer than it computes here."""
    return F.gelu(x.mT).mT


Weights = tuple[Tensor, Tensor]


def _weights(map: nn.Linear) -> Weights:
    """Weight and bias."""
    return map.weight, map.bias


def _side_by_side(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map to the outputs of both."""
    return torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias])


def _added_up(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map from the inputs of both, behind each other, to the sum of their outputs."""
    return torch.cat([first.weight, second.weight], dim=1), first.bias + second.bias


def _norm(norm: nn.LayerNorm) -> tuple[tuple[int, ...], Tensor, Tensor, float]:
    """What ``F.layer_norm`` takes besides its input."""
    return norm.normalized_shape, norm.weight, norm.bias, norm.eps


def by_steps(x: Tensor, cells: list[Tensor], dim: int) -> tuple[Tensor, ...]:
    """Slices of x for the cells of each step, cut once."""
    return x.index_select(dim, torch.cat(cells)).split([len(each) for each in cells], dim=dim)
