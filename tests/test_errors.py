from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import pytest
import tyro

from nuwa.errors import Preempted, ProcessLost, run_cli
from nuwa.files import StorageError, write_text


@dataclass(frozen=True, kw_only=True)
class Options:
    batch_size: int = 4
    """Pictures per step."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected >= 1, got {self.batch_size}; choose 1 or more")


def refuse(error: BaseException):
    def main(arguments: list[str]) -> None:
        raise error

    return main


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/model.safetensors")


def chained() -> Exception:
    error = RuntimeError("writer failed")
    error.__cause__ = FULL
    return error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            ValueError("size_px: expected >= 1,\n  got 0"),
            2,
            "error: size_px: expected >= 1, got 0 (--debug shows where)\n",
        ),
        (StorageError("cannot write out.json: no"), 1, "error: cannot write out.json: no\n"),
        (FileNotFoundError(2, "No such file", "a.json"), 1, "error: No such file: a.json (--debug shows where)\n"),
        (FULL, 1, "error: disk full: runs/model.safetensors; free some space and run the same command again\n"),
        (chained(), 1, "error: disk full: runs/model.safetensors; free some space and run the same command again\n"),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            1,
            "error: disk full; free some space and run the same command again\n",
        ),
        (FloatingPointError("step 3 gave nan"), 1, "error: step 3 gave nan\n"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C\n"),
        (Preempted("stopped by SIGTERM"), 75, "stopped by SIGTERM\n"),
        (ProcessLost("lost process 1"), 1, "error: lost process 1\n"),
    ],
    ids=["value", "storage", "os", "full", "chained", "full-safetensors", "diverged", "interrupt", "preempted", "lost"],
)
def test_one_sentence_and_a_code(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(refuse(error), []) == code
    assert capsys.readouterr() == ("", sentence)


@pytest.mark.parametrize("error", [ValueError("no"), FULL, KeyboardInterrupt()], ids=["value", "full", "interrupt"])
def test_debug_shows_the_traceback(error: BaseException) -> None:
    with pytest.raises(type(error)):
        run_cli(refuse(error), ["--debug"])


@pytest.mark.parametrize("error", [RuntimeError("bug"), TypeError("bug"), AssertionError("bug")], ids=repr)
def test_faults_of_the_program_pass(error: Exception) -> None:
    with pytest.raises(type(error), match="bug"):
        run_cli(refuse(error), [])


def test_a_full_disk_in_an_atomic_write(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert run_cli(lambda _: write_text(tmp_path / "a.txt", "a"), []) == 1
    assert capsys.readouterr().err.startswith(f"error: disk full while writing {tmp_path / 'a.txt'}; free some space")


def test_arguments_arrive_without_debug() -> None:
    seen: list[str] = []
    assert run_cli(seen.extend, ["a", "--x", "1"]) == 0
    assert seen == ["a", "--x", "1"]
    with pytest.raises(RuntimeError, match=r"\['a'\]"):
        run_cli(lambda arguments: refuse(RuntimeError(arguments))(arguments), ["--debug", "a"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bach-size", "3"], ["Unrecognized options", "--bach-size", "--batch-size INT"]),
        (["--batch-size", "many"], ["--batch-size", "many"]),
        (["--batch-size", "0"], ["expected >= 1, got 0"]),
    ],
)
def test_wrong_options_name_the_right_one(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run_cli(lambda rest: tyro.cli(Options, args=rest), arguments)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert all(word in error for word in words), error
    assert "Traceback" not in error
