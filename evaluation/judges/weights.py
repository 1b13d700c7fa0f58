"""Weight files of the judges: safetensors whose digest stands in ``judges.json`` beside them, verified before use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from nuwa import files

FOLDER = Path(__file__).parent / "weights"
"""The weights that are shipped: the same for everybody."""

CARD = "judges.json"
"""What is known of each judge: file, sha256, measured accuracies, training time, versions, recipe."""

_AGAIN = "restore it with git, or train judges of your own with nox -s judges and pass their folder"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A verified weight file."""

    tensors: dict[str, Tensor]
    """float32 on the CPU."""
    header: dict[str, Any]
    """The values that :func:`save` was given."""
    sha256: str


def save(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    """Write ``tensors`` and ``header`` (anything JSON can hold), whole or not at all, and return the sha256.

    Matrices and kernels are stored in half precision. Vectors stay as they are: they are few, and the variances of
    batch norm span many orders of magnitude.
    """
    stored = {
        name: (tensor.half() if tensor.dim() > 1 else tensor).cpu().contiguous() for name, tensor in tensors.items()
    }
    metadata = {name: json.dumps(value) for name, value in header.items()}
    with files.atomic(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(stored, metadata=metadata))
    return files.sha256(path)


def load(judge: str, folder: Path = FOLDER) -> Weights:
    """Weights of ``judge`` from ``folder``.

    ValueError, with the file left as it is, where it is missing or its content is not the one in ``judges.json``.
    """
    entry = read_card(folder).get(judge)
    if entry is None:
        raise ValueError(f"{folder / CARD}: expected an entry for the judge {judge!r}, got none; {_AGAIN}")
    path = folder / entry["file"]
    if not path.is_file():
        raise ValueError(f"{path}: expected the weights of the {judge} judge, got no file; {_AGAIN}")
    digest = files.sha256(path)
    if digest != entry["sha256"]:
        raise ValueError(f"{path}: expected sha256 {entry['sha256']}, got {digest}; {_AGAIN}")
    with safe_open(path, framework="pt") as handle:
        header = {name: json.loads(value) for name, value in handle.metadata().items()}
        names = list(handle.keys())  # a file handle, not a dict
        tensors = {name: _single(handle.get_tensor(name)) for name in names}
    return Weights(tensors=tensors, header=header, sha256=digest)


def read_card(folder: Path = FOLDER) -> dict[str, Any]:
    """Entries of ``judges.json`` by judge. ValueError where the file is missing."""
    path = folder / CARD
    if not path.is_file():
        raise ValueError(f"{path}: expected the card of the judges, got no file; {_AGAIN}")
    judges: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["judges"]
    return judges


def write_entry(folder: Path, judge: str, entry: dict[str, Any]) -> None:
    """Put ``entry`` in the card of ``folder``, beside the entries of the other judges."""
    judges = read_card(folder) if (folder / CARD).is_file() else {}
    files.write_json(folder / CARD, {"judges": {**judges, judge: entry}})


def _single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor
