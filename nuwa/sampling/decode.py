"""Exact diagonal decoding: all cells whose dependencies are met are computed and drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.model.layers import Condition, DecoderLayer, merge_heads
from nuwa.model.nuwa import Decoder
from nuwa.sampling.cache import KeyValueCache, Rows, cached
from nuwa.sampling.filters import guide, invert_cdf, probabilities
from nuwa.sampling.inputs import Inputs, Sampling
from nuwa.sampling.plan import Plan, Seen


@torch.no_grad()
def decode(
    decoder: Decoder,
    conditions: Sequence[Condition],
    sampling: Sampling,
    sample_indices: Sequence[int],
    *,
    grid: Grid | None = None,
    unconditional: Sequence[Condition] = (),
    given: Tensor | None = None,
    known: Tensor | None = None,
    one_by_one: bool = False,
) -> Tensor:
    """Draw tokens (b, s) int64 on ``grid``, or on the decoder's largest where it is None.

    Args:
        decoder: in evaluation mode.
        conditions: what to generate from, batch b.
        sampling: temperature, filters, guidance and seed.
        sample_indices: b whole numbers >= 0; a sample's tokens depend on its index, not on its place in a batch.
        grid: of the target; any that fits into the decoder's largest.
        unconditional: the same conditions emptied or left out, for guidance other than 1.
        given: tokens (b, s) int64 of which those at ``known`` are kept and the others drawn.
        known: bool (s,), or (b, s) where every sample has cells of its own. Cells that are known in all samples are
            prefilled together.
        one_by_one: draw a single cell at a time, in raster order; the tokens are the same.

    Raises:
        ValueError: guidance without ``unconditional``, ``given`` without ``known``, either of another shape, or a grid that
            does not fit.
    """
    inputs = Inputs.of(
        decoder, conditions, sampling, sample_indices,
        grid=grid, unconditional=unconditional, given=given, known=known, one_by_one=one_by_one,
    )  # fmt: skip
    batches = [[_without_idle_mask(condition) for condition in batch] for batch in inputs.batches]
    drawing = Drawing(decoder, replace(inputs, batches=batches))
    with torch.inference_mode():  # less to keep account of than without gradients alone, for each of many small steps
        drawing.begin()
        for step in range(len(inputs.plan.cells)):
            drawing.step(step)
    return inputs.tokens


def _without_idle_mask(condition: Condition) -> Condition:
    """Without padding there is nothing to mask; asked once, not in every step and layer."""
    idle = condition.valid is not None and bool(condition.valid.all())
    return replace(condition, valid=None) if idle else condition


class Drawing:
    """Samples that are being drawn, step after step.

    ``begin`` and ``step`` are functions of tensors that stay where they are, and nothing in them waits for the device or
    comes from the host, so that a GPU can record them once and replay them (:mod:`nuwa.sampling.graphs`).
    """

    def __init__(self, decoder: Decoder, inputs: Inputs) -> None:
        self.decoder, self.inputs = decoder, inputs

    def begin(self) -> None:
        """Compute what all steps share: that of weights and conditions alone."""
        plan, b = self.inputs.plan, len(self.inputs.tokens)
        self.branches = [_Branch(self.decoder, batch, b, plan) for batch in self.inputs.batches]
        self.uniform = _by_steps(self.inputs.uniform, plan.drawn, dim=1)
        self.kept = None if self.inputs.kept is None else _by_steps(self.inputs.kept, plan.drawn, dim=1)

    def step(self, step: int) -> None:
        """Compute the cells of a step and draw those that are not given; steps go in their order."""
        inputs, sampling = self.inputs, self.inputs.sampling
        tokens, drawn, new = inputs.tokens, inputs.plan.drawn[step], inputs.plan.new[step]
        logits = [branch.step(tokens, step) for branch in self.branches]
        if len(drawn) == 0:
            return
        chosen, *emptied = logits if new is None else [each.index_select(1, new) for each in logits]
        if sampling.guided:
            chosen = guide(chosen, emptied[0], sampling.guidance)
        p = probabilities(chosen, temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
        codes = invert_cdf(p, self.uniform[step])
        if self.kept is not None:
            codes = torch.where(self.kept[step], tokens.index_select(1, drawn), codes)
        tokens.index_copy_(1, drawn, codes)


class _Branch:
    """One pass through the decoder per step, for one batch of conditions."""

    def __init__(self, decoder: Decoder, conditions: list[Condition], b: int, plan: Plan) -> None:
        self.decoder, self.plan = decoder, plan
        self.starts = _by_steps(decoder.stem.begin(plan.grid) + decoder.positions(plan.grid), plan.cells, dim=0)
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
        self.layer, self.own, self.conditions, self.across = layer, own, conditions, across
        self.num_heads, d = layer.cross.num_heads, layer.cross.q.in_features
        self.cache = KeyValueCache(b, self.num_heads, own.num_places, d // self.num_heads, like=layer.cross.q.weight)
        self.memories = [cached(*layer.cross.project_memory(condition.memory)) for condition in conditions]
        # What reads one input is one product, and so is what adds to one output: steps are small, and wait for weights.
        self.into = _side_by_side(layer.attention.qkv, layer.cross.q)
        self.out_of = _added_up(layer.attention.out, layer.cross.out)

    def step(self, x: Tensor, step: int) -> Tensor:
        """x (b, m, d) to (b, m, d)."""
        projected = F.linear(self.layer.norm(x), *self.into).unflatten(-1, (4, self.num_heads, -1))
        projected = projected.permute(2, 0, 3, 1, 4)  # q, k, v and the query of cross-attention, each (b, n, m, k)
        self.cache.write(self.own.places[step], projected[1:3])
        attended = self.own.rows[step].attend(projected[0], self.cache.kv)
        seen = [
            condition.where_present(rows[step].attend(projected[3], memory, condition.valid))
            for condition, rows, memory in zip(self.conditions, self.across, self.memories, strict=True)
        ]
        both = torch.cat([merge_heads(attended), merge_heads(sum(seen[1:], start=seen[0]))], dim=-1)
        x = x + F.linear(both, *self.out_of)
        return x + self.layer.ff(self.layer.ff_norm(x))


Weights = tuple[Tensor, Tensor]


def _side_by_side(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map to the outputs of both."""
    return torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias])


def _added_up(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map from the inputs of both, behind each other, to the sum of their outputs."""
    return torch.cat([first.weight, second.weight], dim=1), first.bias + second.bias


def _by_steps(x: Tensor, cells: list[Tensor], dim: int) -> tuple[Tensor, ...]:
    """Slices of x for the cells of each step, without a copy for each."""
    return x.index_select(dim, torch.cat(cells)).split([len(each) for each in cells], dim=dim)
