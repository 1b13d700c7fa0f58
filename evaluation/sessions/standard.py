"""What sessions with several splits share: in each of them the model's rows stand beside rows of reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from evaluation.metrics.codebook import codebook_usage
from evaluation.records import MetricValue, Record, Role, Scalar
from evaluation.samples import save_samples, save_sheet
from evaluation.sessions.base import Run, SessionOptions
from evaluation.sessions.drawing import by_length, draw, rebuild
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import NUM, SPLITS, Split, Splits, SplitsOptions, said_of
from evaluation.sessions.table import Scorer, Table
from nuwa.data.video import FrameRule
from nuwa.registry import suggest
from nuwa.sampling import Sampling
from nuwa.system import Nuwa, untrained
from nuwa.tasks import TASKS

SHEET = 12  # samples of each split on the sheet
BATCH = 128  # samples drawn at once

Pixels = Callable[[Samples], Tensor]
"""Pictures (m, 3, h, w) or clips (m, t, 3, h, w) uint8 of m samples."""


@dataclass(frozen=True, kw_only=True)
class RowOptions(SessionOptions):
    """Which rows a session with several splits has."""

    preset: str = "tiny"  # sizes and training of the model: tiny, or smoke (seconds, for trying things out)
    way: str | None = None  # ask the model in this way alone, such as "sketch alone"; in all ways where not given
    unseen: bool = True  # score the other splits too, such as combinations that training never shows
    untrained: bool = True  # a row of the same model with random weights: the ceiling


@dataclass(frozen=True, kw_only=True)
class SplitOptions(RowOptions):
    """What a session takes that scores every split of a dataset."""

    data: str = "sprites"  # what to train on and to score against: sprites, or a dataset of files by its reader's name
    root: Path | None = None  # folder of the dataset, where it is one of files
    num: int | None = None  # samples to score of each split; 512 of sprites and all of files where not given
    fps: float = 2.5  # frames a second that are read of clips of files

    def check(self) -> None:
        """ValueError where an option is out of its range."""
        super().check()
        FrameRule(fps=self.fps)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to ask the model, which becomes a row of each split.

    ``make(system, samples, sampling=…, sample_indices=…)`` gives what the model makes of b samples, uint8.
    """

    make: Callable[..., Tensor]
    name: str = ""  # behind the model's, where there are several
    sampling: Mapping[str, Scalar] | None = None  # what its rows say beside how tokens are drawn


def read(state: Run, *, usual: int = NUM) -> Splits:
    """The dataset that was asked for, in the size and the length of the model; ``usual`` samples of one without an end."""
    options, limits = state.options, state.limits
    assert isinstance(options, SplitOptions)
    asked = SplitsOptions(
        root=options.root,
        num=options.num,
        usual=usual,
        size_px=limits.size_px,
        frames=limits.grid.t if TASKS[state.task].target == "clip" else None,
        train_frames=limits.grid.t,
        seed=options.seed,
        fps=options.fps,
        sketches=TASKS[state.task].sketch,
    )
    with state.timed("read data"):
        data = SPLITS[options.data](asked)
    if TASKS[state.task].text == "caption" and data.wordless:
        raise ValueError(f"{options.data}: expected captions for {state.task}, found none; eval-v2v needs no words")
    if not options.unseen:
        data = replace(data, splits=data.splits[:1])
    state.skip_all(each for split in data.splits for each in split.dataset.skipped)
    state.skip_all(data.notes)
    if data.classes is not None:
        state.sketching(data.classes)
    return data


