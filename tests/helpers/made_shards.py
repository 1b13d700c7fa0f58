"""A small tokenizer and small datasets, in a module of their own so that writers' processes can import them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage
from nuwa.data.shards import Written, write_shards
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig

NUM, PER_SHARD = 37, 8
VIEWS = ("centre", "centre-mirrored")


def tokenizer(seed: int = 0, num_codes: int = 32) -> VQGAN:
    torch.manual_seed(seed)
    return VQGAN(VQGANConfig(size_px=16, widths=(8, 8), num_codes=num_codes)).eval()


@dataclass(frozen=True)
class Noise:
    """Pictures of noise; ``broken`` ones cannot be read, ``silent`` ones have no words."""

    num: int = NUM
    side: int = 16
    broken: frozenset[int] = frozenset()
    silent: frozenset[int] = frozenset()
    prefix: str = "noise"
    name: str = "noise"
    version: str = "1"
    split: str = "train"
    skipped: Sequence[Skipped] = ()

    @property
    def fingerprint(self) -> str:
        return f"{self.num} {self.side} {sorted(self.broken)} {sorted(self.silent)} {self.prefix}"

    def __len__(self) -> int:
        return self.num

    @property
    def ids(self) -> list[str]:
        return [f"{self.prefix}-{row}" for row in range(self.num)]

    @property
    def captions(self) -> list[str]:
        return [" \n" if row in self.silent else f"picture {row} of noise" for row in range(self.num)]

    def image(self, index: int) -> Tensor:
        if index in self.broken:
            raise UnreadableImage(f"{index}.jpg", "image file is truncated")
        g = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (3, self.side, self.side), generator=g, dtype=torch.uint8)


@dataclass(frozen=True)
class NoisyClips(Noise):
    frames: int = 3
    name: str = "noisy clips"

    def clip(self, index: int) -> Tensor:
        g = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (self.frames, 3, self.side, self.side), generator=g, dtype=torch.uint8)


def write(folder: Path, samples: Any = None, **settings: Any) -> Written:
    """Five shards of 37 samples in two views, unless told otherwise."""
    settings = {"views": VIEWS, "samples_per_shard": PER_SHARD, "batch": 6} | settings
    return write_shards(samples or Noise(), settings.pop("tokenizer", None) or tokenizer(), folder, **settings)


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the claims, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".claims"}


def killing(call: Callable[..., Any], moment: int) -> Callable[..., Any]:
    """``call``, but the process is killed, as by kill -9, when it comes for the time ``moment``."""
    left = [moment]

    def counted(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return counted


def many() -> SpritesPictures:
    """Enough to be killed in the middle."""
    return SpritesPictures("train", 1500, 16)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write(Path(sys.argv[1]), many(), samples_per_shard=50, views=("centre",), writers=int(sys.argv[2]))
