"""Checkpoints of a training that goes on: whole or absent, checked by sha256, the last few of them kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nuwa import files
from nuwa.training import sharded
from nuwa.training.distributed import gathered, on_first, rank, share

FOLDER, ABOUT = "checkpoints", "checkpoint.json"
FORMAT = "nuwa-checkpoint-1"


@dataclass(frozen=True)
class Checkpoint:
    """One that is there; whether it is whole is asked apart, since that reads all of it."""

    path: Path
    about: dict[str, Any]  # step, and what was written with it


class Checkpoints:
    """Those of one training, in ``folder/checkpoints/<step>/``.

    Processes of one training call every method together. Process 0 names, renames and removes; all write and check.

    Args:
        folder: of the training, which belongs to it alone.
        keep: how many of the newest are kept. The one before the newest is what remains if that one is damaged.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep: expected at least one checkpoint, got {keep}")
        self.folder, self.keep = folder / FOLDER, keep

    def save(self, step: int, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bool:
        """Write the state after ``step``, and forget all but the newest. ``about`` is plain JSON values.

        False where the disk is full: then there is a message, and the checkpoints before are as they were. Another
        StorageError where the disk refuses.
        """
        part, path = self.folder / f".{step:08d}.part", self.folder / f"{step:08d}"
        about = json.loads(json.dumps({**about, "step": step, "format": FORMAT}))
        try:
            on_first(lambda: _empty(part))
            sharded.write(part, tensors)
            digests = self._digests(part)
            on_first(lambda: _publish(part, path, {**about, "sha256": digests}))
        except (OSError, files.StorageError) as error:
            on_first(lambda: shutil.rmtree(part, ignore_errors=True))
            if not files.is_disk_full(error):
                raise
            _say(f"no checkpoint at step {step}: {self._full()}")
            return False
        on_first(lambda: self._forget(step))
        return True

    def newest(self) -> Checkpoint | None:
        """The newest that can be read, whole or not; None where there are none."""
        found = self._found()
        return found[-1] if found else None

    def newest_step(self) -> int:
        """Its step, 0 where there is none."""
        newest = self.newest()
        return 0 if newest is None else newest.about["step"]

    def newest_whole(self) -> Checkpoint | None:
        """The newest whose files are as they were written; None where there are none.

        A message names one that is damaged. ValueError where all are.
        """
        damaged: list[str] = []
        for path in reversed(on_first(self._paths)):
            reason = next(filter(None, gathered(_damage(path))), None)
            if reason is None:
                if damaged:
                    _say(f"{self.folder}: damaged: {', '.join(damaged)}; going on from step {int(path.name)}")
                return Checkpoint(path, _read(path))
            damaged.append(f"{int(path.name)} ({reason})")
        if damaged:
            raise ValueError(
                f"{self.folder}: the state of the training is damaged in every checkpoint: {', '.join(damaged)}; remove the "
                "folder to train from the beginning"
            )
        return None

    def load(self, checkpoint: Checkpoint, room: Callable[[Mapping[str, torch.Size]], Mapping[str, Tensor]]) -> None:
        """Fill the tensors that ``room`` has for these names and whole shapes, in place."""
        sharded.read(checkpoint.path, room(sharded.shapes(checkpoint.path)))

    def tidy(self) -> None:
        """Remove what a killed run was writing."""
        on_first(lambda: _remove(self.folder.glob(".*.part")))

    def remove(self) -> None:
        """Remove all of them: the training is finished."""
        on_first(lambda: shutil.rmtree(self.folder, ignore_errors=True))

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.name.isdecimal())

    def _found(self) -> list[Checkpoint]:
        found = []
        for path in self._paths():
            try:
                found.append(Checkpoint(path, _read(path)))
            except (OSError, ValueError):  # a damaged one, which newest_whole names
                continue
        return found

    def _digests(self, part: Path) -> dict[str, str]:
        """Digests of all files, each taken by one of the processes."""
        own = {path.name: files.sha256(path) for path in share(sorted(part.iterdir()))}
        return {name: digest for each in gathered(own) for name, digest in each.items()}

    def _forget(self, step: int) -> None:
        """All but the newest up to ``step``; later ones were damaged when the run went on from before them."""
        paths = self._paths()
        kept = [path for path in paths if int(path.name) <= step][-self.keep :]
        _remove(path for path in paths if path not in kept)

    def _full(self) -> str:
        free = shutil.disk_usage(self.folder.parent).free / 2**30
        before = self.newest_step()
        last = f"the last one is of step {before}" if before else "there is none yet"
        return f"disk full while writing {self.folder} ({free:.2f} GiB free); {last}, and the training goes on"


def _say(text: str) -> None:
    if rank() == 0:
        print(text, file=sys.stderr, flush=True)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def _publish(part: Path, path: Path, about: dict[str, Any]) -> None:
    files.write_json(part / ABOUT, about | {"digest": _digest(about)})
    if path.exists():  # a damaged one of the same step
        shutil.rmtree(path)
    part.rename(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """What was written beside the tensors. ValueError where it is not as it was written."""
    about: dict[str, Any] = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    if about.get("format") != FORMAT or about.pop("digest", None) != _digest(about):
        raise ValueError(f"{ABOUT} was changed")
    return about


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, as far as this process looks: each looks at some of the files."""
    try:
        expected: dict[str, str] = _read(path)["sha256"]
    except FileNotFoundError:
        return f"{ABOUT} is missing"
    except ValueError:
        return f"{ABOUT} was changed"
    for name in share(sorted(expected)):
        if not (path / name).exists():
            return f"{name} is missing"
        if files.sha256(path / name) != expected[name]:
            return f"{name} was changed"
    return None
