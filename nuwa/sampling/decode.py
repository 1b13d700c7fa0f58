"""Exact diagonal decoding: all cells whose dependencies are met are computed and drawn together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa import noise
from nuwa.grid import Grid
from nuwa.model.layers import Condition, DecoderLayer, merge_heads, split_heads
from nuwa.model.nuwa import Decoder
from nuwa.sampling.cache import KeyValueCache
from nuwa.sampling.filters import guide, invert_cdf, probabilities
from nuwa.sampling.plan import Plan, plan


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn. A token depends on (seed, sample index, cell) and the model alone."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    guidance: float = 1.0  # 1 is none
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature: expected more than 0, got {self.temperature}; top_k=1 takes the likeliest")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1 or None, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a share in (0, 1], got {self.top_p}")
        if not 0 <= self.guidance < math.inf:
            raise ValueError(f"guidance: expected at least 0, got {self.guidance}")


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
    grid, b = grid or decoder.config.grid, len(sample_indices)
    device = decoder.head.weight.device
    guided = sampling.guidance != 1.0
    if guided and not unconditional:
        raise ValueError(f"guidance {sampling.guidance}: expected the emptied conditions too, got none")
    if (given is None) != (known is None):
        raise ValueError("given tokens: expected both `given` and `known`, got one of them")
    tokens = torch.zeros(b, grid.size, dtype=torch.int64, device=device)
    kept = torch.zeros(b, grid.size, dtype=torch.bool, device=device)
    prefilled = None
    if given is not None and known is not None:
        if given.shape != (b, grid.size) or known.shape not in ((grid.size,), (b, grid.size)):
            raise ValueError(
                f"given tokens: expected `given` {(b, grid.size)} and `known` {(grid.size,)} or {(b, grid.size)} for {b} "
                f"samples on grid {grid}, got {tuple(given.shape)} and {tuple(known.shape)}"
            )
        kept = known.to(device).expand(b, -1)
        tokens = torch.where(kept, given.to(device), 0)
        prefilled = kept.all(dim=0)

    batches = [list(conditions), list(unconditional)] if guided else [list(conditions)]
    steps = plan(decoder, grid=grid, known=prefilled, one_by_one=one_by_one)
    u = noise.uniform(noise.key("sample", sampling.seed), np.asarray(sample_indices)[:, None], np.arange(grid.size))
    uniform = torch.from_numpy(u).to(device)

    branches = [_Branch(decoder, each, b, steps) for each in batches]
    with torch.inference_mode():  # less to keep account of than without gradients alone, for each of many small steps
        for step, (cells, new) in enumerate(zip(steps.cells, steps.new, strict=True)):
            logits = [branch.step(tokens, step) for branch in branches]
            if new is None:
                continue
            chosen = logits[0][:, new]
            if guided:
                chosen = guide(chosen, logits[1][:, new], sampling.guidance)
            p = probabilities(chosen, temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
            drawn = cells[new]
            tokens[:, drawn] = torch.where(kept[:, drawn], tokens[:, drawn], invert_cdf(p, uniform[:, drawn]))
    return tokens


class _Branch:
    """One pass over the decoder's layers per step, with the keys and values that later cells see kept."""

    def __init__(self, decoder: Decoder, conditions: list[Condition], b: int, steps: Plan) -> None:
        config = decoder.config
        self.decoder, self.conditions, self.steps = decoder, conditions, steps
        # Without padding there is nothing to mask; asked once, not in every step and layer.
        self.valid = [None if each.valid is None or bool(each.valid.all()) else each.valid for each in conditions]
        self.own = [steps.own[spec] for spec in config.decoder_specs]
        self.across = [
            [steps.across(each.spec or spec, each.grid) for each in conditions] for spec in config.decoder_specs
        ]
        self.layers: list[DecoderLayer] = [layer for layer in decoder.layers if isinstance(layer, DecoderLayer)]
        width = config.d // config.num_heads
        self.caches = [KeyValueCache(b, config.num_heads, own.num_places, width, decoder.stem.bos) for own in self.own]
        self.memories = [
            [layer.cross.project_memory(condition.memory) for condition in conditions] for layer in self.layers
        ]
        # What reads one input is one product, and so is what adds to one output: steps are small, and wait for weights.
        self.into = [_side_by_side(layer.attention.qkv, layer.cross.q) for layer in self.layers]
        self.out_of = [_added_up(layer.attention.out, layer.cross.out) for layer in self.layers]

    def step(self, tokens: Tensor, step: int) -> Tensor:
        """Logits (b, m, v) of the cells of a step, whose earlier cells stand in ``tokens`` (b, s)."""
        decoder, config, cells = self.decoder, self.decoder.config, self.steps.cells[step]
        x = decoder.stem(tokens, self.steps.grid, cells) + decoder.positions(self.steps.grid, cells)
        parts = zip(self.layers, self.into, self.out_of, self.own, self.across, self.caches, self.memories, strict=True)
        for layer, into, out_of, own, across, cache, memories in parts:
            projected = F.linear(layer.norm(x), *into).chunk(4, dim=-1)
            q, k, v, q_across = (split_heads(each, config.num_heads) for each in projected)
            cache.write(own.places[step], k, v)
            attended = own.rows[step].attend(q, cache.k, cache.v)
            seen = [
                condition.where_present(rows[step].attend(q_across, *memory, valid=valid))
                for rows, memory, condition, valid in zip(across, memories, self.conditions, self.valid, strict=True)
            ]
            both = torch.cat([merge_heads(attended), merge_heads(sum(seen[1:], start=seen[0]))], dim=-1)
            x = x + F.linear(both, *out_of)
            x = x + layer.ff(layer.ff_norm(x))
        return decoder.head(decoder.norm(x))


Weights = tuple[Tensor, Tensor]


def _side_by_side(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map to the outputs of both."""
    return torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias])


def _added_up(first: nn.Linear, second: nn.Linear) -> Weights:
    """Weight and bias of one map from the inputs of both, behind each other, to the sum of their outputs."""
    return torch.cat([first.weight, second.weight], dim=1), first.bias + second.bias
