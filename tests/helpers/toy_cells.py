"""What tests of the runner put into cells: small, resumable, failing, or killed by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nuwa import files


def count(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Count to ``config["steps"]`` with the state on disk after each; what was counted stands in ``result.txt``."""
    state = folder / "state.txt"
    for step in range(int(state.read_text()) if state.exists() else 0, config["steps"]):
        with (folder / "steps.txt").open("a") as handle:
            handle.write(f"{step}\n")
        files.write_text(state, str(step + 1))
        time.sleep(config.get("step_s", 0.0))
    files.write_text(folder / "result.txt", f"{seed} counted {config['steps']} on {device}")


def refuse(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """Fail until the file ``config["until"]`` is there."""
    if not Path(config.get("until", "/nowhere")).exists():
        raise ValueError(f"expected luck, got seed {seed}")


def kill_itself(config: Mapping[str, Any], seed: int, folder: Path, device: str) -> None:
    """End without a word."""
    os.kill(os.getpid(), signal.SIGKILL)
