"""What is timed: options of a run, grids and sizes, so that one name means one size in every table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nuwa.grid import Grid


@dataclass(frozen=True, kw_only=True)
class Options:
    """Time attention and decoding, each after agreement with the reference was asserted, and write the record.

    Attributes:
        quick: two grids, small models and few rounds: some minutes on two cores, for a look and not for a table.
        grids: other grids than the standing ones, such as 2x16x16 (frames, rows, columns of tokens).
        seconds: how long each benchmark goes on with its rounds; by default 3, or 0.5 in a quick run.
        only: the benchmarks whose name contains this, such as "decoding", or an expression of pytest's -k.
        out: folder of the record.
    """

    quick: bool = False
    grids: tuple[str, ...] = ()
    seconds: float | None = None
    only: str = ""
    out: Path = Path("runs/bench")

    def __post_init__(self) -> None:
        for text in self.grids:
            parse(text)
        if self.seconds is not None and self.seconds <= 0:
            raise ValueError(f"seconds: expected more than 0, got {self.seconds}")

    @property
    def attention_grids(self) -> list[Grid]:
        """Grids of the attention suite: a picture and a clip of NÜWA-336, clips of NÜWA-256, and a long one."""
        standing = ["1x21x21", "10x21x21"] if self.quick else ["1x21x21", "10x21x21", "4x32x32", "10x32x32", "32x32x32"]
        return [parse(text) for text in self.grids or standing]

    @property
    def decoding_grids(self) -> list[Grid]:
        """Grids of the decoding suite."""
        return [parse(text) for text in self.grids or ("1x21x21", "10x21x21")]

    @property
    def round_s(self) -> float:
        """Seconds that each benchmark goes on with its rounds."""
        return self.seconds if self.seconds is not None else 0.5 if self.quick else 3.0

    @property
    def patience_s(self) -> float:
        """A pass that is expected to take longer is not started."""
        return 3.0 if self.quick else 30.0


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Sizes of an attention layer."""

    batch: int = 1
    num_heads: int = 20
    head_width: int = 64

    def shape(self, grid: Grid) -> tuple[int, int, int, int]:
        """(b, n, s, k)."""
        return (self.batch, self.num_heads, grid.size, self.head_width)

    def __str__(self) -> str:
        return f"{self.num_heads} heads of {self.head_width}, batch {self.batch}"


PAPER_HEADS = Heads()
"""NÜWA's: d = 1280 as 20 heads of 64."""


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """Sizes of a decoder whose sampling is timed."""

    d: int
    layers: int
    num_heads: int
    num_codes: int = 1024

    def __str__(self) -> str:
        return f"{self.layers} layers, d {self.d}, {self.num_codes} codes, batch 1"


MEDIUM = DecoderSizes(d=512, layers=12, num_heads=8)
SMALL = DecoderSizes(d=256, layers=6, num_heads=8)  # the one that is set beside nuwa-pytorch
QUICK = DecoderSizes(d=64, layers=2, num_heads=2)
PAPER = DecoderSizes(d=1280, layers=24, num_heads=20, num_codes=12288)


def parse(text: str) -> Grid:
    """The grid written ``text``, such as ``"10x21x21"``. ValueError where it is none."""
    if not re.fullmatch(r"\d+x\d+x\d+", text):
        raise ValueError(f"grid: expected frames x rows x columns such as 10x21x21, got {text!r}")
    return Grid(*map(int, text.split("x")))