def score(
    state: Run,
    data: Splits,
    scorer: Callable[[], Scorer],
    ways: Sequence[Way],
    *,
    baselines: Mapping[str, Pixels] | None = None,
    rebuilt: Callable[[Nuwa, Samples], Sequence[MetricValue]] | None = None,
    before: Mapping[str, Pixels] | None = None,
) -> Record:
    """Train what is missing, score every split, and write record, sheet and what was generated.

    Each split has a reference of its own and rows of the model, of other real samples (the floor), of the tokenizer's
    reconstruction and of the baselines. The untrained model (the ceiling) is drawn from for the first split alone.

    Args:
        state: of the session.
        data: from :func:`read`.
        scorer: of each table.
        ways: to ask the model; the first is also that of the row "untrained" and of the folder ``generated/``.
        baselines: what takes no model, by the names of their rows.
        rebuilt: more numbers for the row of the tokenizer's reconstruction.
        before: columns of the sheet before the real samples.
    """
    options = state.options
    assert isinstance(options, RowOptions)
    ways = _chosen(ways, options.way)
    system = state.trained(data.training)
    state.skip_all(replace(each, reason=f"not trained on: {each.reason}") for each in data.broken)
    sampling = state.sampling
    if not TASKS[state.task].guided:
        sampling = replace(sampling, guidance=1.0)  # as the model does, so that rows say what was done
    kind = "clips" if TASKS[state.task].target == "clip" else "pictures"
    if TASKS[state.task].text != "none":
        state.note_unknown(system.text, [caption for split in data.splits for caption in split.test.captions])
    sheets, generated = [], []
    for split in data.splits:
        test, is_first = split.test, split is data.splits[0]
        with state.timed("sample"):
            drawn = {way.name: _draw(system, test, way, sampling, kind) for way in ways}
            tokens, again = rebuild(system, test.pixels)
        table = _SplitTable(Table(state, scorer, test), split, {} if is_first else said_of(split.dataset))
        for way in ways:
            name = f"NÜWA {state.name}" + (f", {way.name}" if way.name else "")
            settings = state.settings(sampling, **(way.sampling or {}), **state.trained_by)
            table.add(name, "model", test.showing(drawn[way.name]), settings)
        table.add(f"real {kind}", "real", split.real)
        usage = [each.record for each in codebook_usage(tokens, system.tokenizer.config.num_codes)]
        more = rebuilt(system, test) if rebuilt is not None else ()
        table.add("reconstruction", "reconstruction", test.showing(again), extra=(*usage, *more))
        easy = {name: pixels(test) for name, pixels in (baselines or {}).items()}
        for name, pixels in easy.items():
            table.add(name, "baseline", test.showing(pixels))
        if is_first and options.untrained:
            with state.timed("sample"):
                unguided = replace(sampling, guidance=1.0)  # there is nothing to guide by
                random = _draw(untrained(system), test, ways[0], unguided, f"{kind}, untrained")
            settings = state.settings(unguided, **(ways[0].sampling or {}))
            table.add("untrained", "baseline", test.showing(random), settings)
        columns = {name: pixels(test) for name, pixels in (before or {}).items()}
        columns |= {"real": test.pixels, "reconstruction": again} | easy
        columns |= {way.name or "NÜWA": drawn[way.name] for way in ways}
        sheets.append((test[:SHEET], {name: pixels[:SHEET] for name, pixels in columns.items()}))
        generated.append(test.showing(drawn[ways[0].name]))
    save_samples(state.out / "generated", _together(generated))
    shown = {name: torch.cat([columns[name] for _, columns in sheets]) for name in sheets[0][1]}
    save_sheet(state.out / "samples", _together([samples for samples, _ in sheets]), shown)
    return state.write(data.splits[0].dataset, state.model(system))


def _chosen(ways: Sequence[Way], name: str | None) -> Sequence[Way]:
    """The way of that name, all of them where it is None. ValueError for one that there is not."""
    if name is None:
        return ways
    by_name = {way.name: way for way in ways}
    if name not in by_name:
        known = [name for name in by_name if name]
        raise ValueError(
            f"way: expected {' or '.join(map(repr, known)) or 'none, since there is one way alone'}, got {name!r}"
            f"{suggest(name, known)}"
        )
    return [by_name[name]]


@dataclass(frozen=True)
class _SplitTable:
    """The table of one split, whose rows say which it is unless it is the first."""

    table: Table[Scorer]
    split: Split
    said: Mapping[str, Scalar]

    def add(
        self,
        name: str,
        role: Role,
        samples: Samples,
        sampling: Mapping[str, Scalar] | None = None,
        extra: Sequence[MetricValue] = (),
    ) -> None:
        settings = {**(sampling or {}), **self.said}
        self.table.add(name + self.split.suffix, role, samples, sampling=settings, extra=extra)


def _draw(system: Nuwa, test: Samples, way: Way, sampling: Sampling, what: str) -> Tensor:
    def make(rows: list[int], indices: list[int]) -> Tensor:
        return way.make(system, test[rows], sampling=sampling, sample_indices=indices)

    order = by_length(system.text, test.captions)
    return draw(make, len(test), f"sample {what}", order=order, batch=BATCH, unit=what.split(",")[0])[:, 0]


def _together(parts: Sequence[Samples]) -> Samples:
    """The pixels, ids and captions of several sets."""
    return Samples(
        pixels=torch.cat([part.pixels for part in parts]),
        ids=[name for part in parts for name in part.ids],
        captions=[caption for part in parts for caption in part.captions],
    )
