"""The result record: one JSON file per run, from which every table and figure is made.

A record holds the numbers and all that is needed to believe them: protocol, interval, sample count, data, model,
seeds, code and machine. It is written whole or not at all and read strictly: an unknown key, a missing key, a wrong
type, NaN, an unknown schema and a file edited by hand are all refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from nuwa.files import write_json
from nuwa.registry import suggest

SCHEMA = "nuwa-record-1"

Scalar = str | int | float | bool | None
Role = Literal["model", "real", "reconstruction", "baseline"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number under its protocol.

    ``name`` is what tables print ("FID-0", "IS", "CLIPSIM", "caption accuracy"); ``protocol`` reads
    ``metric@family-version`` ("fid@sprites-1"); ``ci95`` is the 95% interval [lo, hi] in the unit of ``value``; ``n``
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
        if not (math.isfinite(self.value) and math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(
                f"metric {self.name!r}: expected a finite value and an interval lo <= hi, got {self.value} in "
                f"[{low}, {high}]; leave the metric out and name it under 'skipped'"
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
        return _digest(_plain(self))


def write_record(path: str | Path, record: Record) -> None:
    """Write ``record`` to ``path`` atomically, with its content digest. ValueError where it would not read back."""
    content = _plain(record)
    write_json(path, {"schema": SCHEMA, **content, "content_sha256": _digest(content)})


def read_record(path: str | Path) -> Record:
    """Read the record at ``path``. ValueError, naming the file and the place, where anything is not as written."""
    try:
        content = json.loads(
            Path(path).read_text(encoding="utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant
        )
        if not isinstance(content, dict):
            raise ValueError(f"expected a JSON object, got {_kind(content)}")
        if content.get("schema") != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA!r}, got {content.get('schema')!r}; run the session again")
        claimed = content.pop("content_sha256", None)
        record = _decode(Record, content, "record")
        if claimed != (found := _digest(content)):
            raise ValueError(
                f"content_sha256: expected {found}, got {claimed}; the file was changed after the run, "
                "restore it or run the session again"
            )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    return record


def _plain(record: Record) -> dict[str, Any]:
    """The JSON content of a record, checked against its own types, so that 3 and 3.0 are the same number."""
    content = json.loads(json.dumps(asdict(record), allow_nan=False))
    return asdict(_decode(Record, content, "record"))


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice in one object; keep one")
    return content


def _no_constant(text: str) -> float:
    raise ValueError(f"expected finite numbers, got {text}; leave the number out and name it under 'skipped'")


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _decode(hint: Any, value: Any, place: str) -> Any:
    """``value`` as the type ``hint`` says, or ValueError naming ``place``."""
    if is_dataclass(hint):
        return _decode_object(typing.cast(Callable[..., Any], hint), value, place)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in args:
            return value
        raise ValueError(f"{place}: expected one of {', '.join(map(repr, args))}, got {value!r}")
    if origin in (types.UnionType, typing.Union):
        for arm in args:
            if _is(arm, value):
                return _decode(arm, value, place)
        raise ValueError(f"{place}: expected {hint}, got {_kind(value)}")
    if origin is tuple:
        return _decode_tuple(args, value, place)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{place}: expected an object, got {_kind(value)}")
        return {key: _decode(args[1], item, f"{place}.{key}") for key, item in value.items()}
    if not _is(hint, value):
        raise ValueError(f"{place}: expected {hint.__name__}, got {_kind(value)} {value!r}")
    return float(value) if hint is float else value


def _is(hint: Any, value: object) -> bool:
    if hint is float:  # JSON has one kind of number
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def _decode_tuple(args: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{place}: expected a list, got {_kind(value)}")
    hints = [args[0]] * len(value) if args[-1] is Ellipsis else args
    if len(hints) != len(value):
        raise ValueError(f"{place}: expected {len(hints)} entries, got {len(value)}")
    return tuple(_decode(hint, item, f"{place}[{i}]") for i, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _decode_object(cls: Callable[..., Any], value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected an object, got {_kind(value)}")
    hints = _hints(typing.cast(type, cls))
    known = [field.name for field in fields(typing.cast(Any, cls))]
    if unknown := [key for key in value if key not in known]:
        raise ValueError(f"{place}: unknown key {unknown[0]!r}{suggest(unknown[0], known)} (known: {', '.join(known)})")
    if missing := [key for key in known if key not in value]:
        raise ValueError(f"{place}: missing key {missing[0]!r}; run the session again")
    return cls(**{key: _decode(hints[key], item, f"{place}.{key}") for key, item in value.items()})
