"""Weights files as their publishers write them, and files that are not opened."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nuwa.tokenizers.importing import read_weights

STATE = {"encoder.conv_in.weight": torch.arange(6.0).view(2, 3), "quantize.embedding.weight": torch.ones(4, 2)}


@pytest.fixture
def lightning() -> Iterator[Any]:
    """The class that VQGAN's checkpoints name, in a module that is gone again when they are read."""
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")

    class ModelCheckpoint:
        pass

    ModelCheckpoint.__module__, ModelCheckpoint.__qualname__ = module.__name__, "ModelCheckpoint"
    module.ModelCheckpoint = ModelCheckpoint  # type: ignore[attr-defined]
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", module.__name__]
    assert not sys.modules.keys() & set(names)
    for name in names:
        sys.modules[name] = module if name == module.__name__ else types.ModuleType(name)
    yield ModelCheckpoint
    for name in names:
        sys.modules.pop(name, None)


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], value) for name, value in STATE.items())


@pytest.mark.parametrize(
    "inside",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "global_step": 5, "optimizer_states": [{"state": {0: torch.zeros(2)}}]},
        {"model": STATE, "optimizer": {"state": {}}, "steps": 4},
        {"model": {"encoder.conv_in.weight": torch.zeros(1)}, "ema": STATE, "args": argparse.Namespace(lr=1e-4)},
    ],
    ids=["bare", "lightning", "llamagen", "llamagen-ema"],
)
def test_files_of_torch_save(tmp_path: Path, inside: dict[str, Any]) -> None:
    torch.save(inside, tmp_path / "last.ckpt")
    assert same(read_weights(tmp_path / "last.ckpt"))


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "diffusion_pytorch_model.safetensors")
    assert same(read_weights(tmp_path / "diffusion_pytorch_model.safetensors"))


def test_callbacks_of_lightning_are_not_made(tmp_path: Path, lightning: Any) -> None:
    """Neither as the key of a table, as VQGAN's checkpoints have it, nor as an object with a state."""
    callback = lightning()
    callback.best_model_path = "x"
    torch.save({"state_dict": STATE, "callbacks": {lightning: {"best": callback}}}, tmp_path / "last.ckpt")
    for name in [name for name in sys.modules if name.startswith("pytorch_lightning")]:
        del sys.modules[name]
    assert same(read_weights(tmp_path / "last.ckpt"))
    assert not [name for name in sys.modules if name.startswith("pytorch_lightning")]


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("where", ["beside", "instead"])
def test_nothing_in_a_file_is_run(tmp_path: Path, where: str) -> None:
    evil = Evil(tmp_path / "made")
    torch.save({"state_dict": STATE, "more": evil} if where == "beside" else evil, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=r"a file that wants to make (posix|nt)\.system; it is not opened"):
        read_weights(tmp_path / "x.ckpt")
    assert not (tmp_path / "made").exists()
    torch.load(tmp_path / "x.ckpt", weights_only=False)  # the test would see it
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a file of torch", "not a file of torch.save"),
        (b"", "not a file of torch.save"),
        (pickle.dumps([1, 2]), r"x\.ckpt: "),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "x.ckpt")


def test_damaged_safetensors(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"x\.safetensors: not a safetensors file"):
        read_weights(tmp_path / "x.safetensors")


def test_half_a_file(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE}, tmp_path / "whole.ckpt")
    (tmp_path / "half.ckpt").write_bytes((tmp_path / "whole.ckpt").read_bytes()[:600])
    with pytest.raises(ValueError, match=r"half\.ckpt: "):
        read_weights(tmp_path / "half.ckpt")


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ({"epoch": 3}, "expected tensors by name, or a checkpoint with ema or model or state_dict, got epoch"),
        ([1, 2], "expected tensors by name, got list"),
    ],
)
def test_no_weights(tmp_path: Path, inside: Any, message: str) -> None:
    torch.save(inside, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "x.ckpt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"weights: expected a file, got {tmp_path}"):
        read_weights(tmp_path)
