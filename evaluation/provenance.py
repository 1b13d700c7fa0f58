"""What a run ran on: versions, device and precision, the commit of the project's own tree, the command, memory.

Taken at the start of a run, when the code that will run is the code on disk; memory is read at the end.
"""

from __future__ import annotations

import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.records import Environment, GitState, PeakMemory

_ROOT = Path(__file__).resolve().parents[1]


class ProvenanceWarning(UserWarning):
    """Something that should be in the record could not be found out and is left ``null``."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The part of a record that is known when the run begins; field names are those of the record."""

    environment: Environment
    git: GitState
    command: str
    seeds: Mapping[str, int]


def provenance(device: torch.device | str, seeds: Mapping[str, int], dtype: torch.dtype = torch.float32) -> Provenance:
    """Take down where and how this process runs; ``dtype`` is the type the model computes in."""
    return Provenance(
        environment=environment(device, dtype), git=git_state(), command=command_line(), seeds=dict(seeds)
    )


def environment(device: torch.device | str, dtype: torch.dtype = torch.float32) -> Environment:
    """Versions, the device with the name of its chip, the number of CPU threads and the precision flags in force."""
    device = torch.device(device)
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=f"{device.type} ({_chip(device)})",
        threads=torch.get_num_threads(),
        precision=precision(device, dtype),
    )


def precision(device: torch.device | str, dtype: torch.dtype = torch.float32) -> str:
    """The number format in words: ``'float32'``, on CUDA also how float32 products and convolutions are rounded."""
    name = str(dtype).removeprefix("torch.")
    if torch.device(device).type != "cuda" or dtype != torch.float32:
        return name
    rules = (
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
    )
    matmul, conv = ("ieee" if rule == "none" else rule for rule in rules)  # "none": nothing was asked for
    return f"{name} (matmul {matmul}, convolution {conv})"


def git_state(root: str | Path = _ROOT) -> GitState:
    """Commit of the checkout at ``root`` and whether any file, untracked ones included, differs from it.

    Both ``None`` where ``root`` is no checkout: a folder inside somebody else's repository does not take its commit.
    """
    root = Path(root)
    if not (root / ".git").exists() or shutil.which("git") is None:
        return GitState(commit=None, dirty=None)
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain"))
    except subprocess.CalledProcessError as error:
        warnings.warn(
            f"git cannot read {root}: {error.stderr.strip()}; commit is null", ProvenanceWarning, stacklevel=2
        )
        return GitState(commit=None, dirty=None)
    return GitState(commit=commit, dirty=dirty)


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The line that starts this run again, quoted for a shell; the interpreter by its name, not by its place."""
    program, *rest = sys.orig_argv if arguments is None else arguments
    return shlex.join([Path(program).name, *rest])


def peak_memory(device: torch.device | str = "cpu") -> PeakMemory:
    """Peak memory so far in GiB: the largest of this process and its finished children, and what CUDA tensors took."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes on macOS, KiB elsewhere
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    device = torch.device(device)
    cuda = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return PeakMemory(host=max(peaks) * unit / 2**30, cuda=cuda)


def _git(root: Path, *arguments: str) -> str:
    # Git's own variables, set inside hooks, would point it at another repository; a container often runs as another
    # user than the one who owns the files.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(root), "-c", f"safe.directory={root}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout.strip()


def _chip(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
