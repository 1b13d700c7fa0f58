"""The same random weights and the same pictures for this package and for the tools its protocols are named after.

Pictures are neither square nor 299 px wide, so that a wrong resize shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluation.features import InceptionJudge
from evaluation.features.inception import InceptionJudgement, build
from evaluation.protocols import PictureProtocol
from nuwa.files import sha256


@dataclass(frozen=True)
class Sets:
    """Two sets of pictures (n, 3, h, w) uint8, and folders of the same as PNG."""

    generated: Tensor
    real: Tensor
    folders: tuple[Path, Path]

    def __iter__(self):
        return iter((self.generated, self.real))


@pytest.fixture(scope="session")
def sets(make_pictures: Callable[..., Tensor], tmp_path_factory: pytest.TempPathFactory) -> Sets:
    generated, real = make_pictures(6, 96, 80, seed=1) // 4 * 3, make_pictures(7, 96, 80, seed=0)
    folders = tuple(tmp_path_factory.mktemp(name) for name in ("generated", "real"))
    for folder, pictures in zip(folders, (generated, real), strict=True):
        for row, picture in enumerate(pictures):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{row}.png")
    return Sets(generated, real, folders)


@dataclass(frozen=True)
class Ours:
    """What this package makes of both sets under one protocol."""

    protocol: Any  # of the random weights
    generated: InceptionJudgement
    real: InceptionJudgement

    @property
    def features(self) -> tuple[Tensor, Tensor]:
        return self.generated.features, self.real.features


@pytest.fixture(scope="session")
def ours(fid_inception: Path, sets: Sets) -> Callable[..., Ours]:
    """``ours(protocol, **changes)``; each way of preparing the pictures is run once."""
    network, digest = build("inception-fid", fid_inception), sha256(fid_inception)
    seen: dict[tuple[object, ...], list[InceptionJudgement]] = {}

    def judged(protocol: PictureProtocol, **changes: Any) -> Ours:
        protocol = replace(protocol, weights_sha256=digest, **changes)
        key = protocol.resize, protocol.normalise
        if key not in seen:
            judge = InceptionJudge(network, protocol, digest=digest)
            seen[key] = [judge(side) for side in sets]
        return Ours(protocol, *seen[key])

    return judged


class Once(torch.nn.Module):
    """A network of another tool that is asked once for each picture set, whichever of its metrics asks."""

    def __init__(self, network: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.network = network
        self.answers: dict[bytes, tuple[Tensor, ...]] = {}

    def ask(self, images: Tensor) -> tuple[Tensor, ...]:
        key = images.numpy().tobytes()
        if key not in self.answers:
            with torch.no_grad():
                self.answers[key] = self.network(images)
        return self.answers[key]


@pytest.fixture(scope="session")
def once() -> type[Once]:
    return Once
