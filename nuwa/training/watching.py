"""What one sees of a training while it goes on, and what stays of it: settings that change no result, and where numbers go."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nuwa import files
from nuwa.training.distributed import rank

SAMPLES = "samples"
"""Folder of the sheets of samples."""


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Settings of :func:`nuwa.training.loop.fit`. ValueError for numbers that cannot be."""

    samples_every: int = 0  # steps between two sheets of samples; 0 is none
    tensorboard: bool = True  # where it is installed
    wandb: str | None = None  # project of Weights & Biases, where it is asked for
    keep: int = 2  # newest checkpoints
    keep_best: int = 1  # weights that were best on held-out data

    def __post_init__(self) -> None:
        for name, least in (("samples_every", 0), ("keep", 1), ("keep_best", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if self.wandb is not None and importlib.util.find_spec("wandb") is None:
            raise ValueError("wandb: expected Weights & Biases to be installed, found none; pip install wandb")


class Board(Protocol):
    """Somewhere else than the log where numbers and pictures go."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """The line of the log at ``step``."""

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """A sheet of samples."""

    def close(self) -> None:
        """There is nothing more."""


def _wait_for_another_second(folder: Path) -> None:
    """Until no event file of the folder is of this second: names, by which they are read, order those of one by chance."""
    seconds = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")]
    while seconds and int(time.time()) == max(seconds):
        time.sleep(0.02)


class TensorBoard:
    """Event files in ``folder/tensorboard``: ``tensorboard --logdir FOLDER`` shows every training below it.

    What was written after ``start`` by a run that was stopped is forgotten, as in the log.
    """

    def __init__(self, folder: Path, start: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own imports
            from torch.utils.tensorboard import SummaryWriter
        _wait_for_another_second(folder / "tensorboard")
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """See :class:`Board`."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """See :class:`Board`."""
        self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")

    def close(self) -> None:
        """See :class:`Board`."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; a training that goes on in the same folder goes on with the same run."""

    def __init__(self, project: str, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        import wandb

        self._wandb = wandb
        key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._run = wandb.init(
            project=project, name=f"{folder.name}: {name}", id=key, dir=folder, config=dict(config), resume="allow"
        )
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """See :class:`Board`."""
        self._run.log({"step": step, **numbers})

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """See :class:`Board`."""
        self._run.log({"step": step, name: self._wandb.Image(picture)})

    def close(self) -> None:
        """See :class:`Board`."""
        self._run.finish()


class Shown:
    """All that shows a training."""

    def __init__(self, folder: Path, name: str, boards: Sequence[Board]) -> None:
        self.folder, self.name, self.boards = folder, name, boards

    def line(self, step: int, numbers: Mapping[str, float]) -> None:
        """A line of the log."""
        for board in self.boards:
            board.write(step, numbers)

    def sheet(self, step: int, picture: Image.Image | None) -> None:
        """Samples, to ``samples/<step>.png`` too; None where there are none. A full disk is a message."""
        if picture is None:
            return
        try:
            with files.atomic(self.folder / SAMPLES / f"{step:08d}.png") as temporary:
                picture.save(temporary, format="PNG")
        except files.StorageError as error:
            if not files.is_disk_full(error):
                raise
            print(f"no samples at step {step}: {error}", file=sys.stderr, flush=True)
        for board in self.boards:
            board.picture(step, self.name, picture)


@contextlib.contextmanager
def watched(watching: Watching, folder: Path, name: str, config: Mapping[str, Any], start: int) -> Iterator[Shown]:
    """What shows the training of ``name`` that begins at ``start``, on process 0; on others nothing does."""
    boards: list[Board] = []
    if rank() == 0:
        if watching.tensorboard and importlib.util.find_spec("tensorboard") is not None:
            boards.append(TensorBoard(folder, start))
        if watching.wandb is not None:
            boards.append(WandB(watching.wandb, folder, name, config))
    try:
        yield Shown(folder, name, boards)
    finally:
        for board in boards:
            board.close()
