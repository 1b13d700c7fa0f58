"""The record of an ablation: what its cells found, put together, with intervals over seeds and samples and paired differences.

The scores of one model have their own record (:mod:`evaluation.records`), and every cell keeps its. This one is written whole
and read strictly in the same way; a cell that is missing is named with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation import strict
from evaluation.records import DatasetInfo, Environment, GitState, PeakMemory, Row, Scalar, Skipped

SCHEMA = "nuwa-ablation-1"

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Versus:
    """A mean less that of the first row, over the seeds that both have.

    ``p_value`` is two-sided; ``p_holm`` is corrected for all rows that are compared with the first one by this metric.
    """

    value: float
    ci95: Interval
    p_value: float
    p_holm: float
    seeds: int

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < 0.05


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of a row: a number for each seed, their mean, and its 95% intervals (:mod:`evaluation.ablations.statistics`).

    ``n`` counts the samples behind each seed's number. ``ci95_seeds`` is None with one seed. ``versus`` is None in the first
    row.
    """

    name: str
    protocol: str
    higher_is_better: bool
    n: int
    values: tuple[float, ...]
    mean: float
    ci95: Interval
    ci95_seeds: Interval | None
    ci95_samples: Interval
    versus: Versus | None

    def __post_init__(self) -> None:
        low, high = self.ci95
        if not (math.isfinite(low) and math.isfinite(high) and low <= self.mean <= high):
            raise ValueError(
                f"metric {self.name!r}: expected finite numbers lo <= mean <= hi, got {self.mean} in [{low}, {high}]"
            )


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a model takes, measured alone on its machine.

    Attributes:
        flops: of one forward pass of one sample, encoder and decoder, a multiplication and an addition counted as two;
            training takes three times as many.
        attention_flops: those of them between queries and keys, by :func:`nuwa.attention.cost`.
        train_tokens_per_s: target tokens of a training step over its median seconds, data and tokenizers included.
        decode_s: median seconds to draw one sample, batch 1.
        decode_steps: passes through the decoder for it.
        peak_memory_gib: of the device, or resident on the host where there is none, in training and sampling.
        environment: where it was measured.
    """

    flops: int
    attention_flops: int
    train_tokens_per_s: float
    decode_s: float
    decode_steps: int
    peak_memory_gib: float
    environment: Environment


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Training loss at some steps of one seed's training, in nats a token. Equal steps of all rows read the same data.

    ``held_out`` are pairs of a step and the loss of the scored task on held-out data after it, the same for all rows and seeds.
    """

    seed: int
    steps: tuple[int, ...]
    loss: tuple[float, ...]
    held_out: tuple[tuple[int, float], ...] | None = strict.optional()

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.loss):
            raise ValueError(f"curve: expected a loss for each of {len(self.steps)} steps, got {len(self.loss)}")


@dataclass(frozen=True, kw_only=True)
class AblationRow:
    """One config: ``choice`` is what distinguishes it, in words; ``seeds`` are those of the cells that came to their end.

    ``curves`` are empty where no model was trained.
    """

    name: str
    choice: Mapping[str, Scalar]
    params: int
    seeds: tuple[int, ...]
    scores: tuple[Score, ...]
    costs: Costs | None
    curves: tuple[Curve, ...]


@dataclass(frozen=True, kw_only=True)
class AblationRecord:
    """A whole ablation.

    ``task`` is the ablation's ("ablate-attention") and ``scored`` the task that its models were scored on. ``references`` are
    rows that belong to all: real data, reconstruction, an untrained model. ``budget`` is what all rows had alike.
    ``missing`` names cells without a result and numbers that could not be made, ``peak_memory_gib`` is the largest of a cell.
    """

    name: str
    task: str
    scored: str
    preset: str
    dataset: DatasetInfo
    rows: tuple[AblationRow, ...]
    references: tuple[Row, ...]
    budget: Mapping[str, Scalar]
    seeds: tuple[int, ...]
    missing: tuple[Skipped, ...]
    timings_s: Mapping[str, float]
    peak_memory_gib: PeakMemory
    environment: Environment
    git: GitState
    command: str
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"expected a record of schema {SCHEMA!r}, got {self.schema!r}; run the session again")
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            again = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"row {again!r} stands twice; give each config a name of its own")

    @property
    def content_sha256(self) -> str:
        """Digest of everything in the record; written beside it, so that an edited file is noticed."""
        return strict.digest(strict.plain(self))


def write_ablation(path: str | Path, record: AblationRecord) -> None:
    """Write ``record`` to ``path`` atomically, with its content digest. ValueError where it would not read back."""
    strict.write(path, record)


def read_ablation(path: str | Path) -> AblationRecord:
    """Read the record at ``path``. ValueError, naming the file and the place, where anything is not as written."""
    return strict.read(path, AblationRecord, SCHEMA)
