"""Kinds of GPUs: what plans are made for, and which of them a training runs on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nuwa.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A kind of GPU: the datasheet's peak of dense products in bfloat16, and the memory that programs see.

    ``names`` are those that CUDA has for it. Others of its family have another peak (an H100 on a PCIe card 756 TFLOP/s), and
    so has a part of one (MIG), so a name that is not listed is not known.
    """

    flops: float  # a second
    memory_gib: float
    names: tuple[str, ...]


GPUS: Registry[Gpu] = Registry("GPU")
for _name, _tflops, _memory_gib, _names in (  # datasheets of NVIDIA, without sparsity, SXM where there is a choice
    ("a100-40", 312, 39, ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB")),
    ("a100", 312, 79, ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe")),
    ("h100", 989, 79, ("NVIDIA H100 80GB HBM3",)),
    ("h200", 989, 139, ("NVIDIA H200",)),
    ("b200", 2250, 178, ("NVIDIA B200",)),
    ("l40s", 362, 44, ("NVIDIA L40S",)),
    ("rtx4090", 165, 23, ("NVIDIA GeForce RTX 4090",)),
):
    GPUS.add(_name, Gpu(flops=_tflops * 1e12, memory_gib=_memory_gib, names=_names))


def peak_of(device: torch.device) -> float | None:
    """FLOPs a second that the device can do in dense products in bfloat16; None where that is not known."""
    return None if device.type != "cuda" else peak_by_name(torch.cuda.get_device_name(device))


def peak_by_name(name: str) -> float | None:
    """The same by the name that CUDA has for it.

    >>> peak_by_name("NVIDIA H100 80GB HBM3"), peak_by_name("NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    (989000000000000.0, None)
    """
    return next((GPUS[kind].flops for kind in GPUS if name in GPUS[kind].names), None)
