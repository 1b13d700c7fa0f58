"""From a preset to a trained system: what is missing is trained, what is there is used."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nuwa.data.shards import Shards, TokenBatch, write_shards
from nuwa.data.shards.order import Order
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.presets import PRESETS, Preset
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.perceptual import load_sprites
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN
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
    smoke = PRESETS["smoke"]().only("t2i")
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


@pytest.fixture(scope="module")
def on_shards(folder: Path, preset: Preset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokenizer, and a transformer that reads tokens."""
    root = tmp_path_factory.mktemp("on shards")
    shutil.copytree(folder / "tokenizer", root / "tokenizer")
    pictures = dataclasses.replace(DATA.pictures, samples=SpritesPictures("train", 40))
    prepare(preset, dataclasses.replace(DATA, pictures=pictures), root, CPU, shards=root / "shards")
    return root


def test_a_training_makes_the_shards_that_it_reads(on_shards: Path, preset: Preset) -> None:
    tokenizer = load_vqgan(on_shards / "tokenizer")
    shards = Shards(on_shards / "shards", tokenizer)
    assert len(shards) == 40
    assert shards.text.to_dict() == TextTokenizer.from_captions(DATA.vocabulary).to_dict()
    config = checkpoint.read_config(on_shards / "transformer" / checkpoint.WEIGHTS)
    assert config["shards_picture"] == shards.fingerprint
    assert "val_loss" in (on_shards / "transformer" / "log.jsonl").read_text()


def test_shards_train_as_the_pictures_do(on_shards: Path, preset: Preset, tmp_path: Path) -> None:
    """Weights to the bit of a training that encodes the same pictures in the same order at every step."""

    tokenizer = load_vqgan(on_shards / "tokenizer")
    samples, order = SpritesPictures("train", 40), Order(40, 1, preset.transformer.seed)

    class Encoding:
        def __init__(self, shards: Shards, seed: int) -> None:
            self.text = shards.text

        def tokens(self, step: int, size: int) -> TokenBatch:
            rows, views = order.at(np.arange(step * size, (step + 1) * size))
            pictures = torch.stack([samples.image(row) for row in rows.tolist()])
            words = self.text.encode([samples.captions[row] for row in rows]).ids
            return TokenBatch(tokenizer.encode(pictures), words, torch.from_numpy(rows), torch.from_numpy(views))

    shutil.copytree(on_shards / "tokenizer", tmp_path / "tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nuwa.training.on_shards.ShardStream", Encoding)
        prepare(preset, DATA, tmp_path, CPU, shards=on_shards / "shards")
    path = Path("transformer") / checkpoint.WEIGHTS
    assert (tmp_path / path).read_bytes() == (on_shards / path).read_bytes()


def test_shards_of_another_tokenizer_are_refused(on_shards: Path, preset: Preset, tmp_path: Path) -> None:
    torch.manual_seed(1)
    stranger = VQGAN(preset.tokenizer.model)
    write_shards(SpritesPictures("train", 5), stranger, tmp_path / "theirs")
    with pytest.raises(ValueError, match=f"got those of {weights_sha256(stranger)}; tokens mean nothing to another"):
        prepare(preset, DATA, on_shards, CPU, shards=tmp_path / "theirs")
    with pytest.raises(ValueError, match="expected finished shards, got none; make them with nox -s tokenize"):
        prepare(preset, DATA, on_shards, CPU, shards=tmp_path / "none")


def test_a_training_on_pictures_is_another_one(on_shards: Path, preset: Preset) -> None:
    with pytest.raises(ValueError, match=r"holds a training with other settings \(shards_picture\)"):
        prepare(preset, DATA, on_shards, CPU)


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
