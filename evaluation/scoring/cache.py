"""A cache addressed by content: what a network said of pictures, under a key made of all that it depends on.

Entries are written whole or not at all, so two processes that make one at the same time do no harm, and carry a digest,
so a damaged one is noticed, named and made again. Any folder will do, and deleting it costs nothing but time.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nuwa import files


class CacheWarning(UserWarning):
    """An entry of the cache is damaged and is made again."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``values`` (n, …) of n samples, and what else is known of them, anything that JSON can hold."""

    values: Tensor
    about: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        found = hashlib.sha256(f"{_json(self.about)}\n{self.values.dtype} {tuple(self.values.shape)}\n".encode())
        found.update(self.values.contiguous().view(torch.uint8).numpy().data)
        return found.hexdigest()


def key_of(**parts: object) -> str:
    """The key of an entry: sha256 of what it depends on, as canonical JSON."""
    return hashlib.sha256(_json(parts).encode()).hexdigest()


class Cache:
    """Entries in a folder, one file each."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where the entry ``key`` lies or would lie."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def get(self, key: str) -> Entry | None:
        """The entry, or ``None`` where there is none; a damaged one is named in a CacheWarning and is none."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as handle:
                metadata = handle.metadata() or {}
                entry = Entry(values=handle.get_tensor("values"), about=json.loads(metadata["about"]))
            if entry.digest != metadata["sha256"]:
                raise ValueError("its content has changed")
        except (SafetensorError, ValueError, KeyError, OSError) as error:
            warnings.warn(
                f"{path}: a damaged entry of the cache ({error}); it is made again", CacheWarning, stacklevel=2
            )
            return None
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Write an entry, in place of one that may be there. StorageError where the disk refuses."""
        metadata = {"about": _json(entry.about), "sha256": entry.digest}
        content = safetensors.torch.save({"values": entry.values.contiguous()}, metadata=metadata)
        with files.atomic(self.path(key)) as temporary:
            temporary.write_bytes(content)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
