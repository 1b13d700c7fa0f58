"""Cells that train a model and score it, by the trainings and the sessions that everybody uses.

Three functions, each the ``function`` of a :class:`evaluation.ablations.cells.Cell`: ``tokenizers`` trains what all models of a
grid share, ``train_model`` one model with one seed, and ``score`` scores one. Training and scoring are cells of their own, so
that other samples or another way to ask cost no training.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from evaluation import strict
from evaluation.ablations.pairs import pair
from evaluation.ablations.sizes import SIZES
from evaluation.data import DATASETS, DataOptions
from evaluation.provenance import provenance
from evaluation.sessions import SESSIONS
from evaluation.sessions.splits import SPLITS, SplitsOptions
from evaluation.sessions.training import train
from nuwa.presets import Preset
from nuwa.tasks import TASKS
from nuwa.training.ahead import usual_workers
from nuwa.training.checkpoint import WEIGHTS
from nuwa.training.precision import pick_device
from nuwa.training.prepare import TrainingData, prepare

SHARED = ("tokenizer", "sketch-tokenizer")
"""Folders of a training that all models of a grid have alike."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained on what, and how it is scored: the same for all cells of a grid unless the grid is about it."""

    task: str  # whose session scores the model
    learn: tuple[str, ...]  # tasks that are learnt together
    preset: str
    attention: str | None = None  # a pair's word, "FN"; the preset's where None
    stem: str | None = None  # the preset's where None
    tables: str | None = None  # how what stands for the tokens begins; as the preset's where None
    steps: int | None = None  # of the model's training; the preset's where None
    batch: int | None = None  # pictures a step; the preset's where None
    num: int | None = None  # samples to score; the session's number where None
    way: str | None = None  # the way to ask the model, where the session has several
    data: str = "sprites"
    root: str | None = None  # folder of the dataset
    weights: str | None = None  # folder of published network weights

    def resolve(self, seed: int = 0) -> Preset:
        """The preset that this stands for. ValueError for a name or a value that there is not."""
        chosen = SIZES[self.preset]().only(*self.learn)
        model, training = chosen.model, replace(chosen.transformer, seed=seed)
        if self.attention is not None:
            found = pair(self.attention, chosen.tokenizer.model.grid(chosen.frames))
            model = replace(model, encoder_attention=found.encoder, decoder_attention=found.decoder)
        if self.stem is not None:
            model = replace(model, stem=self.stem)  # type: ignore[arg-type]  # checked where it is made
        if self.tables is not None:
            training = replace(training, tables=self.tables)  # type: ignore[arg-type]  # the same
        for name in ("steps", "batch"):
            if (value := getattr(self, name)) is not None:
                if value < 1:
                    raise ValueError(f"{name}: expected at least 1, got {value}")
                training = replace(training, **{name: value})
        return replace(chosen, model=model, transformer=training)

    @property
    def training(self) -> Setting:
        """The part of it that shapes the trained model; of files, some of the samples to score measure the training too."""
        return replace(self, way=None, weights=None, num=None if self.data == "sprites" else self.num)

    @property
    def fingerprint(self) -> str:
        """Digest of everything the preset holds, so that a changed preset is another cell."""
        return hashlib.sha256(repr(self.resolve()).encode()).hexdigest()[:16]

    def data_for(self, preset: Preset) -> tuple[Callable[[], TrainingData], Preset]:
        """What to train on, opened when it is called, and the preset for the classes of its sketches."""
        size_px = preset.tokenizer.model.size_px
        root, weights = (None if each is None else Path(each) for each in (self.root, self.weights))
        if self.task == "t2i":
            asked = DataOptions(root=root, num=self.num, size_px=size_px, weights=weights, seed=0)
            return DATASETS[self.data](asked).training, preset
        target = TASKS[self.task].target
        splits = SPLITS[self.data](
            SplitsOptions(
                root=root,
                num=self.num,
                size_px=size_px,
                frames=preset.frames if target == "clip" else None,
                train_frames=preset.frames,
                seed=0,
                sketches=TASKS[self.task].sketch,
            )
        )
        return splits.training, preset if splits.classes is None else preset.sketching(len(splits.classes))

    def session(self, checkpoint: Path, out: Path, device: str, **more: Any) -> None:
        """Score a checkpoint by the task's session into ``out``. Samples are those of seed 0, whatever the training's was."""
        options = SESSIONS[self.task].options
        known = {each.name for each in fields(options)}
        asked = {
            "checkpoint": checkpoint,
            "out": out,
            "device": device,
            "num": self.num,
            "data": self.data,
            "root": None if self.root is None else Path(self.root),
            "weights": None if self.weights is None else Path(self.weights),
            "table": False,
            "way": self.way,
            "unseen": False,
            "candidates": 1,
            **more,
        }
        SESSIONS[self.task].run(options(**{name: value for name, value in asked.items() if name in known}))


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Config of ``tokenizers``."""

    setting: Setting
    sha256: str  # of the preset's tokenizers


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Config of ``train_model``."""

    setting: Setting
    fingerprint: str
    tokenizers: str  # folder name of the cell that trained them


