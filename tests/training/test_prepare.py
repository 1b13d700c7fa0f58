"""From a preset to a trained system: what is missing is trained, what is there is used."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from nuwa.presets import PRESETS, Preset
from nuwa.tokenizers.perceptual import load_sprites
from nuwa.training import checkpoint
from nuwa.training import prepare as module
from nuwa.training.loop import Stage, fit
from nuwa.training.prepare import TrainingData, prepare

from .stages import CPU, source

DATA = TrainingData(
    name="sprites 1 train",
    pictures=source(),
    vocabulary=source().stream.batch(0, 300)[1],
    perceptual=load_sprites(),
)


@pytest.fixture(scope="module")
def preset() -> Preset:
    smoke = PRESETS["smoke"]()
    return dataclasses.replace(
        smoke,
        tokenizer=dataclasses.replace(smoke.tokenizer, steps=4),
        transformer=dataclasses.replace(smoke.transformer, steps=3),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, preset: Preset) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    prepare(preset, DATA, folder, CPU)
    return folder


def test_what_is_done_is_used_as_it_is(folder: Path, preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("trained again"))
    one, other = (prepare(preset, DATA, folder, CPU) for _ in range(2))
    captions = DATA.pictures.validation.captions[:3]
    assert torch.equal(one.t2i(captions), other.t2i(captions))
    assert one.sampling == preset.sampling
    assert not one.model.training
    assert not one.tokenizer.training


def test_the_model_is_bound_to_its_tokenizer(folder: Path, preset: Preset) -> None:
    config = checkpoint.read_config(folder / "transformer" / checkpoint.WEIGHTS)
    assert config["data"] == DATA.name
    assert config["tokenizer_sha256"] == module.files.sha256(folder / "tokenizer" / checkpoint.WEIGHTS)


def test_only_the_transformer_is_trained_again_where_it_is_missing(
    folder: Path, preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer").mkdir()
    path = Path("tokenizer") / checkpoint.WEIGHTS
    (tmp_path / path).write_bytes((folder / path).read_bytes())
    names: list[str] = []

    def watched(stage: Stage, home: Path, **more: int) -> None:
        names.append(stage.name)
        fit(stage, home, **more)

    monkeypatch.setattr(module, "fit", watched)
    prepare(preset, DATA, tmp_path, CPU)
    assert names == ["train transformer"]
    path = Path("transformer") / checkpoint.WEIGHTS
    assert (tmp_path / path).read_bytes() == (folder / path).read_bytes()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"data": "sprites 2 train"}, r"\(data\)"),
        ({"lr": 0.5}, r"\(training.lr\)"),
    ],
)
def test_another_training_is_refused(folder: Path, preset: Preset, change: dict[str, Any], names: str) -> None:
    data = dataclasses.replace(DATA, name=change.get("data", DATA.name))
    if "lr" in change:
        preset = dataclasses.replace(preset, transformer=dataclasses.replace(preset.transformer, lr=0.5))
    with pytest.raises(ValueError, match=rf"holds a training with other settings {names}"):
        prepare(preset, data, folder, CPU)
