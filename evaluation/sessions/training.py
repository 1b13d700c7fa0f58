"""What a training took, kept beside the checkpoint, so that every later run that uses it can say so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from evaluation import strict
from evaluation.records import Environment, PeakMemory
from nuwa import files
from nuwa.system import MODEL_FILE
from nuwa.training.loop import LOG

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
