"""Files that are whole or absent: every output is written beside its place and renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class StorageError(Exception):
    """The disk is full, read-only or not ours; the message names the file and the way out."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it becomes ``path``, otherwise it is removed.

    A process killed inside leaves ``path`` as it was. StorageError where the disk refuses.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if (sentence := _sentence(error, path)) is None:
            raise
        raise StorageError(sentence) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk, or a quota that is used up, lies anywhere in the chain of an exception's causes."""
    return any(
        link.errno in _FULL if isinstance(link, OSError) else f"(os error {errno.ENOSPC})" in str(link)
        for link in chain(error)  # safetensors reports Rust's I/O errors as text
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it came from, as a traceback shows them."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _sentence(error: OSError, path: Path) -> str | None:
    if error.errno in _FULL:
        return f"disk full while writing {path}; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"cannot write {path}: {error.strerror}; choose another folder with --out"
    return None


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
