"""The record of a benchmark: how long operations took, on which machine, and what could not run and why.

The scores of models have their own record (:mod:`evaluation.records`); both are written whole and read strictly. A
measurement that could not be made is a row all the same: it has no times and says the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluation import strict
from evaluation.records import Environment, GitState

SCHEMA = "nuwa-speed-1"

Group = Literal["attention", "decoding", "training"]
Direction = Literal["forward", "forward+backward", "sampling", "training step"]


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of one operation: ``first`` is the call that compiles and warms up, the others are over ``rounds`` later ones."""

    median: float
    min: float
    max: float
    rounds: int
    first: float

    def __post_init__(self) -> None:
        if not 0 < self.min <= self.median <= self.max < math.inf or not 0 < self.first < math.inf or self.rounds < 1:
            raise ValueError(f"times: expected 0 < min <= median <= max of at least one round, got {self}")


@dataclass(frozen=True, kw_only=True)
class TrainingFigures:
    """What a training step did beside taking its time.

    Attributes:
        samples: pictures or clips a step.
        parameters: of the model.
        tokens_per_s: target tokens.
        mfu: model FLOPs (:mod:`nuwa.training.flops`) over those that the device can do in bfloat16 in that time; None where
            its peak is not known.
        peak_bytes: most memory of tensors on the device, weights and optimizer included; None on a CPU.
    """

    samples: int
    parameters: int
    tokens_per_s: float
    mfu: float | None
    peak_bytes: int | None

    def __post_init__(self) -> None:
        if self.mfu is not None and not 0 < self.mfu < 1:
            raise ValueError(f"mfu: expected a share in (0, 1), got {self.mfu}; the peak or the FLOPs are wrong")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One operation on one grid.

    Attributes:
        group: which table it belongs to.
        name: what ran: an attention variant such as ``"nearby3d"``, a peer such as ``"nuwa-pytorch"``, or the variants of
            encoder and decoder by their letters, ``"NN"``.
        peer: whether it is somebody else's, or what everybody uses, instead of ours.
        backend: how it ran: a name from :data:`nuwa.attention.BACKENDS`, the peer's function, or the order of decoding
            (``"diagonal"``, ``"one by one"``), or whether a training was ``"compiled"`` or ``"eager"``.
        direction: what was timed.
        grid: frames, rows, columns of tokens.
        setting: sizes that tables print in words, such as ``"20 heads of 64, batch 1"``.
        dtype: number format, such as ``"float32"``.
        times: None where it could not run.
        agreement: how far it was from the float64 reference, asserted before the clock started: the largest difference in
            single precision, the relative size of all differences in half precision; for decoding, the share of tokens that
            differ from those of one-by-one decoding, or of decoding without CUDA graphs. None where another definition is
            computed, as peers do.
        peak_extra_bytes: most memory taken on top of the inputs, results included; None where not measured.
        query_bytes: size of the queries, the unit that tables print memory in; None for decoding.
        flops: operations of the pairs that meet (:func:`nuwa.attention.cost`), or of the model in a training step; None for
            decoding.
        steps: passes through the decoder for one sample; None for attention and training.
        not_run: why there are no times.
        training: of training steps that ran.
    """

    group: Group
    name: str
    peer: bool
    backend: str
    direction: Direction
    grid: tuple[int, int, int]
    setting: str
    dtype: str
    times: Times | None
    agreement: float | None
    peak_extra_bytes: int | None
    query_bytes: int | None
    flops: int | None
    steps: int | None
    not_run: str | None
    training: TrainingFigures | None = strict.optional()

    def __post_init__(self) -> None:
        if (self.times is None) == (self.not_run is None):
            raise ValueError(
                f"{self.name} on {self.grid}: expected times or the reason why there are none, got "
                f"{'neither' if self.times is None else 'both'}"
            )

    @property
    def tokens(self) -> int:
        """Number of cells of the grid."""
        return math.prod(self.grid)

    @property
    def label(self) -> str:
        """Name and backend in one: ``"nearby3d by gather"``."""
        return f"{self.name} by {self.backend}"


@dataclass(frozen=True, kw_only=True)
class SpeedRecord:
    """One run of the benchmarks.

    ``date`` is the day in UTC (ISO 8601); ``quick`` marks a run of few rounds and small grids; ``packages`` maps the peers to
    their versions, None where one is not installed.
    """

    name: str
    date: str
    quick: bool
    environment: Environment
    packages: Mapping[str, str | None]
    git: GitState
    command: str
    rows: tuple[Measurement, ...]
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"expected a record of schema {SCHEMA!r}, got {self.schema!r}; run the session again")
        keys = [(row.group, row.label, row.direction, row.grid, row.setting, row.dtype) for row in self.rows]
        if len(set(keys)) < len(keys):
            again = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"{again} stands twice; give each measurement a name of its own")

    @property
    def content_sha256(self) -> str:
        """Digest of everything in the record; written beside it, so that an edited file is noticed."""
        return strict.digest(strict.plain(self))


def write_speed(path: str | Path, record: SpeedRecord) -> None:
    """Write ``record`` to ``path`` atomically, with its content digest. ValueError where it would not read back."""
    strict.write(path, record)


def read_speed(path: str | Path) -> SpeedRecord:
    """Read the record at ``path``. ValueError, naming the file and the place, where anything is not as written."""
    return strict.read(path, SpeedRecord, SCHEMA)
