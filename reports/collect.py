"""All records there are, found and checked: what a report is made of, and what it must not be made of.

A record that cannot be believed (unknown schema, NaN, edited by hand, a number given twice) is left out with the reason, so one
bad file neither spoils a table nor stops the rest. Two records under one name are kept apart and named by their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluation import records as run_records
from evaluation import speed as speed_records
from evaluation import strict
from evaluation.ablations import record as ablation_records
from evaluation.ablations.record import AblationRecord, read_ablation
from evaluation.records import Record, read_record
from evaluation.speed import SpeedRecord, read_speed
from reports.tables import tidy

AnyRecord = Record | SpeedRecord | AblationRecord

RUN = "record.json"
"""Of a run, which says its name itself; a record that was put among others has the name of its file."""

_READERS: Mapping[object, Callable[[Path], AnyRecord]] = {
    run_records.SCHEMA: read_record,
    speed_records.SCHEMA: read_speed,
    ablation_records.SCHEMA: read_ablation,
}


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Records by name, of each kind; ``folders`` are those of runs, whose samples and logs lie beside their record.

    ``refused`` are sentences about files that are no records to believe, ``notes`` about names that stand twice.
    """

    records: dict[str, Record] = field(default_factory=dict)
    benchmarks: dict[str, SpeedRecord] = field(default_factory=dict)
    ablations: dict[str, AblationRecord] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_any(path: str | Path) -> AnyRecord:
    """The record at ``path``, of whichever schema. ValueError, naming file and place, where it is not as written."""
    path = Path(path)
    record = _READERS.get(strict.schema_of(path), read_record)(path)  # an unknown schema is refused as a run's
    if isinstance(record, Record):
        try:
            tidy({record.name: record})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return record


def collect(records: Path, runs: Path) -> Collected:
    """The records ``records/*.json``, ``runs/*/record.json`` and ``runs/*/*/record.json``, each content once.

    A record of ``records`` has the name of its file, one of a run the name that it says. A later one whose name is taken gets
    its place behind it.
    """
    found = Collected()
    directions: dict[str, bool] = {}
    for path, place in _places(records, runs):
        try:
            record = read_any(path)
            if isinstance(record, Record):
                _check_directions(record, directions)
        except (ValueError, OSError) as error:
            found.refused.append(f"{place}: {str(error).removeprefix(f'{path}: ')}")
            continue
        _add(found, record, path, place)
    return found


def _places(records: Path, runs: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(records.glob("*.json")):
        yield path, f"{records.name}/{path.name}"
    for path in sorted([*runs.glob(f"*/{RUN}"), *runs.glob(f"*/*/{RUN}")]):
        yield path, f"{runs.name}/{path.parent.relative_to(runs).as_posix()}"


def _check_directions(record: Record, known: dict[str, bool]) -> None:
    """ValueError where a metric of ``record`` gets better in the other direction than in records before it."""
    of_record = {metric.name: metric.higher_is_better for row in record.rows for metric in row.metrics}
    for name, better in of_record.items():
        if known.get(name, better) != better:
            raise ValueError(
                f"metric {name!r}: disagrees with records before it on higher_is_better; run the session again"
            )
    known.update(of_record)


def _add(found: Collected, record: AnyRecord, path: Path, place: str) -> None:
    kinds: dict[type, dict[str, AnyRecord]] = {
        Record: found.records,  # type: ignore[dict-item]
        SpeedRecord: found.benchmarks,  # type: ignore[dict-item]
        AblationRecord: found.ablations,  # type: ignore[dict-item]
    }
    kind = kinds[type(record)]
    name = next((name for name, known in kind.items() if known == record), None)
    if name is None:
        name = wanted = record.name if path.name == RUN else path.stem
        if name in kind:
            name = f"{wanted} ({place})"
            found.notes.append(
                f"Another record is named {wanted!r} too: it stands as {name!r}; the two are kept apart."
            )
        kind[name] = record
    if path.name == RUN and isinstance(record, Record):
        found.folders.setdefault(name, path.parent)
