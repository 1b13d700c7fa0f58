"""Which code computed what: the attention backend of a training, and how tokens were decoded."""

from __future__ import annotations

import torch

from evaluation.records import Scalar
from nuwa.attention import Problem, choose
from nuwa.grid import Grid
from nuwa.model.config import ModelConfig
from nuwa.sampling import plan
from nuwa.system import Nuwa
from nuwa.training.precision import Precision, resolve


def training_backend(config: ModelConfig, grid: Grid, precision: Precision, device: torch.device) -> str:
    """The backend of the decoder's self-attention in training on ``grid``, ``"gather"``; several where layers differ."""
    dtype = getattr(torch, resolve(precision, device))
    problems = [
        Problem(
            spec=spec,
            grid=grid,
            kv_grid=grid,
            causal=True,
            device=device.type,
            dtype=dtype,
            head_width=config.d // config.num_heads,
        )
        for spec in dict.fromkeys(config.decoder_specs)
    ]
    return "+".join(dict.fromkeys(choose(problem) for problem in problems))


def decoding(system: Nuwa, grid: Grid, known: torch.Tensor | None = None) -> dict[str, Scalar]:
    """How tokens on ``grid`` are decoded, as a row's sampling says it; ``known`` (s,) bool are cells given to all samples.

    Steps attend over cached keys: a few gathered one by one, or all of them through PyTorch's fused attention with a mask.
    """
    steps = plan(system.model.decoder, grid=grid, known=known)
    rows = [each for seen in steps.own.values() for each in seen.rows]
    gathered = sum(each.gathers for each in rows)
    return {
        "decoding": f"diagonal, {len(steps.cells)} steps for {grid.size} cells",
        "decoding_attention": f"cached keys, gathered in {gathered} and fused in {len(rows) - gathered} steps",
    }
