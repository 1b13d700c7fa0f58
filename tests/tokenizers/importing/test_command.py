"""``python -m nuwa.tokenizers import``: a folder that everything reads which reads a tokenizer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nuwa import Nuwa
from nuwa.data.shards import Shards, write_shards
from nuwa.data.sprites.dataset import SpritesPictures, SpritesStream
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel
from nuwa.presets import PRESETS, Preset
from nuwa.sampling import Sampling
from nuwa.tokenizers.__main__ import main
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import to_float, to_uint8
from nuwa.training.on_sprites import sprites_data
from nuwa.training.prepare import prepare
from nuwa.training.tokenizer import TokenizerStage, TokenizerTraining

from .made import MADE

CPU = torch.device("cpu")
CAPTIONS = ["a red circle", "a blue square"]


def brought(folder: Path, name: str = "taming", *, size_px: int = 16) -> Path:
    """Import a small published tokenizer by its files."""
    published = MADE[name]()
    weights, config = folder / "last.ckpt", folder / ("model.yaml" if published.layout == "taming" else "args.json")
    torch.save({"state_dict": published.state}, weights)
    config.write_text((yaml.safe_dump if published.layout == "taming" else json.dumps)(published.config))
    imported(published.layout, weights, config, folder / "out", "--size-px", str(size_px))
    return folder / "out"


def imported(layout: str, weights: Path, config: Path, out: Path, *more: str) -> None:
    main(["import", "--from", layout, f"--weights={weights}", f"--config={config}", f"--out={out}", *more])


@pytest.mark.parametrize("name", MADE)
def test_the_folder_is_read_as_any_tokenizer(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    published, model = MADE[name](), load_vqgan(brought(tmp_path, name))
    assert "16 px to 1x4x4 tokens of 40 codes" in capsys.readouterr().out
    pictures = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    tokens = model.encode(pictures)
    assert not model.training
    assert torch.equal(tokens[:, 0], published.encode(to_float(pictures)))
    difference = model.decode(tokens)[:, 0].int() - to_uint8(published.decode(tokens[:, 0])).int()
    assert difference.abs().max() <= 1


def test_by_name_of_llamagen(tmp_path: Path) -> None:
    torch.save({"model": MADE["llamagen"]().state}, tmp_path / "vq.pt")
    arguments = ["import", "--from", "llamagen", "--weights", str(tmp_path / "vq.pt"), "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match="LlamaGen: expected weights of the sizes that its config says, got"):
        main([*arguments, "--config", "VQ-8"])
    with pytest.raises(ValueError, match="expected the name VQ-16 or VQ-8, got 'VQ-9'"):
        main([*arguments, "--config", "VQ-9"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.yaml", "a: [", "expected YAML, got something else"),
        ("model.yaml", "- a", "expected names and values, got list"),
        ("model.json", "{", "expected JSON, got something else"),
        ("model.yaml", "model: !!python/object/apply:os.getcwd []", "expected YAML, got something else"),
        (None, "", "config: expected a file, got"),
    ],
)
def test_bad_configs(tmp_path: Path, name: str | None, content: str, message: str) -> None:
    torch.save(MADE["taming"]().state, tmp_path / "x.ckpt")
    path = tmp_path / (name or "none.yaml")
    if name is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        imported("taming", tmp_path / "x.ckpt", path, tmp_path / "out")


def test_an_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown layout of weights 'tamin'; did you mean 'taming'"):
        main(["import", "--from", "tamin", "--weights", "x", "--out", str(tmp_path)])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "  import     Bring a VQ-GAN of taming-transformers" in capsys.readouterr().out


def test_a_system_on_it_is_saved_and_read(tmp_path: Path) -> None:
    tokenizer = load_vqgan(brought(tmp_path))
    text = TextTokenizer.from_captions(CAPTIONS)
    sizes = ModelSizes(d=16, num_heads=2, encoder_layers=1, decoder_layers=1)
    model = NuwaModel(sizes.on(tokenizer.config.grid(), num_codes=40, vocab_size=text.vocab_size))
    system = Nuwa(tokenizer, text, model, Sampling())
    system.save_pretrained(tmp_path / "system")
    again = Nuwa.from_pretrained(tmp_path / "system")
    assert again.tokenizer.config == tokenizer.config
    assert torch.equal(again.t2i(CAPTIONS), system.t2i(CAPTIONS))
    assert weights_sha256(load_vqgan(tmp_path / "system")) == weights_sha256(tokenizer)


def test_shards_are_made_with_it(tmp_path: Path) -> None:
    tokenizer, samples = load_vqgan(brought(tmp_path)), SpritesPictures("train", 6, 16)
    write_shards(samples, tokenizer, tmp_path / "shards", samples_per_shard=4, batch=3)
    shards = Shards(tmp_path / "shards", tokenizer)
    pictures = torch.stack([torch.as_tensor(samples.image(at)) for at in range(6)])
    tokens, _ = shards.read(np.arange(6), np.zeros(6, dtype=np.int64))
    assert torch.equal(torch.from_numpy(tokens.astype(np.int64)), tokenizer.encode(pictures))


def small(preset: Preset) -> Preset:
    return dataclasses.replace(preset, transformer=dataclasses.replace(preset.transformer, steps=2))


def test_a_transformer_is_trained_on_it(tmp_path: Path) -> None:
    tokenizer = brought(tmp_path, "llamagen", size_px=32)
    found = load_vqgan(tokenizer)
    preset = small(PRESETS["smoke"]().only("t2i").reading(found.config))
    data = sprites_data(32, num_held_out=8, num_captions=50)
    system = prepare(preset, data, tmp_path / "run", CPU, given_tokenizer=tokenizer)
    assert system.preset == "smoke:t2i+given-tokenizer"
    assert weights_sha256(system.tokenizer) == weights_sha256(found)
    assert not (tmp_path / "run/tokenizer").exists()
    assert system.t2i(CAPTIONS).shape == (2, 3, 32, 32)


def test_a_preset_of_other_sizes_is_refused(tmp_path: Path) -> None:
    preset, data = PRESETS["smoke"]().only("t2i"), sprites_data(32, num_held_out=8, num_captions=50)
    with pytest.raises(ValueError, match="expected a tokenizer of the sizes of preset smoke:t2i, got TamingConfig"):
        prepare(preset, data, tmp_path / "run", CPU, given_tokenizer=brought(tmp_path))
    with pytest.raises(ValueError, match="tokenizer: expected none beside the checkpoint"):
        prepare(preset, data, tmp_path / "run", CPU, given_tokenizer=tmp_path, start=tmp_path)


def test_its_codes_are_not_trained(tmp_path: Path) -> None:
    config = load_vqgan(brought(tmp_path)).config
    settings = TokenizerTraining(model=config, steps=2, batch=2, precision="float32")
    held_out = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    stage = TokenizerStage(settings, SpritesStream(16), held_out, None, data="sprites", device=CPU)
    with pytest.raises(
        ValueError, match="VQGAN: expected a tokenizer of this suite's design to train, got one that was"
    ):
        stage.step(0)
