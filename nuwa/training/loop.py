"""The loop that every training shares: steps, log lines, checkpoints, and going on where the last run stopped."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from nuwa import noise
from nuwa.errors import Preempted
from nuwa.progress import progress
from nuwa.settings import differing
from nuwa.training import checkpoint, state
from nuwa.training.bad_steps import BadSteps
from nuwa.training.best import Best
from nuwa.training.checkpoints import Checkpoints
from nuwa.training.distributed import agreed, on_first, rank
from nuwa.training.ema import Average
from nuwa.training.log import LOG, TrainingLog
from nuwa.training.meter import Meter, in_short
from nuwa.training.parallel import whole
from nuwa.training.stopping import StopSignals
from nuwa.training.watching import Watching, watched

__all__ = ["LOG", "Stage", "finished", "fit"]

SAVING = 20
"""A checkpoint is written at most so often that it takes one part in this many of the time."""


class Stage(Protocol):
    """Something to train. Its step must depend on the step's index and the modules' state alone, so that a run resumes."""

    @property
    def name(self) -> str:
        """What is trained, for the progress bar."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All that is trained; the one called ``model`` is what the finished training leaves."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimizers."""

    @property
    def config(self) -> dict[str, Any]:
        """Everything that shapes the result, as plain JSON values."""

    @property
    def ema(self) -> float | None:
        """Decay of the moving average of ``model`` that the training leaves in its place; None for the last weights."""

    @property
    def measure(self) -> str:
        """By which measure of :meth:`validate` the best weights are kept: lower is better, with ``-`` before it higher."""

    def tokens(self, index: int) -> int:
        """Tokens that step ``index`` reads in all processes together."""

    def flops(self, index: int) -> int | None:
        """Model FLOPs of step ``index``, which was done last, in all processes together; None where nobody counts them."""

    def sheet(self) -> Image.Image | None:
        """Samples of what is trained, as it is now, to look at; all processes ask together, and process 0 gets them."""

    def step(self, index: int) -> dict[str, Tensor]:
        """One optimizer step; scalars to log, of them ``loss``, and ``gradient_norm`` where it is known.

        Where one of these two is not finite the step has changed nothing.
        """

    def validate(self) -> dict[str, float]:
        """Measures on held-out data."""


def fit(
    stage: Stage,
    folder: Path,
    *,
    steps: int,
    seed: int,
    log_every: int = 25,
    validate_every: int = 250,
    save_s: float = 20,
    watching: Watching = Watching(),
) -> None:
    """Train ``stage`` for so many steps, or go on with the training that ``folder`` holds.

    Leaves ``weights.safetensors``, ``log.jsonl`` and the best weights (:mod:`nuwa.training.best`). A run that was stopped at
    any moment goes on from its last checkpoint and ends with the same weights. Checkpoints are written every ``save_s``
    seconds, after every step where that is 0, and less often where writing takes long; ``watching`` says how many stay, and
    what is shown. SIGTERM and SIGUSR1 write one and end the run: :class:`nuwa.errors.Preempted`. Single steps without a finite
    loss are left out and counted (:mod:`nuwa.training.bad_steps`). ValueError where the folder holds a training of another
    config.
    """
    checkpoints, log = Checkpoints(folder, keep=watching.keep), TrainingLog(folder)
    best = Best(folder, keep=watching.keep_best, measure=stage.measure)
    average = None if stage.ema is None else Average(stage.modules["model"], stage.ema)
    bad, meter = BadSteps(name=stage.name), Meter()
    start, spent_s = _resume(stage, average, bad, checkpoints)
    on_first(lambda: log.begin(start))
    best.begin(start)
    began = time.monotonic() - spent_s
    pace = _Pace(save_s)
    screen = watched(watching, folder, stage.name, stage.config, start)
    with progress(None, stage.name, total=steps, unit="steps") as bar, StopSignals() as signals, screen as shown:
        bar.update(start)
        for index in range(start, steps):
            torch.manual_seed(noise.key("step", seed, stage.name, index) >> 1)
            meter.begin()
            scalars = stage.step(index)
            done = index + 1
            good = not bad.count(done, scalars)
            if average is not None and good:
                average.update(index)
            meter.end(stage.tokens(index), stage.flops(index) if meter.counts else None)
            bar.update(1)
            if done % log_every == 0 or done == steps:
                line = _finite(stage, done, scalars, good) | bad.line() | meter.read()
                if done % validate_every == 0 or done == steps:
                    with _left(average):
                        line |= stage.validate()
                        best.offer(done, line, lambda: _weights(stage), stage.config)
                if rank() == 0:
                    line = {"time_s": round(time.monotonic() - began, 2), **line}
                    log.write({"step": done, **line})
                    shown.line(done, line)
                bar.set_postfix_str(in_short(line), refresh=False)
            if watching.samples_every and done % watching.samples_every == 0:
                with _left(average):
                    shown.sheet(done, stage.sheet())
            stop, due = agreed(signals.received is not None, pace.due() and rank() == 0)
            if (stop or due) and done < steps:
                about = {"time_s": time.monotonic() - began, "config": stage.config, "bad_steps": vars(bad)}
                with pace.measured():
                    checkpoints.save(done, state.tensors(stage, average), about)
                if stop:
                    step = checkpoints.newest_step()  # the disk may have been full
                    raise Preempted(f"{stage.name}: stopped by {signals} with a checkpoint of step {step}; {_AGAIN}")
        if average is not None:
            average.replace()
        weights = _weights(stage)
        on_first(lambda: checkpoint.save_tensors(folder / checkpoint.WEIGHTS, weights, stage.config))
        checkpoints.remove()
        if agreed(signals.received is not None)[0]:
            raise Preempted(f"{stage.name}: stopped by {signals} when it was finished; {_AGAIN}")


_AGAIN = "the same command goes on from there"


def finished(folder: Path, config: dict[str, Any]) -> bool:
    """Whether ``folder`` holds the finished training of ``config``. ValueError where it holds another one."""
    path = folder / checkpoint.WEIGHTS
    if not path.exists():
        return False
    _check_same(folder, checkpoint.read_config(path), config)
    return True


def _resume(stage: Stage, average: Average | None, bad: BadSteps, checkpoints: Checkpoints) -> tuple[int, float]:
    """Step and seconds from which the training goes on."""
    checkpoints.tidy()
    if (newest := checkpoints.newest()) is not None:
        _check_same(checkpoints.folder.parent, newest.about["config"], stage.config)
    if (found := checkpoints.newest_whole()) is None:
        return 0, 0.0
    _check_same(checkpoints.folder.parent, found.about["config"], stage.config)
    checkpoints.load(found, lambda shapes: state.targets(stage, average, shapes))
    bad.total, bad.in_a_row = found.about["bad_steps"]["total"], found.about["bad_steps"]["in_a_row"]
    return found.about["step"], found.about["time_s"]


def _finite(stage: Stage, step: int, scalars: Mapping[str, Tensor], good: bool) -> dict[str, float]:
    """What a line says of a step. FloatingPointError where a good one logs what is no finite number."""
    line = {name: float(value) for name, value in scalars.items()}
    if good and not all(map(math.isfinite, line.values())):
        raise FloatingPointError(f"{stage.name}: step {step} gave {line}; lower the learning rate")
    return {name: value for name, value in line.items() if math.isfinite(value)}


def _left(average: Average | None) -> AbstractContextManager[None]:
    """Inside, the model has the weights that the training would leave."""
    return contextlib.nullcontext() if average is None else average.shown()


def _weights(stage: Stage) -> dict[str, Tensor]:
    """Those of the model, whole, in every process."""
    return {name: whole(value) for name, value in stage.modules["model"].state_dict().items()}


def _check_same(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if different := differing(found, wanted):
        raise ValueError(
            f"{folder} holds a training with other settings ({', '.join(different)}); "
            "give this one a folder of its own with --out, or remove that folder"
        )


class _Pace:
    """When the next checkpoint is due."""

    def __init__(self, save_s: float) -> None:
        self._save_s, self._took_s, self._last = save_s, 0.0, time.monotonic()

    def due(self) -> bool:
        """Whether it is now: with 0 s always."""
        wait_s = max(self._save_s, SAVING * self._took_s) if self._save_s else 0.0
        return time.monotonic() - self._last > wait_s or not wait_s

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Around the writing of one."""
        began = time.monotonic()
        yield
        self._last = time.monotonic()
        self._took_s = self._last - began
