"""The weights that were best on held-out data, in ``best/``: whole or absent, checked by sha256."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from nuwa import files
from nuwa.training import checkpoint
from nuwa.training.distributed import on_first

FOLDER, LIST = "best", "best.json"


class Best:
    """The ``keep`` best of one training, in ``folder/best/<step>.safetensors``, and what ``best.json`` says of them.

    They are weights alone, as a finished training leaves them, and stay when it is finished. Processes of one training call
    every method together; process 0 writes.

    Args:
        folder: of the training.
        keep: how many; 0 keeps none.
        measure: what says how good they are, such as ``"val_loss"``: lower is better; ``"-val_pa"``: higher is.
    """

    def __init__(self, folder: Path, *, keep: int, measure: str) -> None:
        self.folder, self.keep = folder / FOLDER, keep
        self.name, self.sign = measure.removeprefix("-"), -1 if measure.startswith("-") else 1

    def begin(self, step: int) -> None:
        """Forget those after ``step``, which will be made again, and what a killed run was writing."""
        if self.folder.is_dir():
            on_first(lambda: self._publish([each for each in self.listed() if each["step"] <= step]))

    def listed(self) -> list[dict[str, Any]]:
        """Their step, the measure, the name and the sha256 of the file, the best first."""
        path = self.folder / LIST
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return found

    def offer(
        self,
        step: int,
        measures: Mapping[str, float],
        weights: Callable[[], Mapping[str, Tensor]],
        config: dict[str, Any],
    ) -> bool:
        """Keep the weights of ``step`` if they are among the best; whether they were. A full disk is a message."""
        value = measures.get(self.name, math.nan)
        if not on_first(lambda: self._is_among(value)):
            return False
        tensors = weights()  # of all processes
        return on_first(lambda: self._keep(step, value, tensors, config))

    def path(self) -> Path:
        """The file of the best. ValueError where there is none, or it is not as it was written."""
        listed = self.listed()
        if not listed:
            raise ValueError(
                f"{self.folder}: expected the best weights of a training, found none; train with keep_best"
            )
        path = self.folder / listed[0]["file"]
        if not path.is_file() or files.sha256(path) != listed[0]["sha256"]:
            raise ValueError(f"{path}: expected the weights of step {listed[0]['step']}, and the file is damaged")
        return path

    def _is_among(self, value: float) -> bool:
        if not self.keep or not math.isfinite(value):
            return False
        listed = self.listed()
        return len(listed) < self.keep or self.sign * value < self.sign * listed[-1][self.name]

    def _keep(self, step: int, value: float, tensors: Mapping[str, Tensor], config: dict[str, Any]) -> bool:
        path = self.folder / f"{step:08d}.safetensors"
        try:
            checkpoint.save_tensors(path, tensors, config)
            new = {"step": step, self.name: value, "file": path.name, "sha256": files.sha256(path)}
            kept = [each for each in self.listed() if each["step"] != step]
            self._publish(sorted([*kept, new], key=lambda each: self.sign * each[self.name])[: self.keep])
        except (OSError, SafetensorError, files.StorageError) as error:
            if not files.is_disk_full(error):
                raise
            print(f"the weights of step {step} are the best so far and not kept: {error}", file=sys.stderr, flush=True)
            return False
        return True

    def _publish(self, listed: list[dict[str, Any]]) -> None:
        """Say which there are; then remove the others."""
        files.write_json(self.folder / LIST, listed)
        named = {LIST, *(each["file"] for each in listed)}
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()
