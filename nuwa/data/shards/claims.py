"""Which writer makes which shard, agreed through one file, so that any number of processes can work on a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

CLAIMS = ".claims"


class Claims:
    """Claims on the shards of a folder: byte i of its file ``.claims`` is locked while shard i is being made.

    The kernel lets a lock go when its process ends, however it ends, so a killed writer leaves no claim behind. Claims
    hold between processes, on one machine or over a network file system with POSIX locks, and not between threads.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / CLAIMS, os.O_RDWR | os.O_CREAT, 0o666)

    @contextlib.contextmanager
    def on(self, shard: int) -> Iterator[bool]:
        """Claim ``shard`` for the block; False where another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, shard)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, shard)

    def close(self) -> None:
        """Let the file go, and with it all claims of this process."""
        os.close(self._file)
