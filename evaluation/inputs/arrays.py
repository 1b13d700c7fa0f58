"""Pictures as arrays: npy, npz in the layout of guided-diffusion (``arr_0``), tensors, Datasets and iterators."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from evaluation.images import as_bytes
from evaluation.inputs.source import Loaded

ADM_KEY = "arr_0"

Layout = Literal["hwc", "chw"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A picture (or clip) in an array of many."""

    id: str
    array: Any  # an ndarray or a Tensor
    index: int
    layout: Layout
    size: int = 1

    def digest(self) -> str:
        """sha256 of shape and bytes."""
        return _digest(self.load().samples[0][1])

    def load(self) -> Loaded:
        """The picture (3, h, w), or the clip (t, 3, h, w)."""
        row = self.array[self.index]
        sample = row if isinstance(row, Tensor) else torch.from_numpy(np.array(row))  # a copy: the file is read-only
        return Loaded.one(self.id, sample.movedim(-1, -3).contiguous() if self.layout == "hwc" else sample)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A picture that is in memory already."""

    id: str
    sample: Tensor
    size: int = 1

    def digest(self) -> str:
        """sha256 of shape and bytes."""
        return _digest(self.sample)

    def load(self) -> Loaded:
        """The picture (3, h, w)."""
        return Loaded.one(self.id, self.sample)


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture of a torch Dataset: a tensor, a Pillow image, or a tuple that begins with one of them."""

    id: str
    dataset: Any
    index: int
    size: int = 1

    def digest(self) -> str:
        """sha256 of shape and bytes."""
        return _digest(self.load().samples[0][1])

    def load(self) -> Loaded:
        """The picture (3, h, w)."""
        item = self.dataset[self.index]
        return Loaded.one(self.id, picture(item[0] if isinstance(item, tuple | list) else item, self.id))


def rows_of_file(path: Path) -> list[Row]:
    """The pictures (n, h, w, 3) uint8 of a npy or npz file, not read yet. ValueError for anything else."""
    return rows(_open_array(path), path.name, "hwc")


def rows(array: Any, name: str, layout: Layout) -> list[Row]:
    """The pictures of an array (n, h, w, 3) or a tensor (n, 3, h, w), uint8. ValueError for anything else."""
    wanted = "(n, h, w, 3)" if layout == "hwc" else "(n, 3, h, w)"
    shape, dtype = tuple(array.shape), str(array.dtype).removeprefix("torch.")
    channels = -1 if layout == "hwc" else 1
    if len(shape) != 4 or shape[channels] != 3:
        turned = len(shape) == 4 and shape[1 if layout == "hwc" else -1] == 3
        way_out = "move the channels" if turned else "save RGB pictures of one size"
        raise ValueError(f"{name}: expected pictures {wanted}, got {shape}; {way_out}")
    if dtype != "uint8":
        raise ValueError(f"{name}: expected uint8 in 0…255, got {dtype}; convert it with evaluation.images.as_bytes")
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one picture, got the empty shape {shape}")
    if int(array[:64].max()) == 1:
        raise ValueError(f"{name}: expected uint8 in 0…255, got only 0 and 1; multiply by 255 before the cast to uint8")
    return [Row(id=f"{index:06d}", array=array, index=index, layout=layout) for index in range(shape[0])]


def stream(items: Iterable[Any]) -> Iterator[Given]:
    """The pictures of an iterator over pictures (3, h, w), batches (b, 3, h, w), Pillow images, or tuples of them."""
    count = 0
    for item in items:
        first = item[0] if isinstance(item, tuple | list) else item
        several = list(as_bytes(first)) if isinstance(first, Tensor) and first.dim() == 4 else [first]
        for each in several:
            yield Given(id=f"{count:06d}", sample=picture(each, f"picture {count}"))
            count += 1


def picture(item: Any, name: str) -> Tensor:
    """One picture as uint8 (3, h, w). ValueError for what is none."""
    if isinstance(item, Image.Image):
        return torch.from_numpy(np.array(item.convert("RGB"))).movedim(-1, 0).contiguous()
    if not isinstance(item, Tensor):
        raise ValueError(f"{name}: expected a tensor or a Pillow image, got {type(item).__name__}; convert it first")
    if item.dim() != 3:
        raise ValueError(f"{name}: expected a picture (3, h, w), got {tuple(item.shape)}; give pictures one by one")
    return as_bytes(item[None])[0]


def _digest(sample: Tensor) -> str:
    found = hashlib.sha256(f"{tuple(sample.shape)}".encode())
    found.update(sample.contiguous().numpy().data)
    return found.hexdigest()


def _open_array(path: Path) -> np.ndarray[Any, Any]:
    """The array of a npy or npz file, mapped and not read where it is not compressed."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as handle:
                np.lib.format.read_magic(handle)  # np.load would try other formats
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if ADM_KEY not in names:
                raise ValueError(f"expected an array {ADM_KEY!r} of pictures, got {', '.join(names) or 'none'}")
            member = archive.getinfo(f"{ADM_KEY}.npy")
            if member.compress_type == zipfile.ZIP_STORED:
                return _mapped(path, member)
        with np.load(path, allow_pickle=False) as content:
            return np.asarray(content[ADM_KEY])
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{path}: {reason}; save pictures (n, h, w, 3) uint8 with np.savez(path, pictures)") from error


def _mapped(path: Path, member: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    """A stored member of an archive as a memory map: 50,000 pictures of 256 px take 10 GB."""
    with path.open("rb") as handle:
        handle.seek(member.header_offset)
        header = handle.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ValueError("the archive is damaged")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        handle.seek(member.header_offset + 30 + name_length + extra_length)
        version = np.lib.format.read_magic(handle)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(handle)
        if dtype.hasobject:
            raise ValueError("expected numbers, got Python objects")
        order: Literal["F", "C"] = "F" if fortran else "C"
        return np.memmap(path, dtype=dtype, mode="r", offset=handle.tell(), shape=shape, order=order)
