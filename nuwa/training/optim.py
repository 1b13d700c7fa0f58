"""The optimizer and its learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nuwa.training.muon import BatchedMuon
from nuwa.training.parallel import whole

SHORT = 1e-6
"""What PyTorch adds to a norm before it divides by it."""


def adamw(
    parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], decay: float
) -> torch.optim.AdamW:
    """AdamW in which matrices decay and vectors (biases, norms, tables of one row) do not."""
    parameters = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def muon(modules: Iterable[nn.Module], *, lr: float, decay: float) -> BatchedMuon:
    """Muon (Jordan et al. 2024; arXiv 2502.16982) for the matrices of hidden layers, with steps of AdamW's size.

    On sprites the model follows its captions after a third of the steps that AdamW alone needs.
    """
    matrices = [p for module in modules for p in module.parameters() if p.ndim == 2]
    return BatchedMuon(matrices, lr=lr, momentum=0.95, weight_decay=decay)


def warmup_cosine(step: int, steps: int, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Share of the peak learning rate at ``step``: linear up over ``warmup`` of the steps, then a cosine to ``floor``."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    fallen = (step - rise) / max(1, steps - rise)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fallen)))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def clipped_step(
    parameters: Iterable[nn.Parameter], optimizers: Iterable[torch.optim.Optimizer], clip: float = math.inf
) -> Tensor:
    """One step with the gradient clipped to the norm ``clip``; gives the norm () that it had before, on the CPU.

    Nothing moves where that is not finite: a bad sample must not end in the weights.
    """
    parameters = list(parameters)
    norm = _norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    norm = norm.detach().cpu()  # the one time in a step that a GPU is waited for
    if torch.isfinite(norm):
        if norm + SHORT > clip:  # otherwise clipping is a product of everything with 1
            nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        for optimizer in optimizers:
            optimizer.step()
    return norm


def _norm(gradients: list[Tensor]) -> Tensor:
    """Of all of them together, (); PyTorch's own takes them one by one on a CPU, where they lie whole."""
    if not gradients or any(type(each) is not Tensor for each in gradients):
        return whole(nn.utils.get_total_norm(gradients))
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
