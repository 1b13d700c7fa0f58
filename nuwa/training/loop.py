"""The loop that every training shares: steps, log lines, checkpoints, and going on where the last run stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nuwa import files, noise
from nuwa.progress import progress
from nuwa.settings import differing
from nuwa.training import checkpoint

LOG = "log.jsonl"


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

    def step(self, index: int) -> dict[str, Tensor]:
        """One optimizer step; scalars to log."""

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
) -> None:
    """Train ``stage`` for so many steps, or go on with the training that ``folder`` holds.

    Leaves ``weights.safetensors`` and ``log.jsonl``. A run that was stopped at any moment goes on from its last
    checkpoint, written every ``save_s`` seconds, and ends with the same weights. ValueError where the folder holds a
    training of another config.
    """
    start, spent_s = _resume(stage, folder)
    began = time.monotonic() - spent_s
    saved = time.monotonic()
    with progress(None, stage.name, total=steps, unit="steps") as bar:
        bar.update(start)
        for index in range(start, steps):
            torch.manual_seed(noise.key("step", seed, stage.name, index) >> 1)
            scalars = stage.step(index)
            done = index + 1
            bar.update(1)
            if done % log_every == 0 or done == steps:
                line = {name: float(value) for name, value in scalars.items()}
                if not all(map(math.isfinite, line.values())):
                    raise FloatingPointError(f"{stage.name}: step {done} gave {line}; lower the learning rate")
                if done % validate_every == 0 or done == steps:
                    line |= stage.validate()
                _log(folder, {"step": done, "time_s": round(time.monotonic() - began, 2), **line})
                bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            if time.monotonic() - saved > save_s and done < steps:
                _save(stage, folder, done, time.monotonic() - began)
                saved = time.monotonic()
    checkpoint.save_weights(folder / checkpoint.WEIGHTS, stage.modules["model"], stage.config)
    (folder / checkpoint.STATE).unlink(missing_ok=True)


def finished(folder: Path, config: dict[str, Any]) -> bool:
    """Whether ``folder`` holds the finished training of ``config``. ValueError where it holds another one."""
    path = folder / checkpoint.WEIGHTS
    if not path.exists():
        return False
    _check_same(folder, checkpoint.read_config(path), config)
    return True


def _resume(stage: Stage, folder: Path) -> tuple[int, float]:
    for part in folder.glob(".*.part"):  # of a run that was killed while it wrote; the folder belongs to one run
        part.unlink()
    path = folder / checkpoint.STATE
    if not path.exists():
        (folder / LOG).unlink(missing_ok=True)
        return 0, 0.0
    state = checkpoint.load_state(path)
    _check_same(folder, json.loads(state["config"]), stage.config)
    for name, module in stage.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in stage.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    _trim_log(folder, state["step"])
    return state["step"], state["time_s"]


def _save(stage: Stage, folder: Path, step: int, time_s: float) -> None:
    state = {
        "step": step,
        "time_s": time_s,
        "config": json.dumps(stage.config, sort_keys=True),
        "modules": {name: module.state_dict() for name, module in stage.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in stage.optimizers.items()},
    }
    checkpoint.save_state(folder / checkpoint.STATE, state)


def _check_same(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if different := differing(found, wanted):
        raise ValueError(
            f"{folder} holds a training with other settings ({', '.join(different)}); "
            "give this one a folder of its own with --out, or remove that folder"
        )


def _log(folder: Path, line: dict[str, float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")


def _trim_log(folder: Path, step: int) -> None:
    # Lines after the checkpoint will be written again; the last one may be cut short.
    path = folder / LOG
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            break
    files.write_text(path, "".join(kept))
