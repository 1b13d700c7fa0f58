"""What every evaluation session has: its options, what grows while it runs, a trained system, and the record it leaves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.metrics.base import Estimate
from evaluation.provenance import Provenance, peak_memory, provenance
from evaluation.records import DatasetInfo, ModelInfo, Record, Row, Scalar, Skipped, write_record
from evaluation.replicates import REPLICATES, Replicates, write_replicates
from evaluation.sessions.route import decoding
from evaluation.sessions.training import Training, most, read_training, train
from nuwa import files
from nuwa.data import captioned
from nuwa.data.captioned import Captioned
from nuwa.model.config import attention_name
from nuwa.presets import PRESETS, Preset
from nuwa.registry import Registry
from nuwa.request import Limits
from nuwa.sampling import Sampling
from nuwa.system import MODEL_FILE, Nuwa
from nuwa.tasks import TASKS, needed_for, of_target
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.text import TextTokenizer
from nuwa.training.precision import pick_device
from nuwa.training.prepare import TrainingData


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What every session takes. A session's own options are a subclass; its docstring is the help."""

    num: int | None = None  # samples to score; the data set's own number where not given
    preset: str = "tiny"  # sizes and training: tiny, small (a GPU), smoke (seconds, for trying things out)
    guidance: float | None = None  # how much captions are strengthened, 1 is not at all; the preset's where not given
    temperature: float | None = None  # divides the logits: below 1 likelier tokens; the preset's where not given
    top_k: int | None = None  # draw from the k likeliest tokens only; from all where not given
    top_p: float | None = None  # draw from the likeliest tokens that make up this share; from all where not given
    checkpoint: Path | None = None  # folder of a trained model to score; without it the task's own model is trained
    shards: Path | None = None  # train on tokens: encode the data once into this folder, or read what is there
    tokenizer: Path | None = None  # folder of a trained tokenizer, such as an imported one, to train on as it is
    seed: int = 0  # of the samples; that of the training is the preset's
    device: str = "auto"  # auto, cpu or cuda
    weights: Path | None = None  # folder with published network weights
    out: Path = Path("runs/eval")  # folder for everything that is made
    table: bool = True  # print the numbers at the end

    def sampling(self, default: Sampling) -> Sampling:
        """``default`` with what was asked for."""
        given = {name: getattr(self, name) for name in ("guidance", "temperature", "top_k", "top_p")}
        return replace(default, seed=self.seed, **{name: value for name, value in given.items() if value is not None})

    def check(self) -> None:
        """ValueError where an option is out of its range, before anything is done."""
        if self.num is not None and self.num < 2:
            raise ValueError(f"expected num >= 2, got {self.num}; intervals need two samples")
        self.sampling(PRESETS[self.preset]().sampling)
        if self.checkpoint is not None and self.tokenizer is not None:
            raise ValueError(f"tokenizer: expected none beside the checkpoint {self.checkpoint}, got {self.tokenizer}")

    def fit(self, preset: Preset) -> Preset:
        """The preset on the tokens of the tokenizer that was given, where one was."""
        return preset if self.tokenizer is None else preset.reading(load_vqgan(self.tokenizer).config)


@dataclass(frozen=True)
class Session:
    """One task's evaluation: the options it reads and the function that runs it and writes its record.

    The function returns None where it was asked for something else than a record.
    """

    options: type[SessionOptions]
    run: Callable[[Any], Record | None]


SESSIONS: Registry[Session] = Registry("session")
"""The sessions by the name of their task."""


