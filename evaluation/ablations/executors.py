"""Where cells run: processes on this machine, or jobs of a cluster through submitit, which is an optional dependency.

Either way a cell is a process of its own that is handed a folder, so a cluster needs nothing but the same checkout and the same
file system.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evaluation.ablations.cells import LOG

ROOT = Path(__file__).resolve().parents[2]


class Job(Protocol):
    """A cell that was started."""

    def poll(self) -> int | None:
        """The worker's exit code, None while it runs; minus the signal where one ended it."""

    def stop(self) -> None:
        """End it at once; what it had on disk stays."""


class Executor(Protocol):
    """Starts cells."""

    @property
    def slots(self) -> int:
        """How many cells run at once."""

    def start(self, folder: Path) -> Job:
        """Start the cell of ``folder``."""

    def stop(self, jobs: Sequence[Job]) -> None:
        """End jobs whose runner ends. A cluster's go on by themselves: their results are found by the next run."""


def command(folder: Path, device: str) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, "-m", "evaluation.ablations.worker", str(folder), "--device", device]


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name for name in named.split(",") if name)
    return tuple(map(str, range(torch.cuda.device_count())))


@dataclass(kw_only=True)
class Local:
    """Processes on this machine, each with its share of the cores and, where there are several GPUs, one of them each.

    ``gpus`` are taken in turn, by the names that CUDA_VISIBLE_DEVICES gives them; with one, nothing is assigned.
    """

    slots: int = 1
    threads: int | None = None  # of each process; an equal share of the cores where not given
    device: str = "auto"
    gpus: Sequence[str] = ()
    _free: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"jobs: expected at least 1 cell at once, got {self.slots}")
        self._free.extend(range(self.slots))

    def start(self, folder: Path) -> LocalJob:
        """Start a process whose output goes to the folder's ``log.txt``; it ends when this process does."""
        slot = self._free.pop(0)
        threads = self.threads or max(1, num_cores() // self.slots)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        if len(self.gpus) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [*command(folder, self.device), "--with-parent"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return LocalJob(process, slot, self._free)

    def stop(self, jobs: Sequence[Job]) -> None:
        """End them all."""
        for job in jobs:
            job.stop()


class LocalJob:
    """A process that has a slot until it ends."""

    def __init__(self, process: subprocess.Popen[bytes], slot: int, free: list[int]) -> None:
        self._process, self._slot, self._free = process, slot, free
        self._ended = False

    def poll(self) -> int | None:
        """See :class:`Job`."""
        code = self._process.poll()
        if code is not None and not self._ended:
            self._ended = True
            self._free.append(self._slot)
            if self._process.stdin is not None:
                self._process.stdin.close()
        return code

    def stop(self) -> None:
        """See :class:`Job`."""
        self._process.kill()
        self._process.wait()
        self.poll()


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a cluster's job calls: a worker in a process of its own. submitit pickles it by its name and its command."""

    command: tuple[str, ...]
    log: str
    cwd: str = str(ROOT)

    def __call__(self) -> int:
        """The worker's exit code."""
        with Path(self.log).open("ab") as log:
            return subprocess.run(
                self.command, cwd=self.cwd, stdout=log, stderr=subprocess.STDOUT, check=False
            ).returncode

    def checkpoint(self) -> Any:
        """Called when the job is preempted or out of time: the same again, since all state is on disk."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


@dataclass(kw_only=True)
class Submitit:
    """Jobs of a cluster. ``cluster`` is submitit's: ``"slurm"``, or ``"local"`` and ``"debug"`` to try it without one."""

    folder: Path  # for submitit's scripts and logs, on a file system that all nodes see
    cluster: str = "slurm"
    slots: int = 64
    device: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of submitit.AutoExecutor.update_parameters
    _executor: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import submitit
        except ImportError as error:
            raise ValueError(
                "expected submitit for a cluster, found none; python -m pip install --group cluster"
            ) from error
        self._executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        self._executor.update_parameters(**self.parameters)

    def start(self, folder: Path) -> SubmititJob:
        """Submit the cell's worker."""
        work = Work(command=tuple(command(folder.resolve(), self.device)), log=str(folder.resolve() / LOG))
        return SubmititJob(self._executor.submit(work))

    def stop(self, jobs: Sequence[Job]) -> None:
        """Nothing: a cluster's jobs do not depend on who submitted them."""


class SubmititJob:
    """A submitted job."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def poll(self) -> int | None:
        """See :class:`Job`; a job that the cluster ended counts as killed."""
        if not self._job.done():
            return None
        error = self._job.exception()
        if error is None:
            code: int = self._job.result()
            return code
        return -signal.SIGKILL

    def stop(self) -> None:
        """See :class:`Job`."""
        self._job.cancel()
