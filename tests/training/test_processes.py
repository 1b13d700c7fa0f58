"""Several processes train what one trains: the same losses, checkpoints that any number of them goes on from, no hanging."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nuwa.training import checkpoint, distributed
from nuwa.training.distributed import parts
from nuwa.training.loop import LOG

from .processes import ROOT, command, environment, job, launch
from .stages import STAGES, STEPS, last_step, outcome, train

ADAM = {"optimizer": "adam"}
"""Muon computes in bfloat16, in which the last bits of a gradient count."""

SPREAD: dict[str, tuple[str, dict[str, Any]]] = {
    "tokenizer": ("tokenizer", {"quantise_from": 0.0}),
    "sketch tokenizer": ("sketch tokenizer", {"quantise_from": 0.0, "accumulate": 2}),
    "ddp": ("eight tasks", ADAM | {"parallel": "ddp", "checkpoint_activations": True}),
    "fsdp": ("eight tasks", ADAM | {"parallel": "fsdp", "checkpoint_activations": True, "ema": 0.9}),
}
"""What is trained in two processes: a stage and its settings.

Tokens are there from the first step on: k-means makes other codes of vectors that differ by rounding.
"""


def steps_of(name: str) -> int:
    return STEPS[SPREAD[name][0]]


def stage_of(name: str) -> Any:
    stage, settings = SPREAD[name]
    return STAGES[stage](**settings)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two processes: ``whole``, ``parts``, which was stopped and went on, and ``stopped``, which did not."""
    root = tmp_path_factory.mktemp("two")
    jobs = []
    for name, (stage, settings) in SPREAD.items():
        steps, more = steps_of(name), {"settings": settings}
        jobs.append(job(stage, root / name / "whole", steps, save_s=1e9, **more))
        jobs.append(job(stage, root / name / "parts", steps, stop=steps - 5, **more))
        jobs.append(job(stage, root / name / "parts", steps, save_s=1e9, **more))
        jobs.append(job(stage, root / name / "stopped", steps, stop=4, **more))
    done = launch(2, jobs)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in one process, in ``<name>``."""
    root = tmp_path_factory.mktemp("one")
    torch.set_num_threads(1)
    for name in SPREAD:
        train(stage_of(name), root / name, steps_of(name), save_s=1e9)
    return root


def check_same(found: Path, expected: Path, rel: float = 0.0, *, absolute: float = 0.0, since: int = 0) -> None:
    """Losses agree at every step after ``since``."""
    lines, wanted = outcome(found)[1][since:], outcome(expected)[1][since:]
    assert [line["step"] for line in lines] == [line["step"] for line in wanted]
    for line, other in zip(lines, wanted, strict=True):
        assert line.keys() == other.keys()
        assert line["loss"] == pytest.approx(other["loss"], rel=rel, abs=absolute), line["step"]


def rounding(name: str) -> float:
    """How far apart the losses may be: a tokenizer chooses codes, and now and then another one."""
    return 1e-2 if "tokenizer" in name else 1e-4


@pytest.mark.parametrize("name", SPREAD)
def test_two_processes_train_as_one_does(name: str, one: Path, two: Path) -> None:
    check_same(two / name / "whole", one / name, rounding(name))


@pytest.mark.parametrize("name", SPREAD)
def test_two_that_were_stopped_end_as_two_that_were_not(name: str, two: Path) -> None:
    assert outcome(two / name / "parts") == outcome(two / name / "whole")


@pytest.mark.parametrize("name", SPREAD)
def test_one_goes_on_from_a_checkpoint_of_two(name: str, two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / name / "stopped", tmp_path / "run")
    assert last_step(tmp_path / "run") == 4
    train(stage_of(name), tmp_path / "run", steps_of(name))
    check_same(tmp_path / "run", two / name / "whole", rounding(name))


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_the_weights_are_whole(name: str, one: Path, two: Path) -> None:
    """However they were spread, the file is that of one process, to rounding."""
    files = [folder / checkpoint.WEIGHTS for folder in (two / name / "whole", one / name)]
    assert checkpoint.read_config(files[0]) == checkpoint.read_config(files[1])
    found, expected = map(load_file, files)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].shape == value.shape
        # Adam makes whole steps of gradients that are nothing but rounding, such as those of the keys' biases.
        assert (found[key] - value).abs().median() < 1e-4, key


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_fifty_steps_of_two_and_three(parallel: str, tmp_path: Path) -> None:
    """One and two processes have the same losses, and so have one and three that go on from a checkpoint of two."""
    settings = ADAM | {"steps": 50, "batch": 12, "parallel": parallel}
    stopped, done = tmp_path / "stopped", []
    done.append(launch(2, [
        job("eight tasks", tmp_path / "two", 50, settings=settings, save_s=1e9),
        job("eight tasks", stopped, 50, settings=settings, stop=30),
    ]))  # fmt: skip
    assert done[-1].returncode == 0, done[-1].stderr
    shutil.copytree(stopped, tmp_path / "three")
    done.append(launch(3, [job("eight tasks", tmp_path / "three", 50, settings=settings, save_s=1e9)]))
    assert done[-1].returncode == 0, done[-1].stderr
    train(STAGES["eight tasks"](**settings), tmp_path / "one", 50, save_s=1e9)
    train(STAGES["eight tasks"](**settings), stopped, 50, save_s=1e9)
    for name in ("two", "three", "stopped"):
        check_same(tmp_path / name, tmp_path / "one", rel=1e-5)
    for name in ("three", "stopped"):
        check_same(tmp_path / name, tmp_path / "two", absolute=1e-6, since=30)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_compiled_layers_in_two_processes(parallel: str, tmp_path: Path) -> None:
    """Also where their insides are computed anew."""
    settings = ADAM | {"steps": 3, "parallel": parallel, "dropout": 0.0}  # compiled, other numbers are drawn
    more = {"compile": True, "checkpoint_activations": True}
    done = launch(2, [job("transformer", tmp_path / "two", 3, settings=settings | more, save_s=1e9)], timeout_s=550)
    assert done.returncode == 0, done.stderr
    train(STAGES["transformer"](**settings), tmp_path / "one", 3, save_s=1e9)
    check_same(tmp_path / "two", tmp_path / "one", rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_that_dies_ends_the_others_with_its_name(tmp_path: Path) -> None:
    began = time.monotonic()
    done = launch(3, [job("transformer", tmp_path, 200, settings={"steps": 200}, die=[1, 20])])
    assert time.monotonic() - began < 90  # a minute, and the start
    assert done.returncode != 0
    assert re.search(r"error: lost process 1 \(.*, pid \d+\); its own message says why, and the last", done.stderr)
    assert last_step(tmp_path) == 20
    assert not (tmp_path / checkpoint.WEIGHTS).exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_signal_to_torchrun_leaves_a_checkpoint(tmp_path: Path) -> None:
    jobs = [job("transformer", tmp_path, 2000, settings={"steps": 2000}, save_s=1e9, tell=5)]
    with subprocess.Popen(
        command(2, jobs), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert re.search(r"stopped by SIGTERM with a checkpoint of step \d+; the same command goes on from there", errors)
    assert last_step(tmp_path) >= 5
    assert len((tmp_path / LOG).read_text().splitlines()) == last_step(tmp_path)


@pytest.mark.parametrize(("world", "accumulate", "size"), [(1, 1, 5), (2, 1, 5), (3, 2, 7), (4, 1, 4), (1, 4, 64)])
def test_parts_are_the_batch(monkeypatch: pytest.MonkeyPatch, world: int, accumulate: int, size: int) -> None:
    rows: list[int] = []
    monkeypatch.setattr(distributed, "world", lambda: world)
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        found = parts(size, accumulate)
        assert len(found) == accumulate
        assert {len(part) for part in found} <= {size // (world * accumulate), -(-size // (world * accumulate))}
        rows += [row for part in found for row in part]
    assert rows == list(range(size))


@pytest.mark.parametrize(("world", "accumulate"), [(9, 1), (3, 3), (1, 9)])
@pytest.mark.parametrize("name", STAGES)
def test_more_processes_than_samples_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, world: int, accumulate: int
) -> None:
    monkeypatch.setattr(distributed, "world", lambda: world)
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    message = rf"expected at least one sample for each of {world} processes times {accumulate} parts, got a batch of"
    with pytest.raises(ValueError, match=message):
        STAGES[name](accumulate=accumulate)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_signal_to_each_process_ends_them_with_a_code_to_requeue_on(tmp_path: Path) -> None:
    """As SLURM starts and ends them: without torchrun, by the variables that it would set."""
    jobs = [job("transformer", tmp_path, 2000, settings={"steps": 2000}, save_s=1e9, tell=5)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, str(ROOT / "tests" / "training" / "processes.py"), json.dumps(jobs)]
    processes = [
        subprocess.Popen(
            script, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment() | {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
        )
        for rank in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
    processes[1].send_signal(signal.SIGUSR1)  # one is enough: all end after the same step
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [75, 75], outcomes
    assert "stopped by SIGUSR1 with a checkpoint of step" in outcomes[1][1]
    assert "stopped by a signal to another process with a checkpoint of step" in outcomes[0][1]
    assert last_step(tmp_path) >= 5


def test_muon_needs_whole_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nuwa.training.transformer.world", lambda: 2)
    with pytest.raises(ValueError, match="parallel: expected ddp with the optimizer muon, which needs whole matrices"):
        STAGES["transformer"](parallel="fsdp")


def test_another_way_than_these_is_refused() -> None:
    with pytest.raises(ValueError, match="parallel: expected ddp or fsdp, got 'zero'"):
        STAGES["transformer"](parallel="zero")
