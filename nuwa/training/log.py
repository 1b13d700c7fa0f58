"""``log.jsonl``: a line for every few steps of a training, also over stops and a disk that is full for a while."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from nuwa import files

LOG = "log.jsonl"


class TrainingLog:
    """Appends lines. On a full disk they are kept in memory and written once there is room, so that none is lost or cut."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self._waiting: list[str] = []

    def begin(self, step: int) -> None:
        """Forget what was logged after ``step``: those lines will be written again. The last one may be cut short."""
        if not step:
            self.path.unlink(missing_ok=True)
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except json.JSONDecodeError:
                break
        files.write_text(self.path, "".join(kept))

    def write(self, line: Mapping[str, float]) -> None:
        """Add a line of finite numbers."""
        self._waiting.append(json.dumps(line, allow_nan=False) + "\n")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._append("".join(self._waiting))
        except OSError as error:
            if not files.is_disk_full(error):
                raise
            return
        self._waiting.clear()

    def _append(self, text: str) -> None:
        with self.path.open("ab", buffering=0) as handle:
            size, data = handle.seek(0, os.SEEK_END), text.encode()
            try:
                while data:
                    data = data[os.write(handle.fileno(), data) :]
            except OSError:
                handle.truncate(size)
                raise
