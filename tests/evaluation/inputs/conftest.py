"""Small pictures and clips in every form in which they may come."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

Maker = Callable[..., Path]


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def chw(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).movedim(-1, -3).contiguous()


@pytest.fixture
def save(tmp_path: Path) -> Maker:
    """Writes pictures (h, w, 3) under their names into a folder and returns it."""

    def make(pictures: dict[str, np.ndarray | bytes], folder: str = "pictures") -> Path:
        for name, content in pictures.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                Image.fromarray(content).save(path, format="png")
        return tmp_path / folder

    return make


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Path], Path]:
    """Packs a folder into a zip archive."""

    def make(folder: Path) -> Path:
        with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
            for path in folder.rglob("*"):
                archive.write(path, path.relative_to(folder).as_posix())
        return tmp_path / "pictures.zip"

    return make


@pytest.fixture
def film(tmp_path: Path) -> Maker:
    """Writes frames (t, h, w, 3) as a lossless video."""
    av = pytest.importorskip("av")

    def make(name: str, frames: np.ndarray) -> Path:
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("png", rate=10)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "rgb24"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path

    return make
