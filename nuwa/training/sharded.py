"""Named tensors in safetensors files by ``torch.distributed.checkpoint``: each process writes what it holds, any number reads.

Whatever was sharded over some processes is read into tensors that are sharded over others, or whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from nuwa.training.distributed import world


def write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors into an empty folder, which all processes see. OSError of any process is raised by all."""
    with _plainly():
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        packed = {name: value.contiguous() for name, value in tensors.items()}  # a file has no strides
        dcp.save(packed, storage_writer=writer, no_dist=world() == 1)


def shapes(folder: Path) -> dict[str, torch.Size]:
    """Names and whole shapes of the tensors in a folder."""
    found = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {name: each.size for name, each in found.items() if isinstance(each, TensorStorageMetadata)}


def read(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill tensors in place, each of the shape that :func:`shapes` says."""
    with _plainly():
        dcp.load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=world() == 1)


@contextmanager
def _plainly() -> Iterator[None]:
    """Without the warning that there is one process, and with the exception that happened instead of one around it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized", UserWarning)
        try:
            yield
        except CheckpointException as error:
            first = min(error.failures)
            raise error.failures[first][0] from None