@dataclass(kw_only=True)
class Run:
    """What grows while a session runs, and where it runs."""

    task: str
    options: SessionOptions
    preset: Preset  # of a system that is trained here
    device: torch.device
    about: Provenance
    system: Nuwa | None = None  # the one of the checkpoint that was given, or that :meth:`trained` made
    training: Training | None = None  # what that took, where it is on record
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    replicates: Replicates = field(default_factory=dict)

    @classmethod
    def begin(cls, task: str, options: SessionOptions) -> Run:
        """Check the options and take down where this runs. ValueError for what cannot be.

        A preset of many tasks is cut down to what this one needs on all its routes, unless a checkpoint is given, which has
        to be trained for one of them.
        """
        options.check()
        device, preset = pick_device(options.device), PRESETS[options.preset]()
        if options.checkpoint is None:
            seeds = {"sampling": options.seed, "training": preset.transformer.seed}
            preset = options.fit(preset.only(*needed_for(task)))
            return cls(task=task, options=options, preset=preset, device=device, about=provenance(device, seeds))
        system = Nuwa.from_pretrained(options.checkpoint, device)
        if not set(needed_for(task)) & set(system.tasks):
            raise ValueError(
                f"{options.checkpoint}: expected a model trained for {' or '.join(needed_for(task))}, got one for "
                f"{', '.join(system.tasks)}"
            )
        return cls(
            task=task,
            options=options,
            preset=preset,
            device=device,
            about=provenance(device, {"sampling": options.seed}),
            system=system,
            training=read_training(options.checkpoint),
        )

    @property
    def out(self) -> Path:
        """The run's folder."""
        return self.options.out

    @property
    def checkpoint(self) -> Path:
        """Where the trained system is."""
        return self.options.checkpoint or self.out / "checkpoint"

    @property
    def name(self) -> str:
        """What rows call the model: the preset it was trained with."""
        return self.preset.name if self.system is None else self.system.preset

    @property
    def size_px(self) -> int:
        """Side of the model's pictures."""
        return self.limits.size_px

    @property
    def frames(self) -> int:
        """Frames of the model's longest clips; 1 where it makes pictures alone."""
        return self.limits.grid.t

    @property
    def sampling(self) -> Sampling:
        """How the model is sampled: the preset's or the checkpoint's way, with what was asked for."""
        made_by = self.preset if self.system is None else self.system
        return self.options.sampling(TASKS[self.task].own(made_by.sampling))

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to ``timings_s``."""
        began = time.monotonic()
        yield
        self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + time.monotonic() - began, 2)

    def keep(self, row: str, found: Iterable[Estimate]) -> None:
        """Keep the bootstrap replicates of a row, so that it can be paired with the same row of another run."""
        for each in found:
            self.replicates[row, each.name, each.protocol] = each.replicates

    def skip(self, name: str, reason: str) -> None:
        """Name something that is not in the numbers."""
        self.skipped.append(Skipped(id=name, reason=reason))

    def skip_all(self, found: Iterable[captioned.Skipped]) -> None:
        """Name what a dataset left out."""
        for each in found:
            self.skip(each.id, each.reason)

    def note_long(self, tokenizer: TextTokenizer, captions: Sequence[str]) -> None:
        """Say how many captions are longer than a text can be."""
        if truncated := tokenizer.encode(captions).truncated:
            reason = f"{len(truncated)} of {len(captions)} captions are longer than 77 tokens and lost their last words"
            self.skip("long captions", reason)

    def note_unknown(self, tokenizer: TextTokenizer, captions: Sequence[str]) -> None:
        """Say how many word pieces the model has never met."""
        if unknown := tokenizer.encode(captions).unknown:
            self.skip("unknown words", f"{unknown} word pieces of the test captions never stand in a training caption")

    def sketching(self, classes: Sequence[str]) -> None:
        """Read sketches of these classes. ValueError where the checkpoint's are others; a preset follows the data."""
        if self.system is None:
            self.preset = self.preset.sketching(len(classes))
        elif TASKS[self.task].sketch and (tokenizer := self.system.sketch_tokenizer) is not None:
            number = tokenizer.config.num_classes
            if number != len(classes):
                raise ValueError(
                    f"{self.checkpoint}: expected a model of sketches with the {len(classes)} classes of the data, got one "
                    f"with {number}; use the data that it was trained on"
                )

    @property
    def limits(self) -> Limits:
        """What the model takes, before it is there: its largest grid, the side of its pictures and its tasks."""
        if self.system is not None:
            return self.system.limits
        tokenizer = self.preset.tokenizer.model
        tasks = tuple(self.preset.transformer.tasks)
        return Limits(grid=tokenizer.grid(self.preset.frames), size_px=tokenizer.size_px, tasks=tasks)

    def trained(self, data: Callable[[], TrainingData]) -> Nuwa:
        """The given system, or the preset's, trained on ``data`` where that is not done yet.

        A training leaves ``training/`` and ``checkpoint/``. What it took stands in the record of every run that uses it.
        """
        if self.system is None:
            out, about = self.out, self.about.environment
            shards, tokenizer = self.options.shards, self.options.tokenizer
            self.system, self.training, now = train(
                self.preset, data(), out, self.device, about, shards=shards, tokenizer=tokenizer
            )
            if now:
                self.timings_s["train"] = self.training.train_s
                return self.system
        if self.training is not None:
            self.timings_s["train, in an earlier run"] = self.training.train_s
        return self.system

    @property
    def trained_by(self) -> dict[str, Scalar]:
        """The attention backend of the training, where that is on record; for the rows of the trained system."""
        return {} if self.training is None else {"training_attention": self.training.attention_backend}

    def settings(self, sampling: Sampling, **more: Scalar) -> dict[str, Scalar]:
        """What a row says of its sampling: how tokens were drawn, and by which code.

        Steps are counted where nothing is given; cells that are given shorten the schedule of each sample in its own way.
        """
        assert self.system is not None
        task = TASKS[self.task]
        grid = of_target(self.system.model.config.grid, task.target)
        counted = decoding(self.system, grid) if task.given == "nothing" else {}
        return {**vars(sampling), **counted, **more}

    def model(self, system: Nuwa) -> ModelInfo:
        """What the record says of the system that :meth:`trained` gave."""
        config = system.model.config
        return ModelInfo(
            preset=self.name,
            encoder_attention=attention_name(config.encoder_attention),
            decoder_attention=attention_name(config.decoder_attention),
            params=system.model.num_parameters,
            checkpoint_sha256=files.sha256(self.checkpoint / MODEL_FILE),
        )

    def write(self, dataset: Captioned, model: ModelInfo) -> Record:
        """Write ``replicates.npz`` and ``record.json`` and return the record."""
        peak = peak_memory(self.device)
        about = {name: str(getattr(dataset, name)) for name in ("name", "version", "split", "fingerprint")}
        record = Record(
            name=self.out.name,
            task=self.task,
            dataset=DatasetInfo(**about),
            model=model,
            rows=tuple(self.rows),
            timings_s=self.timings_s,
            peak_memory_gib=peak if self.training is None else most(peak, self.training.peak_memory_gib),
            skipped=tuple(self.skipped),
            **vars(self.about),
        )
        write_replicates(self.out / REPLICATES, self.replicates)
        write_record(self.out / "record.json", record)
        return record
