"""Weights with their config."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nuwa.training import checkpoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / checkpoint.WEIGHTS


def test_round_trip(path: Path) -> None:
    module, other = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last), nn.Conv2d(2, 3, 3)
    checkpoint.save_weights(path, module, {"size": [1, 2], "name": "NÜWA"})
    assert checkpoint.read_config(path) == {"size": [1, 2], "name": "NÜWA"}
    checkpoint.load_weights(path, other)
    assert torch.equal(module.weight, other.weight)
    assert load_file(path).keys() == {"weight", "bias"}


def test_equal_weights_are_equal_files(path: Path, tmp_path: Path) -> None:
    module = nn.Linear(4, 4)
    checkpoint.save_weights(path, module, {"b": 1, "a": 2})
    checkpoint.save_weights(tmp_path / "again", module, {"a": 2, "b": 1})
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_a_file_of_someone_elses(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"expected a config in the header, found none; .* not one of this project's"):
        checkpoint.read_config(path)


@pytest.mark.parametrize("size", [0, 5, 200, -1])
def test_a_damaged_file(path: Path, size: int) -> None:
    checkpoint.save_weights(path, nn.Linear(40, 40), {"a": 1})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"weights.safetensors: not a safetensors file .*; remove it to train again"):
        checkpoint.read_config(path)


def test_a_missing_file_is_an_os_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoint.read_config(path)


@pytest.mark.parametrize("other", [nn.Linear(4, 5), nn.Linear(4, 4, bias=False), nn.Conv2d(4, 4, 1)], ids=str)
def test_weights_of_another_module(path: Path, other: nn.Module) -> None:
    checkpoint.save_weights(path, nn.Linear(4, 4), {})
    with pytest.raises(ValueError, match=f"expected the weights of {type(other).__name__}, got others"):
        checkpoint.load_weights(path, other)
