"""What a training took, kept beside the checkpoint, so that every later run that uses it can say so."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation import strict
from evaluation.provenance import peak_memory
from evaluation.records import Environment, PeakMemory
from evaluation.sessions.route import training_backend
from nuwa import files
from nuwa.presets import Preset
from nuwa.system import MODEL_FILE, Nuwa
from nuwa.training.loop import LOG
from nuwa.training.prepare import TrainingData, prepare

FILE = "training.json"
SCHEMA = "nuwa-training-1"


@dataclass(frozen=True, kw_only=True)
class Training:
    """Figures of one training. Where it was stopped and went on, memory is that of the last part alone."""

    preset: str
    checkpoint_sha256: str
    train_s: float
    peak_memory_gib: PeakMemory
    attention_backend: str  # of the decoder's self-attention
    environment: Environment
    schema: str = SCHEMA

    def save(self, checkpoint: Path) -> None:
        """Write ``training.json`` into a checkpoint's folder."""
        strict.write(checkpoint / FILE, self)


def train(
    preset: Preset,
    data: TrainingData,
    out: Path,
    device: torch.device,
    environment: Environment,
    *,
    shards: Path | None = None,
    tokenizer: Path | None = None,
    workers: int | None = None,
) -> tuple[Nuwa, Training, bool]:
    """The preset's system, what its training took, and whether that was now rather than in an earlier run.

    What is not trained yet is trained, into ``out/training`` and ``out/checkpoint``; ``workers`` processes read ahead.
    """
    checkpoint, began = out / "checkpoint", time.monotonic()
    system = prepare(preset, data, out / "training", device, shards=shards, given_tokenizer=tokenizer, workers=workers)
    system.save_pretrained(checkpoint)
    if (kept := read_training(checkpoint)) is not None:
        return system, kept, False
    config = system.model.config
    took = Training(
        preset=preset.name,
        checkpoint_sha256=files.sha256(checkpoint / MODEL_FILE),
        train_s=round(max(time.monotonic() - began, logged_s(out / "training")), 2),
        peak_memory_gib=peak_memory(device),
        attention_backend=training_backend(config, config.grid, preset.transformer.precision, device),
        environment=environment,
    )
    took.save(checkpoint)
    return system, took, True


def read_training(checkpoint: Path) -> Training | None:
    """The figures beside a checkpoint; None where there are none, or those of another one."""
    if not (checkpoint / FILE).is_file():
        return None
    kept = strict.read(checkpoint / FILE, Training, SCHEMA)
    return kept if kept.checkpoint_sha256 == files.sha256(checkpoint / MODEL_FILE) else None


def logged_s(folder: Path) -> float:
    """Seconds that the finished trainings in ``folder`` took, all their parts together, by their logs."""
    last = [path.read_text(encoding="utf-8").splitlines()[-1:] for path in folder.glob(f"*/{LOG}")]
    return sum(float(json.loads(lines[0])["time_s"]) for lines in last if lines)


def most(first: PeakMemory, second: PeakMemory) -> PeakMemory:
    """The larger peak of host and device."""
    cuda = [each.cuda for each in (first, second) if each.cuda is not None]
    return PeakMemory(host=max(first.host, second.host), cuda=max(cuda) if cuda else None)
