"""What the recipes of all judges share: their settings, their practice pictures and the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.judges.degrade import Mix, degrade
from evaluation.judges.pictures import SIZE_PX, normalise
from nuwa.data.sprites import Scenes, render
from nuwa.progress import progress


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training run. Equal settings on one machine with one number of threads give equal weights."""

    pictures: int
    """Practice pictures, rendered once."""
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; it falls as a cosine over the rest."""
    seed: int = 0
    bfloat16: bool = True
    """Compute products in bfloat16: three times faster on CPUs with AMX; weights and losses stay float32."""
    mix: Mix = field(default_factory=Mix)


def render_bytes(scenes: Scenes, chunk: int = 4096) -> Tensor:
    """Pictures (b, 3, 32, 32) uint8 of ``scenes``."""
    parts = [render(scenes[start : start + chunk], SIZE_PX) for start in range(0, len(scenes), chunk)]
    return torch.from_numpy(np.concatenate(parts))


def batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless index batches (batch,) int64: every one of ``count`` once per pass, in another order each pass."""
    if batch > count:
        raise ValueError(f"batch: expected at most {count}, the number of practice samples, got {batch}")
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count // batch * batch].split(batch)


def damaged(pictures: Tensor, generator: torch.Generator, mix: Mix) -> Tensor:
    """Bytes (b, 3, 32, 32) as the network sees them in training: damaged, float32 in [-1, 1], channels last."""
    levels = normalise(degrade(pictures.float(), generator, mix))
    return levels.contiguous(memory_format=torch.channels_last)


def fit(loss: Callable[[], Tensor], module: nn.Module, recipe: Recipe, description: str) -> float:
    """Minimise ``loss()`` over the parameters of ``module``; returns the seconds of processor time it took.

    AdamW with one rise and fall of the learning rate; biases and norms are not decayed.
    """
    decayed = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in module.parameters() if parameter.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=recipe.warmup
    )
    start = time.process_time()
    with progress(range(recipe.steps), description, unit="steps") as steps:
        for step in steps:
            value = loss()
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % 50 == 0:
                steps.set_postfix_str(f"loss {value.item():.3f}", refresh=False)
    return time.process_time() - start
