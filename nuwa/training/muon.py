"""Muon over all matrices of a shape at once: PyTorch's takes one after the other, a few hundred small products a step."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor


class BatchedMuon(torch.optim.Muon):
    """The steps of :class:`torch.optim.Muon` (Jordan et al. 2024; arXiv 2502.16982) with steps of AdamW's size, its state too.

    Matrices of one shape are orthogonalised in one batch of products in bfloat16. Results agree with PyTorch's to the rounding
    of bfloat16. Gradients are written over.
    """

    def __init__(self, params: Any, *, lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; no closure is evaluated."""
        assert closure is None
        for group in self.param_groups:
            parameters: list[Tensor] = []
            gradients: list[Tensor] = []
            averages: list[Tensor] = []
            self._init_group(group, parameters, gradients, averages)
            if not parameters:
                continue
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            torch._foreach_lerp_(gradients, averages, group["momentum"])  # Nesterov's
            alike: dict[torch.Size, list[int]] = defaultdict(list)
            for place, parameter in enumerate(parameters):
                alike[parameter.shape].append(place)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            for shape, places in alike.items():
                stack = gradients[places[0]].new_empty(len(places), *shape, dtype=torch.bfloat16)
                for row, place in zip(stack, places, strict=True):
                    row.copy_(gradients[place])
                moves = orthogonalised(stack, group["ns_coefficients"], group["ns_steps"], group["eps"])
                rate = 0.2 * max(shape) ** 0.5 * group["lr"]
                for place, move in zip(places, moves, strict=True):
                    parameters[place].add_(move, alpha=-rate)


def orthogonalised(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Matrices like x (m, a, b) bfloat16 with all singular values near 1; x is written over.

    The quintic Newton-Schulz iteration of Muon, on the shorter side of the matrices and in memory that all its rounds share.
    """
    a, b, c = coefficients
    x /= torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=eps)
    tall, shorter = x.shape[1] > x.shape[2], min(x.shape[1:])
    other = torch.empty_like(x)
    gram, update = (x.new_empty(x.shape[0], shorter, shorter) for _ in range(2))
    for _ in range(steps):
        torch.bmm(*((x.mT, x) if tall else (x, x.mT)), out=gram)
        torch.baddbmm(gram, gram, gram, beta=b, alpha=c, out=update)
        x, other = torch.baddbmm(x, *((x, update) if tall else (update, x)), beta=a, out=other), x
    return x
