"""What ``score`` and ``compare`` share: sources opened, judged and measured, and the record of it."""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from evaluation.inputs import Source, Statistics, is_statistics, open_clips, open_pictures, open_statistics, pairs
from evaluation.metrics import Estimate
from evaluation.provenance import Provenance, peak_memory
from evaluation.records import DatasetInfo, MetricValue, ModelInfo, Record, Row, Skipped, write_record
from evaluation.scoring.asks import Asked, Evidence
from evaluation.scoring.cache import Cache
from evaluation.scoring.captions import read_captions
from evaluation.scoring.reading import SHARD, Pace, Readings, read
from evaluation.scoring.views import Judges
from nuwa.progress import progress


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How sources are read: options that change no number."""

    batch: int | None = None  # samples the network sees at once; 64 pictures or 8 clips where not given
    workers: int | None = None  # decoding threads; one a core where not given
    shard: int = SHARD  # samples between two saves: a run that was stopped loses no more
    cache: Path | None = Path("runs/cache")  # what networks said of pictures; None keeps nothing

    @contextlib.contextmanager
    def open_cache(self) -> Iterator[Cache]:
        """The cache, or one that is gone afterwards."""
        if self.cache is not None:
            yield Cache(self.cache)
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Cache(folder)


@dataclass(kw_only=True)
class Findings:
    """Numbers, and what has to be said about them."""

    estimates: list[Estimate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    generated: Readings | None = None
    real: Readings | Statistics | None = None

    @property
    def values(self) -> tuple[MetricValue, ...]:
        """The numbers as they stand in a record."""
        return tuple(estimate.record for estimate in self.estimates)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to ``timings_s``."""
        began = time.monotonic()
        yield
        self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + time.monotonic() - began, 2)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Turn warnings raised inside into notes, each once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        self.notes += [text for text in (str(each.message) for each in caught) if text not in self.notes]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be measured of the samples at ``fake``, beside those at ``real``."""

    asked: Sequence[Asked]
    fake: Path
    real: Path | None
    weights: Path | None
    device: torch.device
    reading: ReadingOptions
    captions: Path | None = None
    tolerant: bool = False
    """Name a metric that cannot be made in ``skipped``, and go on with the others."""


def measure(request: Request) -> Findings:
    """Everything that is asked for. Samples of one kind are decoded once for all metrics of it."""
    found = Findings()
    texts = read_captions(request.captions) if request.captions is not None else {}
    for each in request.asked:
        _check_given(each, request.real, texts)
    with request.reading.open_cache() as cache, found.listening():
        for kind in dict.fromkeys(each.ask.kind for each in request.asked):
            _measure(
                found, replace(request, asked=[each for each in request.asked if each.ask.kind == kind]), texts, cache
            )
    return found


def _measure(found: Findings, request: Request, texts: dict[str, str], cache: Cache) -> None:
    """The part of a request that is of one kind of samples."""
    asked, shard = request.asked, request.reading.shard
    with found.timed("open"):
        generated, real = _open(request)
        ours = [view for each in asked for view in each.views("generated")]
        theirs = [view for each in asked for view in each.views("real")]
        judges = Judges([*ours, *theirs], request.weights, request.device)
    with found.timed("judge"):
        found.generated = read(generated, judges, cache, views=ours, shard=shard)
        found.real = read(real, judges, cache, views=theirs, shard=shard) if isinstance(real, Source) else real
    for side, readings in (("fake", found.generated), ("real", found.real)):
        if isinstance(readings, Readings):
            found.pace += readings.pace
            found.skipped += [Skipped(id=f"{side}/{skip.id}", reason=skip.reason) for skip in readings.skipped]
    _check_sides(asked, found.generated, found.real)
    evidence = Evidence(
        generated=found.generated,
        real=found.real,
        judges=judges,
        captions=texts,
        device=request.device,
    )
    with found.timed("score"):
        for each in progress(asked, "score", unit="metrics"):
            try:
                known = {(estimate.name, estimate.protocol) for estimate in found.estimates}  # FID-0 is one of FID-k
                made = each.estimates(evidence)
                found.estimates += [one for one in made if (one.name, one.protocol) not in known]
            except ValueError as error:
                if not request.tolerant:
                    raise
                found.skipped.append(Skipped(id=each.protocol.id, reason=str(error)))


def _open(request: Request) -> tuple[Source, Source | Statistics | None]:
    asked, fake, real = request.asked, request.fake, request.real
    settings = {"batch_size": request.reading.batch, "workers": request.reading.workers}
    if asked[0].ask.kind == "clips":
        cuts = {(getattr(each.protocol, "frames", None), getattr(each.protocol, "frame_step", 1)) for each in asked}
        if len(cuts) > 1:
            ids = ", ".join(each.protocol.id for each in asked)
            raise ValueError(f"{ids}: these protocols take clips of different lengths; ask for them one by one")
        frames, step = next(iter(cuts))
        return (
            open_clips(fake, num_frames=frames, step=step, **settings),
            None if real is None else open_clips(real, num_frames=frames, step=step, **settings),
        )
    generated = open_pictures(fake, **settings)
    if real is None or not any("real" in each.ask.needs for each in asked):
        return generated, None
    if asked[0].ask.kind == "pairs":
        return pairs(generated, open_pictures(real, **settings)), None
    if real.is_file() and is_statistics(real):
        return generated, _open_statistics(asked, real)
    return generated, open_pictures(real, **settings)


def _open_statistics(asked: Sequence[Asked], real: Path) -> Statistics:
    needy = [each for each in asked if "real" in each.ask.needs]
    if pictures := [each.name for each in needy if not each.ask.takes_statistics]:
        raise ValueError(
            f"{real}: {', '.join(pictures)} needs real pictures, got statistics of them; give --real pictures"
        )
    ddofs = {getattr(each.protocol, "ddof", 1) for each in needy}
    if len(ddofs) > 1:
        raise ValueError(f"{real}: the protocols divide covariances by different numbers; ask for them one by one")
    return open_statistics(real, next(iter(ddofs)))


def _check_given(asked: Asked, real: Path | None, texts: dict[str, str]) -> None:
    if "real" in asked.ask.needs and real is None:
        raise ValueError(f"{asked.name}: expected real pictures to compare with, got none; name them with --real")
    if "captions" in asked.ask.needs and not texts:
        raise ValueError(f"{asked.name}: expected the captions of the pictures, got none; name a file with --captions")


def _check_sides(asked: Sequence[Asked], ours: Readings, theirs: Readings | Statistics | None) -> None:
    strict = next((each.protocol.id for each in asked for view in each.views("real") if view.one_size), None)
    if strict and isinstance(theirs, Readings) and ours.shapes and theirs.shapes and ours.shapes != theirs.shapes:
        sizes = [f"{shape[-1]}×{shape[-2]}" for shape in (ours.shapes[0], theirs.shapes[0])]
        raise ValueError(
            f"{ours.name} and {theirs.name}: expected pictures of one size, as {strict} takes them as they are, got "
            f"{sizes[0]} and {sizes[1]}; resize one side first"
        )


def record_of(found: Findings, request: Request, *, task: str, out: Path, about: Provenance) -> Record:
    """Write ``record.json`` into ``out`` and return it."""
    assert found.generated is not None, "something was judged"
    reference: Readings | Statistics = found.generated
    split, path = "generated", request.fake
    if found.real is not None:
        assert request.real is not None, "what was read was named"
        reference, split, path = found.real, "real", request.real
    name = found.generated.name
    form = "statistics" if isinstance(reference, Statistics) else path.suffix.lstrip(".").lower() or "folder"
    record = Record(
        name=out.name,
        task=task,
        dataset=DatasetInfo(name=reference.name, version=form, split=split, fingerprint=reference.fingerprint),
        model=ModelInfo(preset=name, encoder_attention=None, decoder_attention=None, params=0, checkpoint_sha256=None),
        rows=(
            Row(name=name, role="model", sampling={"fingerprint": found.generated.fingerprint}, metrics=found.values),
        ),
        timings_s={**found.timings_s, "wait for data": round(found.pace.waited_s, 2)},
        peak_memory_gib=peak_memory(request.device),
        skipped=(*found.skipped, *(Skipped(id="note", reason=note) for note in found.notes)),
        **vars(about),
    )
    write_record(out / "record.json", record)
    return record


def said(found: Findings, out: Path) -> Iterable[str]:
    """What stands under a table: notes, what was left out, how fast it was, where the record is."""
    yield from (f"note: {note}" for note in found.notes)
    for side in ("fake", "real"):
        lost = [skip for skip in found.skipped if skip.id.startswith(f"{side}/")]
        for skip in lost[:5]:
            yield f"left out of {skip.id}: {skip.reason}"
        if len(lost) > 5:
            yield f"left out of {side}: {len(lost) - 5} more, all named in the record"
    pace = found.pace
    if pace.judged:
        yield (
            f"judged {pace.judged:,} samples at {pace.per_second:.1f} a second, {100 * pace.waiting:.0f}% of the time "
            "waiting for data"
        )
    if pace.found:
        yield f"found {pace.found:,} samples in the cache"
    yield f"record: {out / 'record.json'}"
