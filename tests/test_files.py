"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nuwa import files
from nuwa.files import StorageError

OLD = "what stood there before"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(OLD)
    return path


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_appears_at_the_end(target: Path) -> None:
    with files.atomic(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == OLD
        assert temporary.parent == target.parent  # a rename across file systems would be a copy
    assert target.read_text() == "new"
    assert listing(target.parent) == ["record.json"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "b" / "c.txt", "größer\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "größer\n".encode()


@pytest.mark.parametrize(
    "error", [RuntimeError("bug"), KeyboardInterrupt(), OSError(errno.EIO, "bad sector")], ids=repr
)
def test_an_exception_leaves_the_old_file_and_nothing_else(target: Path, error: BaseException) -> None:
    def write() -> None:
        with files.atomic(target) as temporary:
            temporary.write_text("half of the ne")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert error.__cause__ is None
    assert target.read_text() == OLD
    assert listing(target.parent) == ["record.json"]


def test_a_writer_that_writes_nothing_is_an_error(target: Path) -> None:
    def write() -> None:
        with files.atomic(target):
            pass

    with pytest.raises(FileNotFoundError):
        write()
    assert target.read_text() == OLD


# The file alone, without the package around it, so that no second is spent on importing torch.
KILLED = """
import runpy, sys, time
atomic = runpy.run_path(sys.argv[1])["atomic"]
with atomic(sys.argv[2]) as temporary, temporary.open("wb") as handle:
    while True:
        handle.write(b"half" * 1000)
        handle.flush()
        print("writing", flush=True)
        time.sleep(0.01)
"""


def test_a_killed_process_leaves_the_old_file(target: Path) -> None:
    arguments = [sys.executable, "-c", KILLED, files.__file__, str(target)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["writing\n"] * 3
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert target.read_text() == OLD
    files.write_text(target, "new")  # what the killed one left is in nobody's way
    assert target.read_text() == "new"


REFUSALS = [
    (errno.ENOSPC, "^disk full while writing .*record.json; free some space and run the same command again$"),
    (errno.EDQUOT, "^disk full while writing .*record.json; free some space and run the same command again$"),
    (errno.EACCES, "^cannot write .*record.json: Permission denied; choose another folder with --out$"),
    (errno.EROFS, "^cannot write .*record.json: Read-only file system; choose another folder with --out$"),
]


@pytest.mark.parametrize(("code", "sentence"), REFUSALS, ids=lambda value: errno.errorcode.get(value))
@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
def test_a_disk_that_refuses_is_a_sentence(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, sentence: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os if call == "fsync" else Path, call, refuse)
    with pytest.raises(StorageError, match=sentence) as caught:
        files.write_text(target, "new")
    monkeypatch.undo()
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_text() == OLD
    assert listing(target.parent) == ["record.json"]


def test_json_is_readable_and_exact(tmp_path: Path) -> None:
    value = {"name": "NÜWA", "value": 0.1 + 0.2, "rows": [1, None, True]}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert '  "name": "NÜWA"' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number(target: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(target, {"fid": value})
    assert target.read_text() == OLD


def test_sha256(tmp_path: Path) -> None:
    """The digest of "abc" from FIPS 180-2, appendix B.1."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
