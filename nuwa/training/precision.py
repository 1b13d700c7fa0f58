"""Number formats of training, chosen in one place and recorded. Sampling and scoring always run in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def resolve(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """What ``"auto"`` means on this device: bfloat16 where the hardware multiplies matrices in it, else float32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    capable = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return "bfloat16" if capable else "float32"


def autocast(precision: Literal["float32", "bfloat16"], device: torch.device) -> AbstractContextManager[None]:
    """Run matrix products in the chosen format; parameters and sums stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def pick_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu`` or ``cuda``. ValueError for another name, or CUDA that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device: expected auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected a CUDA device for 'cuda', found none; pass --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
