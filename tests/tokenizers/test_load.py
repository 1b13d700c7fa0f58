"""A tokenizer from wherever a run has left it, and the digest that knows it again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from nuwa import Nuwa, files
from nuwa.model.config import ModelSizes
from nuwa.model.nuwa import NuwaModel
from nuwa.tokenizers.digest import weights_sha256
from nuwa.tokenizers.load import load_vqgan
from nuwa.tokenizers.text import TextTokenizer
from nuwa.tokenizers.vqgan import VQGAN, VQGANConfig
from nuwa.training import checkpoint

CONFIG = VQGANConfig(size_px=16, widths=(8, 8), num_codes=32)
PLACES = [
    ("tokenizer.safetensors", "tokenizer"),  # Nuwa.save_pretrained
    ("checkpoint/tokenizer.safetensors", "tokenizer"),  # a run
    ("weights.safetensors", "model"),  # the training of a tokenizer
]


def vqgan(seed: int = 0) -> VQGAN:
    torch.manual_seed(seed)
    return VQGAN(CONFIG)


def put(path: Path, key: str) -> None:
    """The tokenizer as whoever leaves it there writes it."""
    if key == "model":
        checkpoint.save_weights(path, vqgan(), {key: asdict(CONFIG)})
        return
    text = TextTokenizer.from_captions(["a red circle"])
    sizes = ModelSizes(d=16, num_heads=2, encoder_layers=1, decoder_layers=1)
    model = NuwaModel(sizes.on(CONFIG.grid(), num_codes=CONFIG.num_codes, vocab_size=text.vocab_size))
    Nuwa(vqgan(), text, model).save_pretrained(path.parent)


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize(("place", "key"), PLACES)
def test_every_place(tmp_path: Path, place: str, key: str, whole: bool) -> None:
    put(tmp_path / place, key)
    found = load_vqgan(tmp_path if whole else tmp_path / place)
    assert found.config == CONFIG
    assert not found.training
    assert weights_sha256(found) == weights_sha256(vqgan())
    pictures = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(found.encode(pictures), vqgan().eval().encode(pictures))


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    """Not of the file, whose header differs from place to place."""
    for place, key in PLACES:
        put(tmp_path / key / place, key)
    one, other = tmp_path / "tokenizer/tokenizer.safetensors", tmp_path / "model/weights.safetensors"
    assert files.sha256(one) != files.sha256(other)
    assert weights_sha256(load_vqgan(one)) == weights_sha256(load_vqgan(other))
    moved = vqgan().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert weights_sha256(moved) == weights_sha256(vqgan())


def test_the_digest_sees_every_value() -> None:
    digests = {weights_sha256(vqgan()), weights_sha256(vqgan(1))}
    changed = vqgan()
    changed.codebook.codes[3, 1] += 1e-6
    renamed = torch.nn.ModuleDict({"x": vqgan()})
    assert len({*digests, weights_sha256(changed), weights_sha256(renamed)}) == 4


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(
            ValueError, match=f"expected a weights file, or a folder with tokenizer.safetensors .*{path}"
        ):
            load_vqgan(path)


def test_something_else(tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path / "weights.safetensors", vqgan(), {"model": {"d": 8}, "text": {}})
    with pytest.raises(ValueError, match="expected the weights of a VQ-GAN, got a config of model, text"):
        load_vqgan(tmp_path)
