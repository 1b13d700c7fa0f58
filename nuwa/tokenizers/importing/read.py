"""Weights files of other projects, read without running anything that stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

INSIDE = ("ema", "model", "state_dict")
"""Where a training's checkpoint keeps its weights, the better ones first: LlamaGen's average, its model, Lightning's."""

INERT = ("pytorch_lightning.", "lightning.", "argparse.Namespace", "omegaconf.")
"""What checkpoints hold beside weights, such as settings and callbacks: nothing of it is needed, so nothing of it is made."""


class Inert:
    """Stands for an object that is not made: it takes anything and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name: safetensors, or a file of ``torch.save`` with or without a training around them.

    ValueError where it is damaged, holds other objects than tensors, plain values and what checkpoints of Lightning and
    LlamaGen have beside them, or no tensors at all. No code of the file is run: ``weights_only`` is on.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights: expected a file, got {path}; name the weights file itself")
    found: Mapping[str, Any] = _safe(path) if path.suffix == ".safetensors" else _load(path)
    state: Mapping[str, Any] = next((found[name] for name in INSIDE if isinstance(found.get(name), Mapping)), found)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(
            f"{path}: expected tensors by name, or a checkpoint with {' or '.join(INSIDE)}, got {', '.join(map(str, found))}"
        )
    return tensors


def _safe(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error}); copy it again") from error


def _load(path: Path) -> Mapping[str, Any]:
    try:
        asked = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # a damaged archive makes torch raise anything
        raise ValueError(f"{path}: not a file of torch.save ({error}); copy it again") from error
    refused = [name for name in asked if not name.startswith(INERT)]
    if refused:
        raise ValueError(
            f"{path}: expected tensors and plain values, got a file that wants to make {', '.join(sorted(refused))}; it is not "
            "opened. Save its weights alone with the program that it is from"
        )
    try:
        with torch.serialization.safe_globals([(Inert, name) for name in asked]):
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a cut file makes torch raise depends on where it ends
        raise ValueError(f"{path}: the file cannot be read ({error}); copy it again") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path}: expected tensors by name, got {type(found).__name__}")
    return found