@dataclass(frozen=True, kw_only=True)
class OfTrained:
    """Config of a cell that needs a trained model: ``score``, and :func:`evaluation.ablations.costs.costs`."""

    setting: Setting
    trained: str  # folder name of its cell
    references: bool = False  # whether the row of an untrained model, which belongs to all, is wanted too


def tokenizers_sha256(preset: Preset) -> str:
    """Digest of how the tokenizers of a preset are trained."""
    return hashlib.sha256(repr((preset.tokenizer, preset.sketch, preset.frames)).encode()).hexdigest()[:16]


def tokenizers(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Train the tokenizers; the one step of a model that belongs to the usual way there is thrown away."""
    setting = strict.decode(Shared, config).setting
    preset = setting.resolve(seed)
    data, preset = setting.data_for(preset)
    once = replace(preset, transformer=replace(preset.transformer, steps=1, lead=0))
    prepare(once, data(), folder / "training", pick_device(device))
    shutil.rmtree(folder / "training" / "transformer")


def train_model(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Train a model with the shared tokenizers: ``training/`` and ``checkpoint/``."""
    given = strict.decode(Trained, config)
    setting = given.setting
    if setting.fingerprint != given.fingerprint:
        raise ValueError(
            f"preset {setting.preset}: expected the one of fingerprint {given.fingerprint}, got {setting.fingerprint}; the "
            "code changed since the cell was made, start the ablation again"
        )
    share(folder.parent / given.tokenizers / "training", folder / "training")
    data, preset = setting.data_for(setting.resolve(seed))
    chosen = pick_device(device)
    # A cell's threads are its share of the cores; others train beside it.
    workers = min(usual_workers(chosen), torch.get_num_threads())
    train(preset, data(), folder, chosen, provenance(chosen, {"training": seed}).environment, workers=workers)


def score(config: Mapping[str, Any], _seed: int, folder: Path, device: str) -> None:
    """Score a trained model by the session of its task, which leaves ``record.json`` and ``replicates.npz``."""
    given = strict.decode(OfTrained, config)
    checkpoint = folder.parent / given.trained / "checkpoint"
    given.setting.session(checkpoint, folder, device, untrained=given.references)


def share(source: Path, target: Path) -> None:
    """Copy trained tokenizers to where a training finds its own, each whole or not at all. ValueError where there are none."""
    if not (source / SHARED[0] / WEIGHTS).is_file():
        raise ValueError(f"{source}: expected the shared tokenizers, found none; run the ablation's command again")
    target.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        part = target / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        if (source / name).is_dir() and not (target / name).exists():
            shutil.copytree(source / name, part)
            part.rename(target / name)
