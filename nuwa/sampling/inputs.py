"""What is to be drawn, checked and on the decoder's device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nuwa import noise
from nuwa.grid import Grid
from nuwa.model.layers import Condition
from nuwa.model.nuwa import Decoder
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

    @property
    def guided(self) -> bool:
        """Whether the emptied conditions are needed."""
        return self.guidance != 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Everything that decoding reads besides the weights; the tokens are filled in while it goes on."""

    plan: Plan
    sampling: Sampling
    batches: list[list[Condition]]  # what to generate from and, where guided, the same emptied
    tokens: Tensor  # (b, s) int64: those that are given, 0 elsewhere
    kept: Tensor | None  # (b, s) bool: cells that are given, where they differ from sample to sample
    uniform: Tensor  # (b, s) float64: one number in [0, 1) for every cell

    @property
    def tensors(self) -> list[Tensor | None]:
        """All of them in a fixed order, None where there is none."""
        parts = [(each.memory, each.valid, each.present) for batch in self.batches for each in batch]
        return [self.tokens, self.kept, self.uniform, *(tensor for part in parts for tensor in part)]

    def clone(self) -> Inputs:
        """The same with tensors of its own."""
        batches = [
            [
                replace(each, memory=each.memory.clone(), valid=_own(each.valid), present=_own(each.present))
                for each in batch
            ]
            for batch in self.batches
        ]
        tokens, kept, uniform = self.tokens.clone(), _own(self.kept), self.uniform.clone()
        return replace(self, batches=batches, tokens=tokens, kept=kept, uniform=uniform)

    @classmethod
    def of(
        cls,
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
    ) -> Inputs:
        """Arguments and errors of :func:`nuwa.sampling.decode`."""
        grid, b = grid or decoder.config.grid, len(sample_indices)
        device = decoder.head.weight.device
        if sampling.guided and not unconditional:
            raise ValueError(f"guidance {sampling.guidance}: expected the emptied conditions too, got none")
        if (given is None) != (known is None):
            raise ValueError("given tokens: expected both `given` and `known`, got one of them")
        tokens = torch.zeros(b, grid.size, dtype=torch.int64, device=device)
        kept = prefilled = None
        if given is not None and known is not None:
            if given.shape != (b, grid.size) or known.shape not in ((grid.size,), (b, grid.size)):
                raise ValueError(
                    f"given tokens: expected `given` {(b, grid.size)} and `known` {(grid.size,)} or {(b, grid.size)} for {b} "
                    f"samples on grid {grid}, got {tuple(given.shape)} and {tuple(known.shape)}"
                )
            known = known.to(device)
            tokens = torch.where(known, given.to(device), 0)
            kept, prefilled = (known, known.all(dim=0)) if known.ndim == 2 else (None, known)
        u = noise.uniform(noise.key("sample", sampling.seed), np.asarray(sample_indices)[:, None], np.arange(grid.size))
        return cls(
            plan=plan(decoder, grid=grid, known=prefilled, one_by_one=one_by_one),
            sampling=sampling,
            batches=[list(conditions), list(unconditional)] if sampling.guided else [list(conditions)],
            tokens=tokens,
            kept=kept,
            uniform=torch.from_numpy(u).to(device),
        )


def _own(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.clone()
