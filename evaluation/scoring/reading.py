"""One pass over a source: every sample is decoded once and seen by all networks, and nothing that was seen is lost.

Samples are judged in shards. A shard's numbers go to the cache as soon as they are complete, under the content of its
files, so a pass that was stopped goes on where it was, and one over the same pictures is over at once. What is in memory
is one shard, whatever the size of the source.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from evaluation.inputs.source import Loaded, Source, Unit, batches, digest, fingerprint
from evaluation.scoring.cache import Cache, Entry
from evaluation.scoring.views import Judges, View
from nuwa.data.ahead import Waiting, ahead, background
from nuwa.data.captioned import Skipped
from nuwa.progress import progress

SHARD = 512
"""Samples between two saves."""

_WINDOW = 4  # batches of mixed sizes that are sorted by size together
_PLANNED = 2  # shards whose files are hashed ahead


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a pass was: samples judged and found in the cache, seconds in all and waiting for data."""

    judged: int = 0
    found: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Samples judged a second."""
        return self.judged / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """Share of the time spent waiting for data, 0…1."""
        return self.waited_s / self.seconds if self.seconds else 0.0

    def __add__(self, other: Pace) -> Pace:
        return Pace(**{name: getattr(self, name) + getattr(other, name) for name in vars(self)})


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What was seen of the samples of a source, in its order."""

    name: str
    ids: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    """Shapes of the samples, in order of first appearance."""
    skipped: tuple[Skipped, ...]
    fingerprint: str
    pace: Pace
    cache: Cache
    keys: dict[View, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    def parts(self, view: View) -> Iterator[Tensor]:
        """What a view sees, (b, …) a shard, read from the disk one after another."""
        for key in self.keys[view]:
            entry = self.cache.get(key)
            if entry is None:
                raise ValueError(f"{self.cache.path(key)}: an entry of the cache vanished meanwhile; run again")
            if len(entry.values):
                yield entry.values

    def __getitem__(self, view: View) -> Tensor:
        """What a view sees of all samples, (n, …)."""
        parts = list(self.parts(view))
        return torch.cat(parts) if parts else torch.zeros(0)


@dataclass(kw_only=True)
class _Shard:
    """Units whose numbers are saved together."""

    units: list[Unit]
    digests: list[str]
    keys: dict[View, str]
    missing: list[View]
    about: dict[str, Any] | None = None  # what the cache says of the samples
    loaded: int = 0
    names: list[list[str]] = field(default_factory=list)  # of the samples of each unit, without the unit's own
    lost: list[list[str]] = field(default_factory=list)  # reasons, by unit
    held: dict[tuple[int, ...], list[tuple[int, str, Tensor]]] = field(default_factory=dict)  # not seen yet, by shape
    seen: list[tuple[tuple[int, ...], dict[View, Tensor]]] = field(default_factory=list)
    count: int = 0


def read(
    source: Source, judges: Judges, cache: Cache, *, views: Sequence[View] | None = None, shard: int = SHARD
) -> Readings:
    """Look at every sample of ``source`` through ``views``, or find in ``cache`` what was seen before.

    All views of ``judges`` where none are given.

    ValueError where pictures of several sizes meet a protocol that takes them as they are.
    """
    if shard < 1:
        raise ValueError(f"shard: expected at least one sample between two saves, got {shard}")
    views = tuple(dict.fromkeys(judges.views if views is None else views))
    assert views, "whoever reads wants to see something"
    began = time.perf_counter()
    shards: list[_Shard] = []
    todo: list[_Shard] = []

    def missing(plans: Iterable[_Shard]) -> Iterator[Unit]:
        """Units that have to be decoded. A source without threads of its own reads this in another thread."""
        for planned in plans:
            shards.append(planned)
            if planned.missing:
                todo.append(planned)
                yield from planned.units
            else:
                bar.update(len(planned.units))

    count = len(source.units) if isinstance(source.units, Sequence) else None
    unit = "clips" if source.kind == "clips" else "videos" if source.form == "videos" else "pictures"
    with (
        progress(None, f"judge {source.name}", total=count, unit=unit) as bar,
        closing(background(_plans(source, judges, views, cache, shard), _PLANNED)) as plans,
        closing(source.decoded(missing(plans))) as decoded,
    ):
        stream = Waiting(decoded)
        for _, loaded in stream:
            current = todo[0]
            _add(current, loaded)
            _check_sizes(source, views, current.held)
            complete = current.loaded == len(current.units)
            _look(current, judges, source.batch_size, everything=complete)
            bar.update(1)
            if complete:
                _save(todo.pop(0), cache)
    pace = Pace(
        judged=sum(each.count for each in shards if each.missing),
        found=sum(len(names) for each in shards if not each.missing for names in _about(each)["names"]),
        seconds=time.perf_counter() - began,
        waited_s=stream.seconds,
    )
    return _readings(source, views, cache, shards, pace)


def _plans(source: Source, judges: Judges, views: Sequence[View], cache: Cache, size: int) -> Iterator[_Shard]:
    """The shards of a source, each with what the cache has of it."""
    for units in _split(source.units, size):
        workers = source.workers if source.threads else 1
        digests = list(ahead(digest, units, workers, 4 * workers))
        content = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        keys = {view: judges.key(view, content) for view in views}
        entries = {view: cache.get(key) for view, key in keys.items()}
        missing = [view for view, entry in entries.items() if entry is None]
        known = next((dict(entry.about) for entry in entries.values() if entry is not None), None)
        yield _Shard(units=units, digests=digests, keys=keys, missing=missing, about=known)


def _split(units: Iterable[Unit], size: int) -> Generator[list[Unit], None, None]:
    """Units in groups of about ``size`` samples; one whose size is not known, a video, is a group of its own."""
    group: list[Unit] = []
    held = 0
    for unit in units:
        if group and (unit.size is None or held + unit.size > size):
            yield group
            group, held = [], 0
        group.append(unit)
        held += size if unit.size is None else unit.size
    if group:
        yield group


def _add(shard: _Shard, loaded: Loaded) -> None:
    unit = shard.units[shard.loaded]
    shard.loaded += 1
    shard.names.append([name.removeprefix(unit.id) for name, _ in loaded.samples])
    shard.lost.append([skip.reason for skip in loaded.skipped])
    for name, sample in loaded.samples:
        shard.held.setdefault(tuple(sample.shape), []).append((shard.count, name, sample))
        shard.count += 1


def _look(shard: _Shard, judges: Judges, batch_size: int, *, everything: bool) -> None:
    """Look at full batches of one shape, and at all that is held where that is a window of mixed sizes."""
    everything = everything or sum(map(len, shard.held.values())) >= _WINDOW * batch_size
    for shape, held in shard.held.items():
        if not held or not (everything or len(held) >= batch_size):
            continue
        for batch in batches(held, batch_size):
            images = batch.images
            if judges.device.type != "cpu":
                images = images.pin_memory().to(judges.device, non_blocking=True)
            shard.seen.append((batch.positions, judges.look(images, shard.missing)))
        shard.held[shape] = []  # the shape stays known


def _save(shard: _Shard, cache: Cache) -> None:
    """Put what was seen into the order of the samples, and into the cache."""
    about = {"names": shard.names, "lost": shard.lost, "shapes": [list(shape) for shape in shard.held]}
    shard.about = about
    for view in shard.missing:
        values = torch.zeros(0)
        if shard.seen:
            order = torch.tensor([position for positions, _ in shard.seen for position in positions]).argsort()
            values = torch.cat([seen[view] for _, seen in shard.seen]).cpu()[order]
        cache.put(shard.keys[view], Entry(values=values, about=about))
    shard.seen = []


def _about(shard: _Shard) -> dict[str, Any]:
    assert shard.about is not None, "a shard is found or saved"
    return shard.about


def _readings(source: Source, views: Sequence[View], cache: Cache, shards: list[_Shard], pace: Pace) -> Readings:
    ids: list[str] = []
    shapes: dict[tuple[int, ...], None] = {}
    skipped = list(source.skipped)
    for shard in shards:
        about = _about(shard)
        for unit, names, lost in zip(shard.units, about["names"], about["lost"], strict=True):
            ids += [f"{unit.id}{name}" for name in names]
            skipped += [Skipped(unit.id, reason) for reason in lost]
        shapes |= dict.fromkeys(tuple(shape) for shape in about["shapes"])
    _check_sizes(source, views, shapes)
    return Readings(
        name=source.name,
        ids=tuple(ids),
        shapes=tuple(shapes),
        skipped=tuple(skipped),
        fingerprint=fingerprint(
            (unit.id, found) for shard in shards for unit, found in zip(shard.units, shard.digests, strict=True)
        ),
        pace=pace,
        cache=cache,
        keys={view: tuple(shard.keys[view] for shard in shards) for view in views},
    )


def _check_sizes(source: Source, views: Sequence[View], shapes: Iterable[tuple[int, ...]]) -> None:
    sizes = list(dict.fromkeys(shape[-2:] for shape in shapes))
    strict = next((view.protocol.id for view in views if view.one_size), None)
    if strict is not None and len(sizes) > 1:
        first, second = (f"{width}×{height}" for height, width in sizes[:2])
        raise ValueError(
            f"{source.name}: expected pictures of one size, as {strict} takes them as they are, got {first} and {second}; "
            "resize them first"
        )
