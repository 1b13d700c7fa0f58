"""A toy network under two protocols, so that nothing has to be downloaded and every call is counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluation.metrics.resize import resize
from evaluation.protocols import PROTOCOLS, sprites
from evaluation.scoring import views

SHA256 = "7" * 64
WIDTH, CLASSES = 6, 4
_COMMON = {"network": "toy", "weights_sha256": SHA256, "replicates": 10}
TOY = dataclasses.replace(
    sprites.FID, **_COMMON, family="toy-1", width=WIDTH, size_px=8, resize="torch-bilinear", blur_picture_px=None
)
TOY_PIL = dataclasses.replace(TOY, family="toy-pil-1", resize="pil-bicubic-float", ddof=0)
TOY_PLAIN = dataclasses.replace(TOY, family="toy-plain-1", resize="none", size_px=None)
TOY_IS = dataclasses.replace(
    sprites.INCEPTION_SCORE,
    **_COMMON,
    **{name: getattr(TOY, name) for name in ("size_px", "resize", "normalise")},
    family="toy-1",
    classes=CLASSES,
    splits=2,
)


class Toy:
    """Random projections of the pixels, and how many samples it has seen; ``fail_after`` stops it in mid-work."""

    sha256 = SHA256
    seen = 0
    fail_after: int | None = None
    error: type[BaseException] = KeyboardInterrupt

    def __init__(self, protocol, folder=None, device=None) -> None:
        self.protocol = protocol

    def __call__(self, images: Tensor) -> SimpleNamespace:
        Toy.seen += len(images)
        if Toy.fail_after is not None and Toy.seen > Toy.fail_after:
            raise Toy.error
        pixels = resize(images, 8, self.protocol.resize if self.protocol.size_px else "torch-bilinear").flatten(1)
        # every row by itself: the sums of a product of matrices depend on how many rows it has
        sums = (pixels.double()[:, :, None] * projection(pixels.shape[1])).sum(1)
        return SimpleNamespace(features=sums[:, :WIDTH].float(), class_logits=sums[:, WIDTH:].float())


def projection(pixels: int) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(pixels, WIDTH + CLASSES, generator=g, dtype=torch.float64) / 255


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type[Toy]:
    """The toy network and its protocols, registered for one test."""
    monkeypatch.setattr(Toy, "seen", 0)
    monkeypatch.setattr(Toy, "fail_after", None)
    monkeypatch.setattr(Toy, "error", KeyboardInterrupt)
    monkeypatch.setitem(views.NETWORKS._parts, "toy", Toy)
    for protocol in (TOY, TOY_PIL, TOY_PLAIN, TOY_IS):
        monkeypatch.setitem(PROTOCOLS._parts, protocol.id, protocol)
    return Toy


def picture(seed: int, height: int = 10, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """``folder("real", 20)``: a folder of pictures; ``sizes`` takes turns, ``seed`` makes others."""

    def make(name: str, count: int, *, seed: int = 0, sizes: tuple[tuple[int, int], ...] = ((10, 12),)) -> Path:
        (tmp_path / name).mkdir()
        for index in range(count):
            content = picture(1000 * seed + index, *sizes[index % len(sizes)])
            Image.fromarray(content).save(tmp_path / name / f"{index:03d}.png")
        return tmp_path / name

    return make
