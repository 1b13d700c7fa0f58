"""Writers killed at any moment leave nothing half done, and gone on with they give the bytes of a run never stopped."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from made_shards import content, killing, many, write

from nuwa.data.shards import verify
from nuwa.data.shards.claims import Claims
from nuwa.data.shards.layout import read_receipt

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
MOMENTS = {
    "encode": range(0, 10, 3),  # before the first batch, in the middle of a shard
    "rename": range(0, 17, 2),  # of plan, records, lines, receipts and manifest: 17 in all
    "fsync": range(1, 17, 2),
}


def killed(call: str, moment: int, folder: Path) -> None:
    """A writer that ends at its own hand."""
    target, name = {
        "encode": ("nuwa.data.shards.encode.VQGAN", "encode"),
        "rename": ("nuwa.files.Path", "replace"),
        "fsync": ("nuwa.files.os", "fsync"),
    }[call]
    owner = _resolve(target)
    setattr(owner, name, killing(getattr(owner, name), moment))
    write(folder)
    os._exit(0)


def _resolve(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(sys.modules[module], name)


@pytest.mark.parametrize(
    ("call", "moment"), [(call, moment) for call, moments in MOMENTS.items() for moment in moments]
)
def test_killed_at_a_fixed_moment(call: str, moment: int, folder: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=killed, args=(call, moment, tmp_path))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    whole = content(folder)
    for name, data in content(tmp_path).items():
        assert name.endswith(".part") or data == whole[name]  # what has its name is whole
    done = [shard for shard in range(5) if read_receipt(tmp_path, shard) is not None]
    found = write(tmp_path)
    assert (found.kept, found.damaged, found.elsewhere) == (tuple(done), (), ())
    left = {name for name in content(tmp_path) if name.endswith(".part")}
    assert {name: data for name, data in content(tmp_path).items() if name not in left} == whole
    assert left <= {name for name in left if name.startswith((".plan", ".manifest"))}


def hold(folder: Path, holding: Any) -> None:
    """Claim shard 1 until it is killed."""
    with Claims(folder).on(1) as mine:
        assert mine
        holding.set()
        time.sleep(60)


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    holding = context.Event()
    process = context.Process(target=hold, args=(tmp_path, holding))
    process.start()
    assert holding.wait(30)
    claims = Claims(tmp_path)
    given = []
    for shard in (1, 0, 2):
        with claims.on(shard) as mine:
            given.append(mine)
    assert given == [False, True, True]
    process.kill()
    process.join()
    with claims.on(1) as mine:
        assert mine
    claims.close()


def start(folder: Path, writers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "made_shards", str(folder), str(writers)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path})


def receipts(folder: Path) -> int:
    return len(list(folder.glob("[0-9]*.json")))


def writers_of(pid: int) -> list[int]:
    """Processes below ``pid``."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] + [pid for child in found for pid in writers_of(int(child))]


@pytest.mark.slow
@pytest.mark.parametrize("writers", [1, 2])
def test_killed_at_random_moments(writers: int, tmp_path: Path) -> None:
    """kill -9 of the command; its writers end with it, and whoever goes on gets the same bytes."""
    write(tmp_path / "whole", many(), samples_per_shard=50, views=("centre",))
    folder = tmp_path / "killed"
    for _ in range(4):
        process, before = start(folder, writers), receipts(folder)
        while process.poll() is None and receipts(folder) == before:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.1))
        children = writers_of(process.pid)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{child}").exists() for child in children)
        whole = content(tmp_path / "whole")
        assert all(data == whole[name] for name, data in content(folder).items() if not name.endswith(".part"))
    assert 0 < receipts(folder) < 30
    assert start(folder, writers).wait() == 0
    left = {name: data for name, data in content(folder).items() if not name.endswith(".part")}
    assert left == content(tmp_path / "whole")
    assert verify(folder) == 30
