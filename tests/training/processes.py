"""Small trainings in several processes: ``torchrun … processes.py JOBS``, and how tests start it.

A job is JSON: the stage's name, its settings, the folder, the number of steps, and where it is to be stopped or to die.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]


def launch(processes: int, jobs: list[dict[str, Any]], timeout_s: float = 250) -> subprocess.CompletedProcess[str]:
    """Run jobs one after the other in so many processes of one machine."""
    return subprocess.run(
        command(processes, jobs), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=timeout_s
    )


def command(processes: int, jobs: list[dict[str, Any]]) -> list[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *torchrun, str(Path(__file__)), json.dumps(jobs)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def job(name: str, folder: Path, steps: int, **more: Any) -> dict[str, Any]:
    """``stop`` is the step before which all are interrupted, ``die`` one process and the step in which it is killed."""
    return {"name": name, "folder": str(folder), "steps": steps, "settings": {}, **more}


class Watched:
    """A stage in which something happens at a step."""

    def __init__(self, stage: Any, job: dict[str, Any]) -> None:
        self.stage, self.job = stage, job

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stage, name)

    def step(self, index: int) -> dict[str, Tensor]:
        if index == self.job.get("stop"):
            raise KeyboardInterrupt
        if index == self.job.get("tell"):
            os.write(1, b"training\n")  # at once: the processes share their output
        if self.job.get("die") == [int(os.environ["RANK"]), index]:
            os.kill(os.getpid(), signal.SIGKILL)
        scalars: dict[str, Tensor] = self.stage.step(index)
        return scalars


def run(jobs: list[dict[str, Any]]) -> None:
    from stages import CPU, STAGES  # beside this file, which torchrun runs as a script

    from nuwa.training.group import group
    from nuwa.training.loop import fit

    torch.set_num_threads(1)
    with group(CPU):
        for each in jobs:
            stage = Watched(STAGES[each["name"]](**each["settings"]), each)
            stopping = contextlib.suppress(KeyboardInterrupt) if "stop" in each else contextlib.nullcontext()
            with stopping:
                fit(
                    stage, Path(each["folder"]), steps=each["steps"], seed=3, log_every=1, validate_every=4,
                    save_s=each.get("save_s", 0),
                )  # fmt: skip


if __name__ == "__main__":
    from nuwa.errors import run_cli

    sys.exit(run_cli(lambda arguments: run(json.loads(arguments[0]))))
