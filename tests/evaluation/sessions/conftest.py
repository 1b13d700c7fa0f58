"""One checkpoint of all tasks for the tests of every session: real in every part, too short to mean anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nuwa.presets import PRESETS
from nuwa.training.on_sprites import sprites_data
from nuwa.training.prepare import prepare


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model of the preset ``smoke``, trained in seconds."""
    preset, folder = PRESETS["smoke"](), tmp_path_factory.mktemp("smoke")
    size_px = preset.tokenizer.model.size_px
    data = sprites_data(size_px, preset.frames, num_held_out=16, num_captions=2000)
    prepare(preset, data, folder / "training", torch.device("cpu")).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"
