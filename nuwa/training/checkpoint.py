"""Weights as safetensors with their config in the header: what a finished training leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nuwa import files

WEIGHTS = "weights.safetensors"


def save_weights(path: str | Path, module: nn.Module, config: dict[str, Any]) -> None:
    """Write a module's state dict and its config (plain JSON values), atomically."""
    save_tensors(path, module.state_dict(), config)


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], config: dict[str, Any]) -> None:
    """Write a state dict and its config (plain JSON values), atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with files.atomic(path) as temporary:
        save_file(state, temporary, metadata={"config": json.dumps(config, sort_keys=True)})


def read_config(path: str | Path) -> dict[str, Any]:
    """The config in the header of a weights file. ValueError where there is none."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error}); remove it to train again") from error
    if "config" not in metadata:
        raise ValueError(f"{path}: expected a config in the header, found none; the file is not one of this project's")
    config: dict[str, Any] = json.loads(metadata["config"])
    return config


def load_weights(path: str | Path, module: nn.Module) -> None:
    """Load a state dict written by :func:`save_weights`. ValueError where a name or a shape does not agree."""
    with safe_open(path, framework="pt") as handle:
        state: dict[str, Tensor] = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: expected the weights of {type(module).__name__}, got others ({error})") from error
