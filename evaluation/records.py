"""The result record: one JSON file per run, from which every table and figure is made.

A record holds the numbers and all that is needed to believe them: protocol, interval, sample count, data, model,
seeds, code and machine. It is written whole or not at all and read strictly: an unknown key, a missing key, a wrong
type, NaN, an unknown schema and a file edited by hand are all refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluation import strict

SCHEMA = "nuwa-record-1"

Scalar = str | int | float | bool | None
Role = Literal["model", "real", "reconstruction", "baseline"]


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number under its protocol.

    ``name`` is what tables print ("FID-0", "IS", "CLIPSIM", "caption accuracy"); ``protocol`` reads
    ``metric@family-version`` ("fid@sprites-1"); ``ci95`` is the 95% interval [lo, hi] around ``value``, in its unit; ``n``
    counts the samples behind the number.
    """

    name: str
    protocol: str
    value: float
    ci95: tuple[float, float]
    n: int
    higher_is_better: bool

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+@[a-z0-9.-]+", self.protocol):
            raise ValueError(
                f"metric {self.name!r}: expected a protocol like 'fid@sprites-1', got {self.protocol!r}; "
                "a number without its protocol cannot be compared"
            )
        low, high = self.ci95
        if not (math.isfinite(low) and math.isfinite(high) and low <= self.value <= high):
            raise ValueError(
                f"metric {self.name!r}: expected finite numbers lo <= value <= hi, got {self.value} in [{low}, {high}]; "
                "leave the metric out and name it under 'skipped'"
            )
        if self.n < 1:
            raise ValueError(f"metric {self.name!r}: expected n >= 1 samples, got {self.n}; leave the metric out")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: who made the pictures or clips, with which sampling settings, and the scores."""

    name: str
    role: Role
    sampling: Mapping[str, Scalar]
    metrics: tuple[MetricValue, ...]


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """The data that was scored against; ``fingerprint`` changes whenever a sample does."""

    name: str
    version: str
    split: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The model; attention is ``None`` for a tokenizer, ``checkpoint_sha256`` is ``None`` where nothing was trained."""

    preset: str
    encoder_attention: str | None
    decoder_attention: str | None
    params: int
    checkpoint_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A sample, row or metric that is not in the numbers, and why."""

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """Peak memory in GiB: resident on the host, children included, and on the CUDA device where one was used."""

    host: float
    cuda: float | None


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, device and precision the run had; ``device`` carries the name of the chip."""

    python: str
    torch: str
    device: str
    threads: int
    precision: str


@dataclass(frozen=True, kw_only=True)
class GitState:
    """Commit of the project's own tree and whether files differ from it; both ``None`` outside a git checkout."""

    commit: str | None
    dirty: bool | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run: ``timings_s`` maps stages to seconds, ``seeds`` names to seeds, ``command`` is the line that runs it."""

    name: str
    task: str
    dataset: DatasetInfo
    model: ModelInfo
    rows: tuple[Row, ...]
    timings_s: Mapping[str, float]
    peak_memory_gib: PeakMemory
    skipped: tuple[Skipped, ...]
    environment: Environment
    seeds: Mapping[str, int]
    git: GitState
    command: str
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"expected a record of schema {SCHEMA!r}, got {self.schema!r}; run the session again")

    @property
    def content_sha256(self) -> str:
        """Digest of everything in the record; written beside it, so that an edited file is noticed."""
        return strict.digest(strict.plain(self))


def write_record(path: str | Path, record: Record) -> None:
    """Write ``record`` to ``path`` atomically, with its content digest. ValueError where it would not read back."""
    strict.write(path, record)


def read_record(path: str | Path) -> Record:
    """Read the record at ``path``. ValueError, naming the file and the place, where anything is not as written."""
    return strict.read(path, Record, SCHEMA)
