"""How the processes of a training find each other, and how they notice that one of them is gone.

``torchrun`` starts them and says in the environment who is who; without it there is one, and nothing here does anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist

from nuwa.errors import ProcessLost

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for another that is alive and does not answer."""

ROLL_CALL_S = 20.0
"""How long the others are given to answer where the connection to one broke."""


@contextlib.contextmanager
def group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started; gives this one's device.

    :class:`nuwa.errors.ProcessLost` names a process that ended while others went on. ValueError where this machine has
    fewer GPUs than processes.
    """
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1:
        yield device
        return
    if device.type == "cuda":
        device = _own_gpu(int(os.environ["LOCAL_RANK"]), torch.cuda.device_count())
        torch.cuda.set_device(device)
    store, rank, world = next(dist.rendezvous("env://", timeout=TIMEOUT))
    roll = dist.PrefixStore("roll call", store)
    roll.set(f"name {rank}", f"{socket.gethostname()}, pid {os.getpid()}")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    try:
        yield device
    except RuntimeError as error:
        if not _broken(error):
            raise
        # torchrun asks the others to end at once, and gives them 30 s to say why.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if lost := _lost(roll, rank, world):
            why = "its own message says why, and the last checkpoint is whole"
            raise ProcessLost(f"lost {', '.join(lost)}; {why}") from error
        raise
    finally:
        with contextlib.suppress(RuntimeError):  # of a group that is broken already
            dist.destroy_process_group()


def _own_gpu(process: int, gpus: int) -> torch.device:
    """The GPU of a process of this machine. ValueError where there are more processes than GPUs."""
    if process >= gpus:
        raise ValueError(
            f"processes: expected one for each GPU of this machine, which shows {gpus}, got number {process + 1}; start "
            f"torchrun with --nproc-per-node {gpus}, let every process see all GPUs, or pass --device cpu"
        )
    return torch.device("cuda", process)


def _broken(error: RuntimeError) -> bool:
    """Whether a connection broke: gloo says so in words, NCCL by the type."""
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection" in str(error)


def _lost(roll: dist.Store, rank: int, world: int) -> list[str]:
    """Names of the processes that do not answer, none where all do."""
    try:
        roll.set(f"here {rank}", "")
        end = time.monotonic() + ROLL_CALL_S
        missing = [other for other in range(world) if other != rank]
        while missing and time.monotonic() < end:
            time.sleep(0.1)
            missing = [other for other in missing if not roll.check([f"here {other}"])]
        return [f"process {other} ({roll.get(f'name {other}').decode()})" for other in missing]
    except RuntimeError:  # the store was kept by the process that is gone
        return ["process 0"]
